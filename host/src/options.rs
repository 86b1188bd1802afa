//! How a device is opened.

use std::{thread, time::Duration};

use crate::{
    allocate::LEAST_BYTES,
    error::{Error, Result},
};

/// A clock shows what is so far ahead.
const LONGEST_SPIN: Duration = Duration::from_secs(3600);

/// Which form of a kernel the CPU device runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Twin {
    /// The faster one, as it was measured on this machine; until then, the native twin where a kernel has
    /// one, else its WGSL.
    ///
    /// The first launch of a kernel that binds 64 KiB to 256 MiB is followed by the measurement, unless it
    /// took more than 0.1 s: both forms run on copies of what it was given, for some times as long as it took
    /// and 1 s at most, before the launch completes. The device keeps the form it has, so that answers repeat;
    /// devices that are opened later, by whatever program, have the faster one. What was measured is kept
    /// in the folder that the environment variable `WHARF_CACHE` names, else in the user's cache folder.
    ///
    /// A larger launch is not measured: copies would take its memory twice more, and a part of its buffers
    /// would be another launch, as only the kernel knows what it reads where. The answer of a smaller launch
    /// of the same kernel holds for it. Where there was none, it runs the native twin, and receipts say
    /// `native twin: not measured`; [`Twin::Simt`] has it run the WGSL.
    #[default]
    Any,
    /// Native twins only: a kernel without one is refused.
    Native,
    /// WGSL only, through `simt`.
    Simt,
}

/// Who moves a device's messages on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// The device's own threads, helped by those that send: nothing needs the user to poll.
    #[default]
    Threads,
    /// The user's threads: nothing moves but in [`Device::progress`](crate::Device::progress) and in
    /// calls that wait, which do the same until they have what they wait for. A [`Ticket`](crate::Ticket) that is
    /// awaited is none of these: its future is ready only once somebody drives the device. The queues start no
    /// threads. On the CPU device commands run on the calling thread, and kernels as ever on its pool;
    /// a device that may wait inside a submission for what only another thread can give back (wgpu)
    /// cannot be opened so.
    Manual,
}

/// What [`Device::open_with`](crate::Device::open_with) may be told.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub(crate) twin: Twin,
    pub(crate) progress: Progress,
    pub(crate) spin: Duration,
    pub(crate) stall_warn: Option<Duration>,
    pub(crate) evict_bytes: u64,
    pub(crate) memory_bytes: Option<u64>,
}

impl Options {
    /// What [`Device::open`](crate::Device::open) uses.
    pub fn new() -> Self {
        let alone = thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
        let spin = if alone { Duration::ZERO } else { Duration::from_micros(20) };
        Self {
            twin: Twin::default(),
            progress: Progress::default(),
            spin,
            stall_warn: None,
            evict_bytes: u64::MAX,
            memory_bytes: None,
        }
    }

    /// Which form of kernels the CPU device runs. Other devices have one form only.
    #[must_use]
    pub fn twin(mut self, twin: Twin) -> Self {
        self.twin = twin;
        self
    }

    /// Who moves messages on; [`Progress::Threads`] unless said otherwise.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// How long a thread that waits for a message looks for its end before it sleeps; 20 us unless said
    /// otherwise, and not at all on a machine with one core. Sleeping and waking cost about as much. It sleeps at once
    /// where an upload or a download has more bytes before it, with its own, than a link can move in that time. More
    /// than an hour counts as an hour.
    #[must_use]
    pub fn spin(mut self, time: Duration) -> Self {
        self.spin = time.min(LONGEST_SPIN);
        self
    }
}

impl Options {
    /// Bytes of host memory that the contents of evicted buffers may take: see
    /// [`Device::buffer`](crate::Device::buffer). As many as the host has unless said otherwise; with 0 nothing is
    /// evicted, and an allocation that finds no device memory is refused.
    #[must_use]
    pub fn evict_bytes(mut self, most: u64) -> Self {
        self.evict_bytes = most;
        self
    }

    /// The most device memory that buffers of this device may take together, scratch of plans among them: to leave the
    /// rest of a card to others, or to see how a program does on a smaller one. As much as there is unless said
    /// otherwise; where the card has less, that counts. [`Capabilities::memory_bytes`](crate::Capabilities::memory_bytes)
    /// says it.
    ///
    /// A buffer takes its bytes in whole 16s, at least 16, from its allocation until the last message on it is over;
    /// imported data that is not copied takes none. What the library and the driver need besides is not counted:
    /// staging memory, which [`Device::pools`](crate::Device::pools) shows, uniforms, code. An allocation
    /// that would pass the bound is treated as one for which a card has no more memory: room is made for it, other
    /// buffers are evicted ([`Device::buffer`](crate::Device::buffer)), and else it is refused with
    /// [`Error::OutOfMemory`], whose `limit_bytes` is the bound.
    ///
    /// A GPU that shares the host's memory evicts only within such a bound. The CPU device never does, as nothing would
    /// be gained: what would pass the bound is refused. Under a bound below 16, which no buffer fits, no device opens.
    ///
    /// ```
    /// use wharf::{Device, Error, Options};
    ///
    /// let device = Device::open_with("cpu", Options::new().memory_bytes(1 << 20))?;
    /// let half = device.buffer::<u8>(1 << 19)?;
    /// let Err(Error::OutOfMemory { requested_bytes, in_use_bytes, limit_bytes, .. }) = device.buffer::<u8>(1 << 20)
    /// else {
    ///     panic!("half of it is taken");
    /// };
    /// assert_eq!((requested_bytes, in_use_bytes, limit_bytes), (1 << 20, 1 << 19, Some(1 << 20)));
    /// # Ok::<(), wharf::Error>(())
    /// ```
    #[must_use]
    pub fn memory_bytes(mut self, most: u64) -> Self {
        self.memory_bytes = Some(most);
        self
    }

    /// Warns subscribers of `tracing` (a feature) of a queue whose oldest message has been accepted for
    /// longer than this: once for each such message, with what it waits for, as
    /// [`Device::stalled`](crate::Device::stalled) tells it. Not done unless said. A thread looks now and
    /// then; with [`Progress::Manual`], whoever moves messages on.
    #[must_use]
    pub fn stall_warn(mut self, after: Duration) -> Self {
        self.stall_warn = Some(after);
        self
    }

    /// # Errors
    /// [`Error::Argument`] where no device can be so.
    pub(crate) fn check(&self) -> Result<()> {
        match self.memory_bytes {
            Some(bytes) if bytes < LEAST_BYTES => {
                let reason = format!("no buffer fits {bytes} bytes of device memory: the smallest takes {LEAST_BYTES}");
                Err(Error::argument("memory_bytes", reason))
            }
            _ => Ok(()),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Twin> for Options {
    fn from(twin: Twin) -> Self {
        Self::new().twin(twin)
    }
}
