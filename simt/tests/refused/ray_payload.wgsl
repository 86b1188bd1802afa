enable wgpu_ray_tracing_pipeline;
var<ray_payload> carried: u32;
@compute @workgroup_size(1) fn main() { carried = 1u; }
//~ 2:1: a ray payload cannot run on the CPU
