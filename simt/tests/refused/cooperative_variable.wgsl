enable wgpu_cooperative_matrix;
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(32) fn main() {
    var kept: coop_mat8x8<f32, C>;
    coopStore(kept, &out[0], 8u);
}
//~ 4:5: a cooperative matrix cannot run on the CPU
