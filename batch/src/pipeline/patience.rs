//! A run that is asked to stop ends, also where its device hangs.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel;
use wharf::Device;

/// How long a device may take to give back what it has.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often somebody looks whether the run is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The device that a run is on, for somebody who watches it.
#[derive(Debug)]
pub(super) struct Watched(Mutex<Device>);

impl Watched {
    pub(super) fn device(&self) -> Device {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn go_on_with(&self, device: &Device) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = device.clone();
    }
}

/// Does `work` on the device; where it is not over soon after `stop` was set, the device is declared lost, and
/// everything that waits for it goes on with that.
pub(super) fn watched<T>(device: &Device, stop: &AtomicBool, work: impl FnOnce(&Watched) -> T) -> T {
    let watched = Watched(Mutex::new(device.clone()));
    let (over, is_over) = channel::bounded::<()>(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut since = None;
            while let Err(channel::RecvTimeoutError::Timeout) = is_over.recv_timeout(LOOK) {
                if !stop.load(Relaxed) {
                    continue;
                }
                if since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    return watched.device().declare_lost("it was asked to stop and did not");
                }
            }
        });
        let end = work(&watched);
        drop(over);
        end
    })
}
