@group(0) @binding(0) var<storage, read_write> out: array<u32>;
var<immediate> number: u32;
@compute @workgroup_size(1) fn main() { out[0] = number; }
//~ 2:1: `var<immediate>` cannot run on the CPU
