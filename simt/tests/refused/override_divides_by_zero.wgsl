@group(0) @binding(0) var<storage, read_write> out: array<u32>;
override n: u32 = 0;
override m: u32 = 7u / n;
@compute @workgroup_size(1) fn main() { out[0] = m; }
//~ 4:32: override: Division by zero
