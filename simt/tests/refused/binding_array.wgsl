enable wgpu_binding_array;
struct Part { x: f32 }
@group(0) @binding(0) var<storage, read_write> parts: binding_array<Part, 4>;
@compute @workgroup_size(1) fn main() { parts[1].x = 1.0; }
//~ 3:23: a binding array cannot run on the CPU
