@id(3) override factor: f32 = 2.0;
override count: u32;
// Nobody uses it; it may be set all the same.
@id(5) override idle: u32;
override flip: bool = false;
override derived = f32(count) * factor;
override both = flip && count > 2u;
override either = flip || count > 2u;
const list = array(1.0, 2.0, 4.0);
@group(0) @binding(0) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(count)
fn main(@builtin(local_invocation_index) i: u32) {
    out[i] = select(derived, -derived, flip) + list[i % 3u] * factor;
}

@compute @workgroup_size(1)
fn logic() {
    out[0] = select(1.0, 2.0, both);
    out[1] = select(1.0, 2.0, either);
}
