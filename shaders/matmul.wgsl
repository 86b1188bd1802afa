// matmul: c = a * b; a is m x k, b is k x n, c is m x n, all row after row.
// Twins: kernels/src/matmul.rs, kernels/src/matmul.cu
//
// A workgroup makes a tile of 64 x 64 of c, an invocation 4 x 4 of it in registers: rows y, y + 16,
// y + 32, y + 48 and columns x, x + 16, x + 32, x + 48, so that neighbours read and write neighbours.
// It walks along k in slices of 16; each slice of a and b is read once from storage into workgroup
// memory and 64 times from there. One vec4 holds the four rows, or columns, of one invocation: two
// loads feed 16 multiply-adds.

struct Params {
    m: u32,
    n: u32,
    k: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// Sides over this would let a row or column number wrap.
const LONGEST = 0xffffffc0u;
const SIDE = 64u;
const SLICE = 16u;
// A column of a is written by 16 neighbours at once: the 17th vec4 puts them into different banks.
const PITCH = 17u;

var<workgroup> tile_a: array<vec4<f32>, 272>;
var<workgroup> tile_b: array<vec4<f32>, 256>;

fn a_at(row: u32, col: u32) -> f32 {
    if row < params.m && col < params.k {
        return a[row * params.k + col];
    }
    return 0.0;
}

fn b_at(row: u32, col: u32) -> f32 {
    if row < params.k && col < params.n {
        return b[row * params.n + col];
    }
    return 0.0;
}

fn store(row: u32, col: u32, sum: vec4<f32>) {
    if row < params.m {
        let first = row * params.n;
        if col < params.n { c[first + col] = sum.x; }
        if col + 16u < params.n { c[first + col + 16u] = sum.y; }
        if col + 32u < params.n { c[first + col + 32u] = sum.z; }
        if col + 48u < params.n { c[first + col + 48u] = sum.w; }
    }
}

@compute @workgroup_size(16, 16)
fn matmul(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let tiles_x = params.n / SIDE + u32(params.n % SIDE != 0u);
    let tiles_y = params.m / SIDE + u32(params.m % SIDE != 0u);
    let group = workgroup.y * workgroups.x + workgroup.x;
    // The same for all invocations: whole workgroups leave, so the barriers below are met by all. A
    // shape that the buffers do not hold is left alone.
    if params.m == 0u || params.n == 0u || group / max(tiles_x, 1u) >= tiles_y
        || max(params.m, max(params.n, params.k)) > LONGEST
        || arrayLength(&a) / max(params.m, 1u) < params.k
        || arrayLength(&b) / max(params.n, 1u) < params.k
        || arrayLength(&c) / max(params.m, 1u) < params.n {
        return;
    }
    let top = (group / tiles_x) * SIDE;
    let left = (group % tiles_x) * SIDE;
    let row = top + lane.y;
    let col = left + lane.x;

    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    let slices = params.k / SLICE + u32(params.k % SLICE != 0u);
    for (var slice = 0u; slice < slices; slice += 1u) {
        let at = slice * SLICE;
        tile_a[lane.x * PITCH + lane.y] = vec4<f32>(
            a_at(row, at + lane.x),
            a_at(row + 16u, at + lane.x),
            a_at(row + 32u, at + lane.x),
            a_at(row + 48u, at + lane.x),
        );
        tile_b[lane.y * SLICE + lane.x] = vec4<f32>(
            b_at(at + lane.y, col),
            b_at(at + lane.y, col + 16u),
            b_at(at + lane.y, col + 32u),
            b_at(at + lane.y, col + 48u),
        );
        workgroupBarrier();
        for (var i = 0u; i < SLICE; i += 1u) {
            let rows = tile_a[i * PITCH + lane.y];
            let cols = tile_b[i * SLICE + lane.x];
            s0 += rows.x * cols;
            s1 += rows.y * cols;
            s2 += rows.z * cols;
            s3 += rows.w * cols;
        }
        workgroupBarrier();
    }
    store(row, col, s0);
    store(row + 16u, col, s1);
    store(row + 32u, col, s2);
    store(row + 48u, col, s3);
}
