@group(0) @binding(0) var tex: texture_storage_2d<r32float, write>;
@compute @workgroup_size(1) fn main() { if true { textureStore(tex, vec2(0, 0), vec4(1.0)); } }
//~ 1:23: a texture cannot run on the CPU
