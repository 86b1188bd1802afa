var<workgroup> a: array<u32, 100000000>;
@compute @workgroup_size(1) fn main() { a[0] = 1u; }
//~ 1:1: workgroup memory is over 64 MiB
