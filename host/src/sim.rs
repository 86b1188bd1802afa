//! Simulated devices: schedules for hardware that is not here, and faults on demand.

use std::{sync::Arc, time::Duration};

use crate::{
    backend::sim::{Description, ITEMS, Sim, Time},
    device::Device,
    error::Result,
    options::{Options, Progress},
};

pub use crate::backend::sim::{Faults, ScriptedFault};

/// A simulated device and its virtual clock. Results are real, times are computed.
///
/// A line of text describes it, items in any order, later ones over earlier ones:
///
/// | item | what |
/// |---|---|
/// | `gen5x16` | a link: PCI Express, `gen3` to `gen5` with `x1` to `x16`; `rate` after packet overhead, `latency` 6 us |
/// | `h200` | a card, `h200`, `h100`, `a100` or `4090`: `memory` and `bandwidth` of its data sheet |
/// | `rate=25GB/s`, `up=25GB/s`, `down=25GB/s` | the link's bytes per second, both ways or one |
/// | `latency=6us`, `launch=4.5us` | what each transfer and each launch takes beside its bytes |
/// | `duplex=no` | the link carries one direction at a time |
/// | `memory=80GB`, `bandwidth=2TB/s` | of the card |
/// | `engines=1`, `overlap=no` | engines for copies, 0 to 2; whether they work beside kernels |
/// | `cap=512` | operations that the driver takes before they end |
/// | `seed=7` | of everything random |
/// | `watchdog=1s` | an operation that runs longer loses the device |
/// | `fail=3`, `exhaust=7`, `late=3:5ms`, `never=9`, `twice=4:1ms`, `overtaken=6` | faults of operations, see [`Faults`] |
/// | `lose@20ms`, `oom=2`, `corrupt=5`, `block@8`, `reorder` | other faults |
///
/// Time passes only while the program waits, or works ([`Simulation::host_work`]), and nothing but the
/// program moves messages on ([`Progress::Manual`](crate::Progress::Manual)): with one thread, the same
/// program with the same seed has the same times and the same order of events wherever it runs.
///
/// [`Device::open`] opens the same device by `sim:` and the line, with threads like any other. Time then
/// passes while messages are under way, as fast as that can be computed, and else stands still, as far as
/// messages notice: what the host does in between costs nothing. As long as a message has a deadline or a
/// doorbell lingers, time keeps pace with the host's clock instead, so that the program has as long as it
/// would have on a device that is there. Where nothing happens at all, it goes on by a quarter of a second
/// each time the host's clock has done so: a wait with a timeout ends, if late.
///
/// Without items it is an A100 on `gen4x16`. A kernel takes as long as its bindings' bytes need between
/// card and memory, those that it writes counted twice: a bound from below.
///
/// ```
/// use wharf::Simulation;
///
/// let sim = Simulation::open("gen4x16,latency=10us,rate=25GB/s")?;
/// let x = sim.device().buffer::<u8>(2_500_000)?;
/// let done = sim.device().upload(&x).fill(|i| i as u8)?.wait();
/// assert_eq!(done.receipt.device_seconds, Some(110e-6));
/// # Ok::<(), wharf::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Simulation {
    device: Device,
    sim: Arc<Sim>,
}

impl Device {
    /// What has come of the faults that a simulated device was told to have, each item of its script once: whether it
    /// has happened, so that a test knows that it tests what it says. None of other devices.
    ///
    /// ```
    /// use wharf::Device;
    ///
    /// let device = Device::open("sim:fail=1,fail=900,oom=1")?;
    /// let x = device.buffer::<u32>(1)?; // the second try finds memory
    /// assert!(device.clear(&x).send()?.wait().result.is_err());
    /// let told = device.scripted_faults();
    /// let counts: Vec<_> = told.iter().map(|fault| (fault.item.as_str(), fault.happened, fault.absorbed)).collect();
    /// assert_eq!(counts, [("fail=1", 1, 0), ("fail=900", 0, 0), ("oom=1", 1, 1)]);
    /// # Ok::<(), wharf::Error>(())
    /// ```
    pub fn scripted_faults(&self) -> Vec<ScriptedFault> {
        self.inner.backend.scripted_faults()
    }
}

impl Simulation {
    /// What a description may hold: each item by an example, and what it says.
    pub const ITEMS: &[(&str, &str)] = &ITEMS;

    /// Opens what the text describes.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) where an item is wrong, or `WHARF_THREADS`.
    pub fn open(text: &str) -> Result<Self> {
        Self::open_with(text, Faults::new())
    }

    /// Opens what the text describes, which goes wrong as `faults` say rather than as the text may.
    ///
    /// # Errors
    /// As [`Simulation::open`].
    pub fn open_with(text: &str, faults: Faults) -> Result<Self> {
        let mut description: Description = text.parse()?;
        if faults != Faults::new() {
            description.faults = faults;
        }
        let options = Options::new().progress(Progress::Manual);
        let sim = Arc::new(Sim::new(description, &options)?);
        Ok(Self { device: Device::new(&format!("sim:{text}"), sim.clone(), &options)?, sim })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Virtual seconds since it was opened.
    pub fn seconds(&self) -> f64 {
        self.sim.time().seconds()
    }

    /// The host is busy for so long, while the device and its queues go on: what was sent before is on
    /// its way, and callbacks run.
    pub fn host_work(&self, time: Duration) {
        let end = self.sim.time() + time.into();
        self.sim.set_horizon(end);
        let shared = &self.device.inner.engine.shared;
        while self.sim.time() < end {
            shared.pause(None);
        }
        self.sim.set_horizon(Time::NEVER);
    }

    /// Virtual seconds for which the driver has made its caller wait, where [`Faults::block_at`] says so.
    pub fn blocked_seconds(&self) -> f64 {
        self.sim.blocked().seconds()
    }
}
