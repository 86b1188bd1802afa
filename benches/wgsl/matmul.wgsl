// c = a b for square matrices whose side is a multiple of 16: tiles of 16 x 16 through workgroup memory,
// one element of c for each invocation.

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<uniform> n: u32;

var<workgroup> tile_a: array<f32, 256>;
var<workgroup> tile_b: array<f32, 256>;

@compute @workgroup_size(16, 16)
fn matmul(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
    var sum = 0.0;
    for (var tile = 0u; tile < n / 16u; tile += 1u) {
        tile_a[lane.y * 16u + lane.x] = a[id.y * n + tile * 16u + lane.x];
        tile_b[lane.y * 16u + lane.x] = b[(tile * 16u + lane.y) * n + id.x];
        workgroupBarrier();
        for (var k = 0u; k < 16u; k += 1u) {
            sum += tile_a[lane.y * 16u + k] * tile_b[k * 16u + lane.x];
        }
        workgroupBarrier();
    }
    c[id.y * n + id.x] = sum;
}
