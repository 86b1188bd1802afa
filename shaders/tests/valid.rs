//! Every file is listed, parses, validates, and has one entry point of its own name.

use std::collections::BTreeSet;

use wharf_simt::Module;

#[test]
fn every_file_is_listed_and_every_listed_file_is_there() {
    let files: BTreeSet<String> = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .expect("this crate's folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wgsl"))
        .map(|path| path.file_stem().expect("a stem").to_string_lossy().into_owned())
        .collect();
    let listed = wharf_shaders::ALL.iter().map(|(stem, _)| (*stem).to_owned()).collect();
    assert_eq!(files, listed);
}

#[test]
fn every_source_is_valid_and_has_one_entry_point_called_like_its_file() {
    for (stem, source) in wharf_shaders::ALL {
        let module = Module::new(source).unwrap_or_else(|e| panic!("{stem}.wgsl: {e}"));
        let names: Vec<_> = module.entries().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, [*stem]);
    }
}

#[test]
fn every_kernel_keeps_to_the_limits_that_every_adapter_has() {
    for (stem, source) in wharf_shaders::ALL {
        let module = Module::new(source).unwrap_or_else(|e| panic!("{stem}.wgsl: {e}"));
        let size = module.workgroup_size(stem, &[]).expect("its size");
        assert!(size.iter().product::<u32>() <= 256, "{stem}: {size:?} invocations");
        let bytes = module.workgroup_bytes(stem, &[]).expect("its workgroup memory");
        assert!(bytes <= 16_352, "{stem}: {bytes} bytes of workgroup memory");
    }
}
