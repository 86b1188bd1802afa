enable wgpu_ray_query;
@group(0) @binding(0) var scene: acceleration_structure;
@compute @workgroup_size(1) fn main() { _ = scene; }
//~ 2:23: an acceleration structure cannot run on the CPU
