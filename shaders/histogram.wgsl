// histogram: adds to bins[b] how many of the first n values have b in the 8 bits from `shift` on.
// Twins: kernels/src/histogram.rs, kernels/src/histogram.cu
//
// A workgroup counts in its own memory, then adds its counts to `bins` once. It keeps eight copies, so
// that invocations which meet the same value rarely wait for each other; the copies are 257 words
// apart, so that the same bin of two copies lies in two banks.

struct Params {
    n: u32,
    shift: u32,
}

@group(0) @binding(0) var<storage, read> values: array<u32>;
@group(0) @binding(1) var<storage, read_write> bins: array<atomic<u32>, 256>;
@group(0) @binding(2) var<uniform> params: Params;

const TILE = 2048u;
const COPY = 257u;

var<workgroup> counts: array<atomic<u32>, 2056>;

fn count(value: u32, copy: u32) {
    let bin = (value >> (params.shift & 31u)) & 255u;
    atomicAdd(&counts[copy + bin], 1u);
}

@compute @workgroup_size(256)
fn histogram(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var i = lane; i < 8u * COPY; i += 256u) {
        atomicStore(&counts[i], 0u);
    }
    workgroupBarrier();

    // An even share of consecutive tiles: the first `tiles % groups` workgroups take one tile more.
    let n = min(params.n, arrayLength(&values));
    let group = workgroup.y * workgroups.x + workgroup.x;
    let groups = workgroups.x * workgroups.y;
    let tiles = n / TILE + u32(n % TILE != 0u);
    let share = tiles / groups;
    let more = tiles % groups;
    var tile = group * share + min(group, more);
    let end = tile + share + u32(group < more);
    let whole = min(end, n / TILE);

    let copy = (lane & 7u) * COPY;
    for (; tile < whole; tile += 1u) {
        let i = tile * TILE + lane;
        // All eight loads are under way before the first is counted.
        let v0 = values[i];
        let v1 = values[i + 256u];
        let v2 = values[i + 512u];
        let v3 = values[i + 768u];
        let v4 = values[i + 1024u];
        let v5 = values[i + 1280u];
        let v6 = values[i + 1536u];
        let v7 = values[i + 1792u];
        count(v0, copy);
        count(v1, copy);
        count(v2, copy);
        count(v3, copy);
        count(v4, copy);
        count(v5, copy);
        count(v6, copy);
        count(v7, copy);
    }
    if tile < end {
        for (var rest = lane; rest < n % TILE; rest += 256u) {
            count(values[tile * TILE + rest], copy);
        }
    }
    workgroupBarrier();

    let total = atomicLoad(&counts[lane])
        + atomicLoad(&counts[lane + COPY])
        + atomicLoad(&counts[lane + 2u * COPY])
        + atomicLoad(&counts[lane + 3u * COPY])
        + atomicLoad(&counts[lane + 4u * COPY])
        + atomicLoad(&counts[lane + 5u * COPY])
        + atomicLoad(&counts[lane + 6u * COPY])
        + atomicLoad(&counts[lane + 7u * COPY]);
    if total != 0u {
        atomicAdd(&bins[lane], total);
    }
}
