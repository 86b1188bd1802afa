enable wgpu_cooperative_matrix;
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(32) fn main() {
    let a = coopLoad<coop_mat8x8<f32, A>>(&out[0], 8u);
    let b = coopLoad<coop_mat8x8<f32, B>>(&out[64], 8u);
    let c = coopLoad<coop_mat8x8<f32, C>>(&out[128], 8u);
    let d = coopMultiplyAdd(a, b, c);
    coopStore(d, &out[0], 8u);
}
//~ 4:13: a cooperative matrix cannot run on the CPU
