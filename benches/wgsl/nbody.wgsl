// The acceleration of each body by all others. A workgroup reads 256 bodies at a time into its memory, and
// each of its invocations goes through them. xyz is a place, w a mass.

const TILE = 256u;
const SOFTENING = 0.01;

@group(0) @binding(0) var<storage, read> bodies: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> accelerations: array<vec4<f32>>;

var<workgroup> tile: array<vec4<f32>, TILE>;

@compute @workgroup_size(TILE)
fn nbody(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = bodies[id.x].xyz;
    var sum = vec3<f32>();
    for (var first = 0u; first < arrayLength(&bodies); first += TILE) {
        tile[lane] = bodies[first + lane];
        workgroupBarrier();
        for (var i = 0u; i < TILE; i += 1u) {
            let other = tile[i];
            let way = other.xyz - place;
            let inverse = inverseSqrt(dot(way, way) + SOFTENING);
            sum += way * (other.w * inverse * inverse * inverse);
        }
        workgroupBarrier();
    }
    accelerations[id.x] = vec4<f32>(sum, 0.0);
}
