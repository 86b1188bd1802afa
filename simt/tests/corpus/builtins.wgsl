// Where an invocation is, as arguments and as a structure.
struct Place { @builtin(local_invocation_id) local: vec3<u32>, @builtin(num_workgroups) count: vec3<u32> }
@group(0) @binding(0) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(2, 3, 2)
fn main(place: Place, @builtin(global_invocation_id) global: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let side = place.count * vec3(2u, 3u, 2u);
    let at = global.x + side.x * (global.y + side.y * global.z);
    out[at] = index + 100u * (place.local.x + 2u * place.local.y + 6u * place.local.z) + 10000u * (group.x + 2u * group.y + 6u * group.z);
}
