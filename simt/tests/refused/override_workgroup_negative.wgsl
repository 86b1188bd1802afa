override width: i32 = -3;
@compute @workgroup_size(width)
fn main() { }
//~ 3:4: override: workgroup_size override isn't strictly positive
