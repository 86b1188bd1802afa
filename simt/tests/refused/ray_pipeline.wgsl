enable wgpu_ray_tracing_pipeline;
@group(0) @binding(1) var scene: acceleration_structure;
var<ray_payload> carried: u32;
@compute @workgroup_size(1) fn main() {
    traceRay(scene, RayDesc(0u, 0xffu, 0.1, 9.0, vec3(0.0), vec3(1.0)), &carried);
}
//~ 2:23: an acceleration structure cannot run on the CPU
