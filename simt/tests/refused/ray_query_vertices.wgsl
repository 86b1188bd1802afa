enable wgpu_ray_query;
enable wgpu_ray_query_vertex_return;
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var scene: acceleration_structure<vertex_return>;
@compute @workgroup_size(1) fn main() {
    var query: ray_query<vertex_return>;
    rayQueryInitialize(&query, scene, RayDesc(0u, 0xffu, 0.1, 9.0, vec3(0.0), vec3(1.0)));
    while rayQueryProceed(&query) { }
    out[0] = getCommittedHitVertexPositions(&query)[0].x;
}
//~ 6:5: a ray query cannot run on the CPU
