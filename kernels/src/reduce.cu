// reduce_sum_f32, reduce_sum_u32: the sum of `input`, one partial sum per workgroup.
// Twins: reduce.rs (this folder), shaders/reduce_sum_f32.wgsl, shaders/reduce_sum_u32.wgsl
//
// The plan runs it twice: over the input, then with one workgroup over the partial sums.
//
// The order of additions is part of the contract, so that every device gives the same bits: the
// input is cut into tiles of 2048, each workgroup takes an even share of consecutive tiles, position
// j of all its tiles is added up in order, and the 2048 sums are then halved, j with j + half, until
// one is left.
//
// `partial` decides how many workgroups work, and is written to its end: words that no workgroup owns
// become 0.

typedef unsigned int u32;

#define TILE 2048u
#define MOST_GROUPS 65536u

template <typename T>
__device__ void reduce_sum(const T* input, T* partial, u32 n, u32 length, T* sums) {
    const u32 lane = threadIdx.x;
    const u32 group = blockIdx.y * gridDim.x + blockIdx.x;
    const u32 groups = min(min(gridDim.x * gridDim.y, MOST_GROUPS), length);

    // An even share: the first `tiles % groups` workgroups take one tile more.
    const u32 tiles = n / TILE + (n % TILE != 0u);
    const u32 share = tiles / max(groups, 1u);
    const u32 more = tiles % max(groups, 1u);
    u32 tile = group * share + min(group, more);
    const u32 end = group < groups ? tile + share + (group < more) : tile;
    const u32 whole = min(end, n / TILE);

    T s[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    for (; tile < whole; tile += 1u) {
        const u32 i = tile * TILE + lane;
#pragma unroll
        for (u32 j = 0u; j < 8u; j += 1u) s[j] += input[i + j * 256u];
    }
    if (tile < end) {
        const u32 i = tile * TILE + lane;
        const u32 left = n % TILE;
#pragma unroll
        for (u32 j = 0u; j < 8u; j += 1u) {
            if (lane + j * 256u < left) s[j] += input[i + j * 256u];
        }
    }

    // Halves 1024, 512 and 256 lie within an invocation, the others between invocations.
    sums[lane] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    __syncthreads();
    for (u32 half = 128u; half > 0u; half /= 2u) {
        if (lane < half) sums[lane] += sums[lane + half];
        __syncthreads();
    }

    if (group < groups) {
        if (lane == 0u) partial[group] = sums[0];
        const u32 unowned = length - groups;
        const u32 stride = groups * 256u;
        for (u32 lap = 0u; lap <= unowned / stride; lap += 1u) {
            const u32 i = lap * stride + group * 256u + lane;
            if (i < unowned) partial[groups + i] = 0;
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
reduce_sum_f32(const float* input, float* partial, u32 input_len, u32 partial_len) {
    __shared__ float sums[256];
    reduce_sum(input, partial, input_len, partial_len, sums);
}

extern "C" __global__ void __launch_bounds__(256)
reduce_sum_u32(const u32* input, u32* partial, u32 input_len, u32 partial_len) {
    __shared__ u32 sums[256];
    reduce_sum(input, partial, input_len, partial_len, sums);
}
