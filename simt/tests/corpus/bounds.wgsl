// Out of bounds everywhere: loads give zero, stores do nothing.
@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> counts: array<atomic<u32>, 2>;
var<workgroup> tile: array<u32, 3>;
var<private> own: array<u32, 3>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
    let i = index[group.x];
    data[i] = 7u;
    tile[i] = 8u;
    own[i] = 9u;
    let added = atomicAdd(&counts[i], 1u);
    var local = vec4(1u, 2u, 3u, 4u);
    local[i] = 5u;
    let matrix = array<array<u32, 2>, 2>(array(1u, 2u), array(3u, 4u));
    var m = matrix;
    let o = group.x * 8u;
    out[o + 0u] = data[i];
    out[o + 1u] = tile[i] + tile[0] * 10u;
    out[o + 2u] = own[i] + own[0] * 10u;
    out[o + 3u] = added;
    out[o + 4u] = local[i] + local.x * 10u + local.w * 100u;
    out[o + 5u] = m[1][i] + m[i][1] * 10u;
    out[o + 6u] = matrix[i][0];
    out[o + 7u] = 1u;
}
