// The mean of the four neighbours and the point itself; the border stays.

@group(0) @binding(0) var<storage, read> points: array<f32>;
@group(0) @binding(1) var<storage, read_write> means: array<f32>;
@group(0) @binding(2) var<uniform> side: u32;

@compute @workgroup_size(16, 16)
fn stencil(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * side + id.x;
    if id.x == 0u || id.y == 0u || id.x + 1u >= side || id.y + 1u >= side {
        means[i] = points[i];
        return;
    }
    means[i] = 0.2 * (points[i] + points[i - 1u] + points[i + 1u] + points[i - side] + points[i + side]);
}
