// q6: filter and sum of TPC-H query 6, exactly: over the rows with date_from <= shipdate < date_to,
// discount_min <= discount <= discount_max and quantity < quantity_below, the sum of
// extendedprice * discount in cents times percent, and how many rows they are.
// Twins: kernels/src/q6.rs, kernels/src/q6.cu
//
// WGSL has no 64-bit integers: sums are two u32 limbs, added with carry, in registers first and then
// through workgroup memory. A workgroup leaves three words in `partial`: low limb, high limb, rows
// taken. The host adds them up.
//
// `partial` decides how many workgroups work, and is written to its end: words that no workgroup owns
// become 0.

struct Params {
    n: u32,
    date_from: u32,
    date_to: u32,
    discount_min: u32,
    discount_max: u32,
    quantity_below: u32,
}

@group(0) @binding(0) var<storage, read> shipdate: array<u32>;
@group(0) @binding(1) var<storage, read> discount: array<u32>;
@group(0) @binding(2) var<storage, read> quantity: array<u32>;
@group(0) @binding(3) var<storage, read> extendedprice: array<u32>;
@group(0) @binding(4) var<storage, read_write> partial: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

const TILE = 1024u;
const MOST_GROUPS = 65536u;

// Low limb, high limb, rows.
struct Sum {
    low: u32,
    high: u32,
    rows: u32,
}

var<workgroup> low: array<u32, 256>;
var<workgroup> high: array<u32, 256>;
var<workgroup> rows: array<u32, 256>;

fn add(a: Sum, b: Sum) -> Sum {
    let sum = a.low + b.low;
    return Sum(sum, a.high + b.high + u32(sum < a.low), a.rows + b.rows);
}

// The full product of two u32, from products of their 16-bit halves.
fn product(a: u32, b: u32) -> Sum {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let p01 = a0 * b1;
    let p10 = a1 * b0;
    let middle = ((a0 * b0) >> 16u) + (p01 & 0xffffu) + (p10 & 0xffffu);
    return Sum(a * b, a1 * b1 + (p01 >> 16u) + (p10 >> 16u) + (middle >> 16u), 1u);
}

fn row(sum: Sum, date: u32, percent: u32, count: u32, price: u32) -> Sum {
    if date >= params.date_from && date < params.date_to
        && percent >= params.discount_min && percent <= params.discount_max
        && count < params.quantity_below {
        return add(sum, product(price, percent));
    }
    return sum;
}

@compute @workgroup_size(256)
fn q6(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = min(
        min(params.n, min(arrayLength(&shipdate), arrayLength(&discount))),
        min(arrayLength(&quantity), arrayLength(&extendedprice)),
    );
    let length = arrayLength(&partial);
    let group = workgroup.y * workgroups.x + workgroup.x;
    let groups = min(min(workgroups.x * workgroups.y, MOST_GROUPS), length / 3u);

    // An even share of consecutive tiles: the first `tiles % groups` workgroups take one tile more.
    let tiles = n / TILE + u32(n % TILE != 0u);
    let share = tiles / max(groups, 1u);
    let more = tiles % max(groups, 1u);
    var tile = group * share + min(group, more);
    var end = tile + share + u32(group < more);
    if group >= groups {
        end = tile;
    }
    let whole = min(end, n / TILE);

    var sum = Sum(0u, 0u, 0u);
    for (; tile < whole; tile += 1u) {
        // Four rows, 256 apart: all sixteen loads are under way before the first is looked at.
        let i0 = tile * TILE + lane;
        let i1 = i0 + 256u;
        let i2 = i0 + 512u;
        let i3 = i0 + 768u;
        let d0 = shipdate[i0];
        let d1 = shipdate[i1];
        let d2 = shipdate[i2];
        let d3 = shipdate[i3];
        let p0 = discount[i0];
        let p1 = discount[i1];
        let p2 = discount[i2];
        let p3 = discount[i3];
        let q0 = quantity[i0];
        let q1 = quantity[i1];
        let q2 = quantity[i2];
        let q3 = quantity[i3];
        let e0 = extendedprice[i0];
        let e1 = extendedprice[i1];
        let e2 = extendedprice[i2];
        let e3 = extendedprice[i3];
        sum = row(sum, d0, p0, q0, e0);
        sum = row(sum, d1, p1, q1, e1);
        sum = row(sum, d2, p2, q2, e2);
        sum = row(sum, d3, p3, q3, e3);
    }
    if tile < end {
        for (var rest = lane; rest < n % TILE; rest += 256u) {
            let i = tile * TILE + rest;
            sum = row(sum, shipdate[i], discount[i], quantity[i], extendedprice[i]);
        }
    }

    low[lane] = sum.low;
    high[lane] = sum.high;
    rows[lane] = sum.rows;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half {
            let other = lane + half;
            sum = add(sum, Sum(low[other], high[other], rows[other]));
            low[lane] = sum.low;
            high[lane] = sum.high;
            rows[lane] = sum.rows;
        }
        workgroupBarrier();
    }

    if group < groups {
        if lane == 0u {
            partial[3u * group] = sum.low;
            partial[3u * group + 1u] = sum.high;
            partial[3u * group + 2u] = sum.rows;
        }
        let unowned = length - 3u * groups;
        let stride = groups * 256u;
        for (var lap = 0u; lap <= unowned / stride; lap += 1u) {
            let i = lap * stride + group * 256u + lane;
            if i < unowned {
                partial[3u * groups + i] = 0u;
            }
        }
    }
}
