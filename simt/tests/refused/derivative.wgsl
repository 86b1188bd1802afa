@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(1) fn main() {
    let x = out[0];
    out[1] = dpdx(x);
}
//~ 4:14: a derivative cannot run on the CPU
