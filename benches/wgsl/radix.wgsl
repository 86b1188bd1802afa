// One pass of a stable radix sort by four bits: workgroups count the digits of their 2048 keys, one workgroup
// turns the counts into places, and each workgroup puts its keys there in order.

struct Params {
    groups: u32,
    shift: u32,
}

@group(0) @binding(0) var<storage, read> keys: array<u32>;
@group(0) @binding(1) var<storage, read_write> sorted: array<u32>;
// By digit, then by workgroup: counts, then the place of the first such key.
@group(0) @binding(2) var<storage, read_write> places: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 128u;
const KEYS = 16u;
const DIGITS = 16u;

fn digit_of(key: u32) -> u32 {
    return (key >> params.shift) & (DIGITS - 1u);
}

var<workgroup> counts: array<atomic<u32>, DIGITS>;

@compute @workgroup_size(LANES)
fn count(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var lap = 0u; lap < KEYS; lap += 1u) {
        let key = keys[(workgroup.x * KEYS + lap) * LANES + lane];
        atomicAdd(&counts[digit_of(key)], 1u);
    }
    workgroupBarrier();
    if lane < DIGITS {
        places[lane * params.groups + workgroup.x] = atomicLoad(&counts[lane]);
    }
}

var<workgroup> sums: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn scan(@builtin(local_invocation_index) lane: u32) {
    let total = DIGITS * params.groups;
    let share = (total + LANES - 1u) / LANES;
    let start = min(lane * share, total);
    let end = min(start + share, total);
    var sum = 0u;
    for (var i = start; i < end; i += 1u) {
        sum += places[i];
    }
    sums[lane] = sum;
    for (var step = 1u; step < LANES; step *= 2u) {
        workgroupBarrier();
        var before = 0u;
        if lane >= step {
            before = sums[lane - step];
        }
        workgroupBarrier();
        sums[lane] += before;
    }
    var place = sums[lane] - sum;
    for (var i = start; i < end; i += 1u) {
        let here = places[i];
        places[i] = place;
        place += here;
    }
}

// By digit, then by invocation: counts, then how many such keys come before in the workgroup.
var<workgroup> before: array<u32, 2048>;
var<workgroup> parts: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn scatter(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first = (workgroup.x * LANES + lane) * KEYS;
    for (var i = 0u; i < KEYS; i += 1u) {
        before[digit_of(keys[first + i]) * LANES + lane] += 1u;
    }
    workgroupBarrier();
    // Eight invocations share the row of a digit; each scans 16 counts of it.
    let row = lane / 8u * LANES + lane % 8u * 16u;
    var sum = 0u;
    for (var i = 0u; i < 16u; i += 1u) {
        let here = before[row + i];
        before[row + i] = sum;
        sum += here;
    }
    parts[lane] = sum;
    workgroupBarrier();
    var start = 0u;
    for (var part = lane / 8u * 8u; part < lane; part += 1u) {
        start += parts[part];
    }
    for (var i = 0u; i < 16u; i += 1u) {
        before[row + i] += start;
    }
    workgroupBarrier();
    for (var i = 0u; i < KEYS; i += 1u) {
        let key = keys[first + i];
        let digit = digit_of(key);
        let own = digit * LANES + lane;
        sorted[places[digit * params.groups + workgroup.x] + before[own]] = key;
        before[own] += 1u;
    }
}
