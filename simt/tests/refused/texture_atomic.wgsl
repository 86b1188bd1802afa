@group(0) @binding(0) var tex: texture_storage_2d<r32uint, atomic>;
@compute @workgroup_size(1) fn main() { textureAtomicAdd(tex, vec2(0, 0), 1u); }
//~ 1:23: a texture cannot run on the CPU
