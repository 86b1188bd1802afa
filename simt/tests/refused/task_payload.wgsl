enable wgpu_mesh_shader;
var<task_payload> carried: u32;
@compute @workgroup_size(1) fn main() { carried = 1u; }
//~ 2:1: a task payload cannot run on the CPU
