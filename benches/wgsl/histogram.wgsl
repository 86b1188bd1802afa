// How often each value of the lowest eight bits occurs: a workgroup counts 16384 values through atomics
// in its own memory, and adds its counts to the bins once.

@group(0) @binding(0) var<storage, read> values: array<u32>;
@group(0) @binding(1) var<storage, read_write> bins: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> n: u32;

var<workgroup> counts: array<atomic<u32>, 256>;

@compute @workgroup_size(256)
fn histogram(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var lap = 0u; lap < 64u; lap += 1u) {
        let i = workgroup.x * 16384u + lap * 256u + lane;
        if i < n {
            atomicAdd(&counts[values[i] & 255u], 1u);
        }
    }
    workgroupBarrier();
    atomicAdd(&bins[lane], atomicLoad(&counts[lane]));
}
