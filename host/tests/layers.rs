//! Who may know whom: inside `host`, and what the library may not pull in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).expect("it is UTF-8");
            found.push((path.to_string_lossy().replace('\\', "/"), text));
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ lies in the workspace").to_owned()
}

/// The lines of code that mention `what`, outside files whose path contains one of `allowed`.
fn mentions(folder: &str, what: &str, allowed: &[&str]) -> Vec<String> {
    let sources = sources(&root().join(folder));
    assert!(!sources.is_empty(), "{folder} has sources");
    let code = |line: &&str| !line.trim_start().starts_with("//");
    sources
        .iter()
        .filter(|(path, _)| !allowed.iter().any(|allowed| path.contains(allowed)))
        .flat_map(|(path, text)| {
            text.lines().filter(code).filter(|line| line.contains(what)).map(move |line| format!("{path}: {line}"))
        })
        .collect()
}

#[test]
fn only_its_backend_says_the_name_of_a_driver_crate() {
    for folder in ["host/src", "kernels/src", "batch/src", "cli"] {
        assert_eq!(mentions(folder, "wgpu::", &["src/backend/wgpu", "src/discover.rs"]), [""; 0]);
        assert_eq!(mentions(folder, "cust::", &["src/backend/cuda"]), [""; 0]);
    }
    assert!(!mentions("host/src", "wgpu::", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn a_backend_does_not_know_devices_and_queues() {
    for name in ["crate::device", "crate::dma", "crate::launch", "crate::transfer", "crate::buffer"] {
        let found: Vec<_> = mentions("host/src/backend", name, &[]);
        assert_eq!(found, [""; 0], "{name}");
    }
}

/// Else it would pass the bound, or stay in its books.
#[test]
fn device_memory_has_one_door() {
    for call in ["backend.alloc(", "backend.free("] {
        assert_eq!(mentions("host/src", call, &["src/backend", "src/device_memory.rs"]), [""; 0]);
        assert!(!mentions("host/src", call, &[]).is_empty(), "the search finds what is there");
    }
}

#[test]
fn host_names_no_kernel() {
    assert_eq!(mentions("host/src", "wharf_kernels", &[]), [""; 0]);
    assert_eq!(mentions("simt/src", "wharf::", &[]), [""; 0]);
}

#[test]
fn the_library_pulls_in_no_runtime_no_arrow_and_no_parser_of_arguments() {
    let tree = |features: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "-p", "wharf", "-e", "normal", "--prefix", "none"])
            .args(features)
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    for features in [&["--all-features"][..], &["--no-default-features"]] {
        let tree = tree(features);
        assert!(tree.contains("bytemuck"), "the search finds what is there");
        for unwanted in ["tokio", "async-std", "smol", "arrow", "parquet", "clap"] {
            let found = tree.lines().find(|line| line.split(' ').next() == Some(unwanted));
            assert_eq!(found, None, "with {features:?}");
        }
    }
}
