// Iterations until a point leaves the disc of radius 2, at most 256: neighbours leave at different times.

struct Params {
    side: u32,
    dx: f32,
    dy: f32,
}

@group(0) @binding(0) var<storage, read_write> iterations: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(16, 16)
fn mandelbrot(@builtin(global_invocation_id) id: vec3<u32>) {
    let cx = f32(id.x) * params.dx - 2.0;
    let cy = f32(id.y) * params.dy - 1.0;
    var x = 0.0;
    var y = 0.0;
    var count = 0u;
    while count < 256u {
        let xx = x * x;
        let yy = y * y;
        if xx + yy > 4.0 {
            break;
        }
        y = 2.0 * x * y + cy;
        x = xx - yy + cx;
        count += 1u;
    }
    iterations[id.y * params.side + id.x] = count;
}
