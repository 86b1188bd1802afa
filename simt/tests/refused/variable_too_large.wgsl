@compute @workgroup_size(1)
fn main() { var a: array<array<u32, 65536>, 65536>; a[0][0] = 1u; }
//~ 2:13: Error laying out this type: Size exceeds limit of 2147483647 bytes
