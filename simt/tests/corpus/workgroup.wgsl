// Workgroup memory, barriers and uniform loads.
override size: u32 = 64u;
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
var<workgroup> tile: array<f32, size>;
var<workgroup> chosen: u32;
var<workgroup> many: atomic<u32>;

@compute @workgroup_size(size)
fn reduce(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>) {
    if id.x < arrayLength(&input) { tile[i] = input[id.x]; }
    workgroupBarrier();
    for (var step = size / 2u; step > 0u; step /= 2u) {
        if i < step { tile[i] += tile[i + step]; }
        workgroupBarrier();
    }
    if i == 0u { sums[group.x] = tile[0]; }
}

@compute @workgroup_size(size)
fn uniform_load(@builtin(local_invocation_index) i: u32) {
    if i == size - 3u { chosen = 17u; atomicStore(&many, 5u); }
    let value = workgroupUniformLoad(&chosen);
    let count = workgroupUniformLoad(&many);
    if value == 17u { storageBarrier(); }
    textureBarrier();
    sums[i] = f32(value + count);
}

@compute @workgroup_size(8)
fn wrong(@builtin(local_invocation_index) i: u32) {
    if input[i] > 3.0 {
        workgroupBarrier();
    }
    sums[i] = 1.0;
}

@compute @workgroup_size(8)
fn endless() {
    var i = 0u;
    loop { i++; if i == 0u && sums[0] > 1e30 { break; } }
    sums[0] = f32(i);
}
