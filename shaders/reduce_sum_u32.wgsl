// reduce_sum_u32: the sum of `input` modulo 2^32, one partial sum per workgroup.
// Twins: kernels/src/reduce.rs, kernels/src/reduce.cu
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

@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> partial: array<u32>;

const TILE = 2048u;
const MOST_GROUPS = 65536u;

var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn reduce_sum_u32(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = arrayLength(&input);
    let length = arrayLength(&partial);
    let group = workgroup.y * workgroups.x + workgroup.x;
    let groups = min(min(workgroups.x * workgroups.y, MOST_GROUPS), length);

    // An even share: the first `tiles % groups` workgroups take one tile more.
    let tiles = n / TILE + u32(n % TILE != 0u);
    let share = tiles / max(groups, 1u);
    let more = tiles % max(groups, 1u);
    var tile = group * share + min(group, more);
    var end = tile + share + u32(group < more);
    if group >= groups {
        end = tile;
    }
    let whole = min(end, n / TILE);

    var s0 = 0u; var s1 = 0u; var s2 = 0u; var s3 = 0u;
    var s4 = 0u; var s5 = 0u; var s6 = 0u; var s7 = 0u;
    for (; tile < whole; tile += 1u) {
        let i = tile * TILE + lane;
        s0 += input[i];
        s1 += input[i + 256u];
        s2 += input[i + 512u];
        s3 += input[i + 768u];
        s4 += input[i + 1024u];
        s5 += input[i + 1280u];
        s6 += input[i + 1536u];
        s7 += input[i + 1792u];
    }
    if tile < end {
        let i = tile * TILE + lane;
        let left = n % TILE;
        if lane < left { s0 += input[i]; }
        if lane + 256u < left { s1 += input[i + 256u]; }
        if lane + 512u < left { s2 += input[i + 512u]; }
        if lane + 768u < left { s3 += input[i + 768u]; }
        if lane + 1024u < left { s4 += input[i + 1024u]; }
        if lane + 1280u < left { s5 += input[i + 1280u]; }
        if lane + 1536u < left { s6 += input[i + 1536u]; }
        if lane + 1792u < left { s7 += input[i + 1792u]; }
    }

    // Halves 1024, 512 and 256 lie within an invocation, the others between invocations.
    sums[lane] = ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7));
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }

    if group < groups {
        if lane == 0u {
            partial[group] = sums[0];
        }
        let unowned = length - groups;
        let stride = groups * 256u;
        for (var lap = 0u; lap <= unowned / stride; lap += 1u) {
            let i = lap * stride + group * 256u + lane;
            if i < unowned {
                partial[groups + i] = 0u;
            }
        }
    }
}
