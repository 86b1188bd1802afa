@group(0) @binding(0) var<storage, read_write> out: array<f32>;
fn stop(x: f32) {
    loop { if x > 1.0 { discard; } else { break; } }
}
@compute @workgroup_size(1) fn main() { stop(out[0]); }
//~ 3:25: `discard` cannot run on the CPU
