// transpose: output[c, r] = input[r, c]; input has `rows` rows of `cols`, output `cols` rows of `rows`.
// Twins: kernels/src/transpose.rs, kernels/src/transpose.cu
//
// A workgroup turns one tile of 32 x 32 in its own memory, so that rows are read and rows are written:
// neighbours always touch neighbours. A tile's row is 33 words long, so that a column of it lies in 32
// different banks.

struct Params {
    rows: u32,
    cols: u32,
}

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

const SIDE = 32u;
const PITCH = 33u;

var<workgroup> tile: array<f32, 1056>;

@compute @workgroup_size(32, 8)
fn transpose(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let rows = params.rows;
    let cols = params.cols;
    let tiles_x = cols / SIDE + u32(cols % SIDE != 0u);
    let tiles_y = rows / SIDE + u32(rows % SIDE != 0u);
    let group = workgroup.y * workgroups.x + workgroup.x;
    // The same for all invocations: whole workgroups leave, so the barrier below is met by all. A
    // shape that the buffers do not hold is left alone.
    if rows == 0u || cols == 0u || group / max(tiles_x, 1u) >= tiles_y
        || min(arrayLength(&input), arrayLength(&output)) / max(rows, 1u) < cols {
        return;
    }
    let left = (group % tiles_x) * SIDE;
    let top = (group / tiles_x) * SIDE;

    // Differences, not sums, are compared: `top + 31` may be past the last u32.
    let width = min(SIDE, cols - left);
    let height = min(SIDE, rows - top);
    if lane.x < width {
        for (var y = lane.y; y < height; y += 8u) {
            tile[y * PITCH + lane.x] = input[(top + y) * cols + left + lane.x];
        }
    }
    workgroupBarrier();
    if lane.x < height {
        for (var y = lane.y; y < width; y += 8u) {
            output[(left + y) * rows + top + lane.x] = tile[lane.x * PITCH + y];
        }
    }
}
