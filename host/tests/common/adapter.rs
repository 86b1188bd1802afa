//! Whether tests on wgpu have a device.

use wharf::Device;

/// Whether wgpu sees an adapter. Where there is none that is said, and a failure if `WHARF_REQUIRE` asks for one.
pub(crate) fn is_there() -> bool {
    match Device::open("wgpu") {
        Ok(_) => true,
        Err(e) if e.is_unavailable() && !std::env::var("WHARF_REQUIRE").unwrap_or_default().contains("wgpu") => {
            eprintln!("SKIP {e}");
            false
        }
        Err(e) => panic!("{e}"),
    }
}
