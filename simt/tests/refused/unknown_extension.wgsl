enable chromium_experimental_everything;
@compute @workgroup_size(1) fn main() { }
//~ 1:8: unknown enable-extension `chromium_experimental_everything`
