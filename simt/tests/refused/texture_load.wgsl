@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var tex: texture_2d<f32>;
fn look() -> f32 { return textureLoad(tex, vec2(0, 0), 0).x; }
@compute @workgroup_size(1) fn main() { out[0] = look() + f32(textureDimensions(tex).x); }
//~ 2:23: a texture cannot run on the CPU
