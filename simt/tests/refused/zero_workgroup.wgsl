@compute @workgroup_size(0)
fn main() { }
//~ 2:4: Entry point main at Compute is invalid: Workgroup size is out of range
