@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var s: sampler;
@group(0) @binding(2) var tex: texture_2d<f32>;
@compute @workgroup_size(1) fn main() { out[0] = textureSampleLevel(tex, s, vec2(0.0), 0.0).x; }
//~ 3:23: a texture cannot run on the CPU
