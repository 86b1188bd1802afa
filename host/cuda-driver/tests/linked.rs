//! A program that uses `cust` and links this crate: it starts, and hears "no device", where there is
//! no driver.

use std::path::Path;
use std::process::Command;

use cust::error::CudaError;
use wharf_cuda_driver as driver;

#[test]
fn a_machine_without_a_driver_gets_an_error_that_can_be_printed() {
    match (driver::status(), cust::init(cust::CudaFlags::empty())) {
        (Err(missing), answer) => {
            assert_eq!(answer, Err(CudaError::NoDevice), "{missing}");
            assert_eq!(CudaError::NoDevice.to_string(), "\"no CUDA driver was found\"");
            assert_eq!(cust::device::Device::num_devices(), Err(CudaError::NoDevice));
            assert!(driver::symbol(c"cuInit").is_none());
        }
        (Ok(path), answer) => {
            eprintln!("skipped: {} is here, and says {answer:?}", path.display());
        }
    }
}

#[test]
fn the_program_does_not_ask_the_loader_for_a_driver() {
    let program = std::env::current_exe().expect("a test is a program");
    let listed = match Command::new("ldd").arg(&program).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        other => {
            eprintln!("skipped: ldd cannot list {}: {other:?}", program.display());
            return;
        }
    };
    assert!(listed.contains("libc"), "ldd lists nothing: {listed}");
    assert!(!listed.contains("libcuda"), "{listed}");
}

/// Else the driver itself, once opened, could find our `cuInit` in place of its own.
#[cfg(unix)]
#[test]
#[expect(unsafe_code, reason = "a symbol is looked up in the running program")]
fn the_program_does_not_show_its_forwarders_to_the_libraries_it_opens() {
    let program = libloading::os::unix::Library::this();
    // SAFETY: the symbol is looked up and not used.
    let found = unsafe { program.get::<*const ()>(c"cuInit") };
    assert!(found.is_err());
}

#[test]
fn the_table_names_each_entry_point_once() {
    let mut names = driver::ENTRY_POINTS.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), driver::ENTRY_POINTS.len());
    assert!(names.iter().all(|name| name.starts_with("cu")));
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("toolkit/lib64/libcuda.a").exists());
}
