// transpose: output[c, r] = input[r, c]; input has `rows` rows of `cols`, output `cols` rows of `rows`.
// Twins: transpose.rs (this folder), shaders/transpose.wgsl
//
// A workgroup turns one tile of 32 x 32 in its own memory, so that rows are read and rows are written:
// neighbours always touch neighbours. A tile's row is 33 words long, so that a column of it lies in 32
// different banks.

typedef unsigned int u32;

#define SIDE 32u
#define PITCH 33u

extern "C" __global__ void __launch_bounds__(256)
transpose(const float* input, float* output, u32 input_len, u32 output_len, u32 rows, u32 cols) {
    __shared__ float tile[SIDE * PITCH];
    const u32 x = threadIdx.x;
    const u32 tiles_x = cols / SIDE + (cols % SIDE != 0u);
    const u32 tiles_y = rows / SIDE + (rows % SIDE != 0u);
    const u32 group = blockIdx.y * gridDim.x + blockIdx.x;
    // The same for all invocations: whole workgroups leave, so the barrier below is met by all. A
    // shape that the buffers do not hold is left alone.
    if (rows == 0u || cols == 0u || group / max(tiles_x, 1u) >= tiles_y
        || min(input_len, output_len) / max(rows, 1u) < cols) {
        return;
    }
    const u32 left = (group % tiles_x) * SIDE;
    const u32 top = (group / tiles_x) * SIDE;

    // Differences, not sums, are compared: `top + 31` may be past the last u32.
    const u32 width = min(SIDE, cols - left);
    const u32 height = min(SIDE, rows - top);
    if (x < width) {
        for (u32 y = threadIdx.y; y < height; y += 8u) {
            tile[y * PITCH + x] = input[(top + y) * cols + left + x];
        }
    }
    __syncthreads();
    if (x < height) {
        for (u32 y = threadIdx.y; y < width; y += 8u) {
            output[(left + y) * rows + top + x] = tile[x * PITCH + y];
        }
    }
}
