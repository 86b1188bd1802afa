// A tree of 256 invocations sums 256 elements: eight levels, a barrier after each.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

var<workgroup> tile: array<f32, 256>;

@compute @workgroup_size(256)
fn reduce(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = workgroup.y * workgroups.x + workgroup.x;
    tile[lane] = x[group * 256u + lane];
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half {
            tile[lane] += tile[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        sums[group] = tile[0];
    }
}
