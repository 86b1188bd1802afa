fn again(x: u32) -> u32 { return again(x); }
@compute @workgroup_size(1) fn main() { _ = again(1u); }
//~ 1:4: declaration of `again` is recursive
