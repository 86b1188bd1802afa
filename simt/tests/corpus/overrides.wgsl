@id(3) override factor: f32 = 2.0;
override count: u32;
// Nobody uses it; it may be set all the same.
@id(5) override idle: u32;
override flip: bool = false;
override derived = f32(count) * factor;
const list = array(1.0, 2.0, 4.0);
@group(0) @binding(0) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(count)
fn main(@builtin(local_invocation_index) i: u32) {
    out[i] = select(derived, -derived, flip) + list[i % 3u] * factor;
}
