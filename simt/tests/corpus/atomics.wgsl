// Every atomic, on buffers and on workgroup memory.
struct Counters { add: atomic<u32>, sub: atomic<i32>, low: atomic<i32>, high: atomic<i32>, bits_and: atomic<u32>, bits_or: atomic<u32>, bits_xor: atomic<u32>, last: atomic<u32>, turn: atomic<u32>, lowest: atomic<u32> }
@group(0) @binding(0) var<storage, read_write> counters: Counters;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<storage, read_write> histogram: array<atomic<u32>>;
var<workgroup> local: array<atomic<u32>, 4>;
var<workgroup> own: atomic<i32>;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32) {
    let n = id.x;
    let ticket = atomicAdd(&counters.add, 1u);
    out[ticket] = 1u;
    atomicSub(&counters.sub, 2);
    atomicMin(&counters.low, i32(n) - 50);
    atomicMax(&counters.high, i32(n) - 50);
    atomicMin(&counters.lowest, n + 3u);
    atomicAnd(&counters.bits_and, ~(1u << (n % 32u)));
    atomicOr(&counters.bits_or, 1u << (n % 32u));
    atomicXor(&counters.bits_xor, n);
    atomicStore(&counters.last, 9u);
    loop {
        let old = atomicLoad(&counters.turn);
        let done = atomicCompareExchangeWeak(&counters.turn, old, old + 3u);
        if done.exchanged { break; }
    }
    atomicAdd(&histogram[n % 5u], 1u);
    atomicMax(&own, i32(i) - 8);
    atomicAdd(&local[i % 4u], i);
    workgroupBarrier();
    if i < 4u { atomicAdd(&histogram[5u + i], atomicLoad(&local[i])); }
    if i == 4u { atomicAdd(&histogram[9], u32(atomicExchange(&own, 0))); }
}
