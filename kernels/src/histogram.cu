// histogram: adds to bins[b] how many of the first n values have b in the 8 bits from `shift` on.
// Twins: histogram.rs (this folder), shaders/histogram.wgsl
//
// A workgroup counts in its own memory, then adds its counts to `bins` once. It keeps eight copies, so
// that invocations which meet the same value rarely wait for each other; the copies are 257 words
// apart, so that the same bin of two copies lies in two banks.

typedef unsigned int u32;

#define TILE 2048u
#define COPY 257u

extern "C" __global__ void __launch_bounds__(256)
histogram(const u32* values, u32* bins, u32 values_len, u32 bins_len, u32 n, u32 shift) {
    __shared__ u32 counts[8u * COPY];
    const u32 lane = threadIdx.x;
    for (u32 i = lane; i < 8u * COPY; i += 256u) counts[i] = 0u;
    __syncthreads();

    // An even share of consecutive tiles: the first `tiles % groups` workgroups take one tile more.
    n = min(n, values_len);
    shift &= 31u;
    const u32 group = blockIdx.y * gridDim.x + blockIdx.x;
    const u32 groups = gridDim.x * gridDim.y;
    const u32 tiles = n / TILE + (n % TILE != 0u);
    const u32 share = tiles / groups;
    const u32 more = tiles % groups;
    u32 tile = group * share + min(group, more);
    const u32 end = tile + share + (group < more);
    const u32 whole = min(end, n / TILE);

    u32* copy = counts + (lane & 7u) * COPY;
    for (; tile < whole; tile += 1u) {
        // All eight loads are under way before the first is counted.
        u32 v[8];
#pragma unroll
        for (u32 j = 0u; j < 8u; j += 1u) v[j] = values[tile * TILE + lane + j * 256u];
#pragma unroll
        for (u32 j = 0u; j < 8u; j += 1u) atomicAdd(&copy[(v[j] >> shift) & 255u], 1u);
    }
    if (tile < end) {
        for (u32 rest = lane; rest < n % TILE; rest += 256u) {
            atomicAdd(&copy[(values[tile * TILE + rest] >> shift) & 255u], 1u);
        }
    }
    __syncthreads();

    u32 total = 0u;
#pragma unroll
    for (u32 j = 0u; j < 8u; j += 1u) total += counts[lane + j * COPY];
    if (total != 0u) atomicAdd(&bins[lane], total);
}
