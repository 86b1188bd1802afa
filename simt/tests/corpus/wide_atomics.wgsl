// 64-bit atomics, which naga adds to WGSL.
@group(0) @binding(0) var<storage, read_write> total: atomic<u64>;
@group(0) @binding(1) var<storage, read_write> out: array<i64>;
var<workgroup> most: atomic<i64>;

@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    atomicAdd(&total, u64(i) + (1lu << 33u));
    atomicMax(&most, i64(i) - 2li);
    workgroupBarrier();
    out[i] = atomicLoad(&most) * (1li << (31u + i));
}
