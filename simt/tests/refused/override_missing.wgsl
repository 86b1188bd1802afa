@group(0) @binding(0) var<storage, read_write> out: array<u32>;
override width: u32;
@compute @workgroup_size(width) fn main() { out[0] = 1u; }
//~ 2:1: override: Missing value for pipeline-overridable constant with identifier string: 'width'
