//! Says to the library that it is checked.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(wharf_models)");
    println!("cargo::rustc-cfg=wharf_models");
    println!("cargo::rerun-if-changed=build.rs");
}
