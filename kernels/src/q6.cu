// q6: filter and sum of TPC-H query 6, exactly: over the rows with date_from <= shipdate < date_to,
// discount_min <= discount <= discount_max and quantity < quantity_below, the sum of
// extendedprice * discount in cents times percent, and how many rows they are.
// Twins: q6.rs (this folder), shaders/q6.wgsl
//
// CUDA has 64-bit integers, where WGSL adds two u32 limbs with carry: the words are the same. A
// workgroup leaves three of them in `partial`: low limb, high limb, rows taken. The host adds them up.
//
// `partial` decides how many workgroups work, and is written to its end: words that no workgroup owns
// become 0.

typedef unsigned int u32;
typedef unsigned long long u64;

#define TILE 1024u
#define MOST_GROUPS 65536u

// What a row must meet, and what the rows that did add up to.
struct Query {
    u32 date_from, date_to, discount_min, discount_max, quantity_below;
    u64 sum;
    u32 rows;

    __device__ void row(u32 date, u32 percent, u32 count, u32 price) {
        if (date >= date_from && date < date_to && percent >= discount_min && percent <= discount_max
            && count < quantity_below) {
            sum += (u64)price * percent;
            rows += 1u;
        }
    }
};

extern "C" __global__ void __launch_bounds__(256)
q6(const u32* shipdate, const u32* discount, const u32* quantity, const u32* extendedprice, u32* partial,
   u32 shipdate_len, u32 discount_len, u32 quantity_len, u32 extendedprice_len, u32 partial_len,
   u32 n, u32 date_from, u32 date_to, u32 discount_min, u32 discount_max, u32 quantity_below) {
    __shared__ u64 sums[256];
    __shared__ u32 rows[256];
    const u32 lane = threadIdx.x;
    n = min(min(n, min(shipdate_len, discount_len)), min(quantity_len, extendedprice_len));
    const u32 group = blockIdx.y * gridDim.x + blockIdx.x;
    const u32 groups = min(min(gridDim.x * gridDim.y, MOST_GROUPS), partial_len / 3u);

    // An even share of consecutive tiles: the first `tiles % groups` workgroups take one tile more.
    const u32 tiles = n / TILE + (n % TILE != 0u);
    const u32 share = tiles / max(groups, 1u);
    const u32 more = tiles % max(groups, 1u);
    u32 tile = group * share + min(group, more);
    const u32 end = group < groups ? tile + share + (group < more) : tile;
    const u32 whole = min(end, n / TILE);

    Query query = {date_from, date_to, discount_min, discount_max, quantity_below, 0u, 0u};
    for (; tile < whole; tile += 1u) {
        // Four rows, 256 apart: all sixteen loads are under way before the first is looked at.
        const u32 first = tile * TILE + lane;
        u32 d[4], p[4], q[4], e[4];
#pragma unroll
        for (u32 j = 0u; j < 4u; j += 1u) {
            d[j] = shipdate[first + j * 256u];
            p[j] = discount[first + j * 256u];
            q[j] = quantity[first + j * 256u];
            e[j] = extendedprice[first + j * 256u];
        }
#pragma unroll
        for (u32 j = 0u; j < 4u; j += 1u) query.row(d[j], p[j], q[j], e[j]);
    }
    if (tile < end) {
        for (u32 rest = lane; rest < n % TILE; rest += 256u) {
            const u32 i = tile * TILE + rest;
            query.row(shipdate[i], discount[i], quantity[i], extendedprice[i]);
        }
    }

    sums[lane] = query.sum;
    rows[lane] = query.rows;
    __syncthreads();
    for (u32 half = 128u; half > 0u; half /= 2u) {
        if (lane < half) {
            sums[lane] += sums[lane + half];
            rows[lane] += rows[lane + half];
        }
        __syncthreads();
    }

    if (group < groups) {
        if (lane == 0u) {
            partial[3u * group] = (u32)sums[0];
            partial[3u * group + 1u] = (u32)(sums[0] >> 32);
            partial[3u * group + 2u] = rows[0];
        }
        const u32 unowned = partial_len - 3u * groups;
        const u32 stride = groups * 256u;
        for (u32 lap = 0u; lap <= unowned / stride; lap += 1u) {
            const u32 i = lap * stride + group * 256u + lane;
            if (i < unowned) partial[3u * groups + i] = 0u;
        }
    }
}
