//! The engine for a model checker: its locks, signals and threads are the checker's, its device does nothing but
//! report.

mod hardware;
pub(crate) mod sync;

use std::sync::Arc;

pub use hardware::{Hardware, Script};
pub use sync::{Bug, plant};

use crate::{Device, Options};

/// Opens a device that does what the script says.
pub fn open(script: Script) -> (Device, Arc<Hardware>) {
    let hardware = Arc::new(Hardware::new(script));
    let options = Options::new().spin(std::time::Duration::ZERO);
    let device = Device::new("model", hardware.clone(), &options).expect("it can be driven so");
    (device, hardware)
}
