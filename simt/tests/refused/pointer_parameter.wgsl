@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(1) fn main() { let p = &out; let q = &p; }
//~ 2:63: the operand of the `&` operator must be a reference
