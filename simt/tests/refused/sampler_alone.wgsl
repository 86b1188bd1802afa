@group(0) @binding(1) var s: sampler;
@compute @workgroup_size(1) fn main() { _ = s; }
//~ 1:23: a sampler cannot run on the CPU
