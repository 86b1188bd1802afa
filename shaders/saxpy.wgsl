// saxpy: y[i] = a * x[i] + y[i] for i < n.
// Twins: kernels/src/saxpy.rs, kernels/src/saxpy.cu
//
// A workgroup takes one tile of 1024 elements, an invocation four of them, 256 apart, so that
// neighbours read neighbours.

struct Params {
    n: u32,
    a: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

const TILE = 1024u;

@compute @workgroup_size(256)
fn saxpy(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = min(params.n, min(arrayLength(&x), arrayLength(&y)));
    let tile = workgroup.y * workgroups.x + workgroup.x;
    // Whole tiles and what is left are compared apart: `tile * TILE` may only be formed where it is
    // below n, for a folded launch has more workgroups than tiles and the product would wrap.
    if tile < n / TILE {
        let i = tile * TILE + lane;
        y[i] = params.a * x[i] + y[i];
        y[i + 256u] = params.a * x[i + 256u] + y[i + 256u];
        y[i + 512u] = params.a * x[i + 512u] + y[i + 512u];
        y[i + 768u] = params.a * x[i + 768u] + y[i + 768u];
    } else if tile == n / TILE {
        for (var rest = lane; rest < n % TILE; rest += 256u) {
            let i = tile * TILE + rest;
            y[i] = params.a * x[i] + y[i];
        }
    }
}
