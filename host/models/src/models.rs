//! The engine for a model checker: its locks, signals and threads are the checker's, its device only moves bytes, and
//! watches over its memory.

mod hardware;
mod memory;
pub(crate) mod sync;

use std::sync::Arc;

pub use hardware::{Hardware, Script};
pub use sync::{Bug, plant};

use crate::{Device, Options};

/// Opens a device that does what the script says.
pub fn open(script: Script) -> (Device, Arc<Hardware>) {
    let options = Options::new().spin(std::time::Duration::ZERO);
    let options = script.memory_bytes.map_or(options, |bytes| options.memory_bytes(bytes));
    let hardware = Arc::new(Hardware::new(script));
    let device = Device::new("model", hardware.clone(), &options).expect("it can be driven so");
    (device, hardware)
}
