// The product of the sides is 0 in 32 bits.

@compute @workgroup_size(16384, 16384, 16)
fn main() { }
//~ 4:4: a workgroup of 16384 x 16384 x 16 has more than 16384 invocations
