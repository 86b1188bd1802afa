// matmul: c = a * b; a is m x k, b is k x n, c is m x n, all row after row.
// Twins: matmul.rs (this folder), shaders/matmul.wgsl
//
// A workgroup makes a tile of 64 x 64 of c, an invocation 4 x 4 of it in registers: rows y, y + 16,
// y + 32, y + 48 and columns x, x + 16, x + 32, x + 48, so that neighbours read and write neighbours.
// It walks along k in slices of 16; each slice of a and b is read once from storage into workgroup
// memory and 64 times from there. One float4 holds the four rows, or columns, of one invocation: two
// loads feed 16 multiply-adds.

typedef unsigned int u32;

// Sides over this would let a row or column number wrap.
#define LONGEST 0xffffffc0u
#define SIDE 64u
#define SLICE 16u
// A column of a is written by 16 neighbours at once: the 17th float4 puts them into different banks.
#define PITCH 17u

// The element of a matrix of rows x cols, or 0 outside of it.
__device__ float at(const float* matrix, u32 rows, u32 cols, u32 row, u32 col) {
    return row < rows && col < cols ? matrix[row * cols + col] : 0.0f;
}

__device__ void multiply_add(float4& sum, float factor, float4 cols) {
    sum.x += factor * cols.x;
    sum.y += factor * cols.y;
    sum.z += factor * cols.z;
    sum.w += factor * cols.w;
}

__device__ void store(float* c, u32 m, u32 n, u32 row, u32 col, float4 sum) {
    if (row < m) {
        const u32 first = row * n;
        if (col < n) c[first + col] = sum.x;
        if (col + 16u < n) c[first + col + 16u] = sum.y;
        if (col + 32u < n) c[first + col + 32u] = sum.z;
        if (col + 48u < n) c[first + col + 48u] = sum.w;
    }
}

extern "C" __global__ void __launch_bounds__(256)
matmul(const float* a, const float* b, float* c, u32 a_len, u32 b_len, u32 c_len, u32 m, u32 n, u32 k) {
    __shared__ float4 tile_a[SLICE * PITCH];
    __shared__ float4 tile_b[SLICE * SLICE];
    const u32 x = threadIdx.x;
    const u32 y = threadIdx.y;
    const u32 tiles_x = n / SIDE + (n % SIDE != 0u);
    const u32 tiles_y = m / SIDE + (m % SIDE != 0u);
    const u32 group = blockIdx.y * gridDim.x + blockIdx.x;
    // The same for all invocations: whole workgroups leave, so the barriers below are met by all. A
    // shape that the buffers do not hold is left alone.
    if (m == 0u || n == 0u || group / max(tiles_x, 1u) >= tiles_y || max(m, max(n, k)) > LONGEST
        || a_len / max(m, 1u) < k || b_len / max(n, 1u) < k || c_len / max(m, 1u) < n) {
        return;
    }
    const u32 row = (group / tiles_x) * SIDE + y;
    const u32 col = (group % tiles_x) * SIDE + x;

    const float4 zero = {0.0f, 0.0f, 0.0f, 0.0f};
    float4 s0 = zero, s1 = zero, s2 = zero, s3 = zero;
    const u32 slices = k / SLICE + (k % SLICE != 0u);
    for (u32 slice = 0u; slice < slices; slice += 1u) {
        const u32 first = slice * SLICE;
        float4 rows, cols;
        rows.x = at(a, m, k, row, first + x);
        rows.y = at(a, m, k, row + 16u, first + x);
        rows.z = at(a, m, k, row + 32u, first + x);
        rows.w = at(a, m, k, row + 48u, first + x);
        cols.x = at(b, k, n, first + y, col);
        cols.y = at(b, k, n, first + y, col + 16u);
        cols.z = at(b, k, n, first + y, col + 32u);
        cols.w = at(b, k, n, first + y, col + 48u);
        tile_a[x * PITCH + y] = rows;
        tile_b[y * SLICE + x] = cols;
        __syncthreads();
#pragma unroll
        for (u32 i = 0u; i < SLICE; i += 1u) {
            const float4 factors = tile_a[i * PITCH + y];
            const float4 columns = tile_b[i * SLICE + x];
            multiply_add(s0, factors.x, columns);
            multiply_add(s1, factors.y, columns);
            multiply_add(s2, factors.z, columns);
            multiply_add(s3, factors.w, columns);
        }
        __syncthreads();
    }
    store(c, m, n, row, col, s0);
    store(c, m, n, row + 16u, col, s1);
    store(c, m, n, row + 32u, col, s2);
    store(c, m, n, row + 48u, col, s3);
}
