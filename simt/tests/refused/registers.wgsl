@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(1024)
fn main() { var a: array<u32, 900000>; a[out[0]] = 1u; out[1] = a[out[2]]; }
//~ 3:4: a workgroup's registers take 3686424576 bytes, over 1073741824
