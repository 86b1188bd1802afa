@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(1) fn main() {
    out[0] = 1.5;
}
//~ 3:5: automatic conversions cannot convert elements of `{AbstractFloat}` to `u32`
