//! What can go wrong, as facts.
//!
//! [`Error`] is what a call answers at once; [`TransferError`] is what an accepted message comes
//! back with. Both say what, where, and what would be right, in one line; causes are in `source()`.

use std::{fmt, sync::Arc};

use crate::dma::MessageId;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The four kinds of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// The host's own cores.
    Cpu,
    /// A GPU (or software adapter) through wgpu.
    Wgpu,
    /// An NVIDIA GPU through the CUDA driver.
    Cuda,
    /// A simulated device with a virtual clock.
    Sim,
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
            Self::Sim => "sim",
        })
    }
}

/// Why a call was refused or failed before anything was queued.
///
/// `{:?}` says what `{}` says, so that a `main` that returns it ends with words.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This machine has no such device; nothing is broken. The only error a test may skip on.
    #[error("no device `{device}`: {reason}")]
    Unavailable {
        /// The device asked for, as written (`wgpu:1`).
        device: String,
        /// What was looked for, and what was found instead.
        reason: String,
    },
    /// A buffer is shorter than what is done with it.
    #[error("{what} needs {expected} elements, got {got}")]
    Length {
        /// The binding, e.g. `saxpy.y`, or what is done with which buffer.
        what: String,
        /// Elements needed.
        expected: u64,
        /// Elements there.
        got: u64,
    },
    /// A binding or argument has another type than the kernel declares.
    #[error("{what} is {expected}, got {got}")]
    Type {
        /// The binding or argument, e.g. `saxpy.y`.
        what: String,
        /// The WGSL type declared.
        expected: String,
        /// The type given.
        got: String,
    },
    /// A binding or argument is missing, named twice or not there at all.
    #[error("{what}: {reason}")]
    Argument {
        /// The binding or argument, e.g. `saxpy.y`.
        what: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// A limit of the device is exceeded, and the work may not be split.
    #[error("{what}: {requested} is over the device's {limit_name} of {limit}")]
    Limit {
        /// What was asked for.
        what: String,
        /// The limit's name, e.g. `max_workgroups_per_dimension`.
        limit_name: &'static str,
        /// The value asked for.
        requested: u64,
        /// The limit's value.
        limit: u64,
    },
    /// Device or staging memory is used up.
    #[error("out of memory on {device}: {requested_bytes} bytes asked, {in_use_bytes}{} bytes in use{}", of_limit(*.limit_bytes), on_host(*.in_use_bytes, *.evicted_bytes))]
    OutOfMemory {
        /// The device.
        device: String,
        /// Bytes asked for.
        requested_bytes: u64,
        /// Bytes in use by this program at that moment.
        in_use_bytes: u64,
        /// The cap, where one is known.
        limit_bytes: Option<u64>,
        /// Bytes of buffers whose contents are on the host ([`Device::buffer`](crate::Device::buffer)), where the
        /// device evicts. What is in use besides could not be evicted: messages, graphs or fills hold it, it is
        /// imported, what a failed message should have written is missing, or the host has no more for it.
        evicted_bytes: Option<u64>,
    },
    /// A kernel's source does not parse, validate or compile.
    #[error("{kernel}: {log}")]
    Build {
        /// The kernel.
        kernel: String,
        /// The compiler's message with line and column, first line only.
        log: String,
        /// The error as `simt` found it, where it did.
        #[source]
        source: Option<Arc<wharf_simt::Error>>,
    },
    /// The kernel has no form that this device can run.
    #[error("{kernel} cannot run on {backend}: {reason}")]
    NoForm {
        /// The kernel.
        kernel: String,
        /// The kind of device.
        backend: BackendKind,
        /// What is missing.
        reason: String,
    },
    /// The driver refused an operation.
    #[error("{backend}: {op}: {message}")]
    Device {
        /// The kind of device.
        backend: BackendKind,
        /// The operation, e.g. `create buffer`.
        op: &'static str,
        /// The driver's own words.
        message: String,
    },
    /// A queue did not accept a message. The message itself came back beside this error.
    #[error("queue `{queue}` refused the message: {why}")]
    Refused {
        /// The queue's name.
        queue: String,
        /// Why.
        why: Refusal,
    },
    /// An accepted message failed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
}

impl From<Arc<TransferError>> for Error {
    fn from(error: Arc<TransferError>) -> Self {
        Self::Transfer(Arc::unwrap_or_clone(error))
    }
}

fn of_limit(limit: Option<u64>) -> String {
    limit.map_or_else(String::new, |bytes| format!(" of {bytes}"))
}

/// Where a device evicts, the rest of what is in use could not be.
fn on_host(in_use: u64, evicted: Option<u64>) -> String {
    let mut words = match evicted {
        Some(_) if in_use > 0 => " that cannot be evicted".to_owned(),
        _ => String::new(),
    };
    if let Some(bytes @ 1..) = evicted {
        words += &format!(", {bytes} bytes evicted to the host");
    }
    words
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// Whether the device asked for is simply not there.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn device(backend: BackendKind, op: &'static str, message: impl fmt::Display) -> Self {
        Self::Device { backend, op, message: message.to_string() }
    }

    pub(crate) fn argument(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Argument { what: what.into(), reason: reason.into() }
    }
}

/// Why a queue handed a message back. The message was not sent, and is in the
/// [`Refused`](crate::Refused) beside this: send it again when what is said here is no longer so, or take its
/// buffer out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Every operation or byte credit is taken, or earlier senders wait for what is left; some come back
    /// as messages resolve. [`DmaQueue::send`](crate::DmaQueue::send) and its kin wait for them.
    #[error("full ({free_ops} operations and {free_bytes} bytes free, {bytes} bytes asked)")]
    Full {
        /// Operation credits left.
        free_ops: u32,
        /// Byte credits left.
        free_bytes: u64,
        /// Bytes the message needs.
        bytes: u64,
    },
    /// A permit has less left than the message needs: reserve for it, or send it without.
    #[error("the permit has {left_ops} operations and {left_bytes} bytes left, {ops} and {bytes} are asked")]
    Permit {
        /// Operation credits left in the permit.
        left_ops: u32,
        /// Byte credits left in the permit.
        left_bytes: u64,
        /// Operation credits needed.
        ops: u32,
        /// Byte credits needed.
        bytes: u64,
    },
    /// The queue is strict ([`QueueOptions::strict`](crate::QueueOptions::strict)), and the message's bytes
    /// would take a slow way.
    #[error("the queue is strict, and {0}")]
    Slow(&'static str),
    /// No credit came free in time: before the sender's timeout or the message's deadline.
    #[error("no credit came free in time")]
    Timeout,
    /// The queue was closed, and stays so: [open](crate::Device::queue) another.
    #[error("the queue is closed")]
    Closed,
    /// An earlier message failed and the queue stops on failures: see to that one, then
    /// [`DmaQueue::resume`](crate::DmaQueue::resume). Or the device is lost, and so is the queue:
    /// [`Device::reopen`](crate::Device::reopen).
    #[error("{}", failed(.0))]
    Failed(Arc<TransferError>),
}

/// Who failed before it is named apart where the root is another one.
fn aborted(after: MessageId, root: &TransferError) -> String {
    match root.id == after {
        true => format!("aborted, as {root}"),
        false => format!("aborted after message {after}, as {root}"),
    }
}

/// A lost device is no failure of a message's.
fn failed(error: &TransferError) -> String {
    match &error.kind {
        lost @ FailureKind::DeviceLost(_) => lost.to_string(),
        _ => format!("it has stopped until it is resumed, as {error}"),
    }
}

/// Why an accepted message did not do what it was sent for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferError {
    /// What happened.
    pub kind: FailureKind,
    /// The device, e.g. `cpu` or `wgpu:0`.
    pub device: Arc<str>,
    /// The queue.
    pub queue: Arc<str>,
    /// The message.
    pub id: MessageId,
    /// The user's label on the message, or the kernel's name where a launch has none.
    pub label: Option<Arc<str>>,
    /// Bytes that the message moves.
    pub bytes: u64,
    /// Those that were moved all the same, from the first on, in whole chunks.
    pub bytes_done: u64,
}

impl TransferError {
    /// Whether the message itself went well, and only tells of others.
    pub(crate) fn is_folded(&self) -> bool {
        matches!(self.kind, FailureKind::Unsignaled { .. })
    }
}

impl std::error::Error for TransferError {}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} ", self.id)?;
        if let Some(label) = &self.label {
            write!(f, "(`{label}`) ")?;
        }
        write!(f, "on queue `{}` of {}: {}", self.queue, self.device, self.kind)
    }
}

/// What was missing when an accepted message ran out of memory: numbers where the driver tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortage {
    /// The driver's own words.
    pub reason: Arc<str>,
    /// Bytes that the message needed.
    pub requested_bytes: Option<u64>,
    /// Bytes in use at that moment, by whomever.
    pub in_use_bytes: Option<u64>,
    /// Bytes there are in all.
    pub limit_bytes: Option<u64>,
}

impl Shortage {
    pub(crate) fn new(reason: Arc<str>, requested_bytes: Option<u64>) -> Self {
        Self { reason, requested_bytes, in_use_bytes: None, limit_bytes: None }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        let numbers = [(self.requested_bytes, "asked"), (self.in_use_bytes, "in use"), (self.limit_bytes, "in all")];
        for (bytes, what) in numbers {
            if let Some(bytes) = bytes {
                write!(f, ", {bytes} bytes {what}")?;
            }
        }
        Ok(())
    }
}

/// The kinds of failure of an accepted message.
///
/// With each of them the host buffer comes back, in the [`Completion`](crate::Completion), or in the
/// [`DeadLetter`](crate::DeadLetter) for as long as that keeps it; only one that a lost device may still touch does
/// not. But for [`Unsignaled`](Self::Unsignaled), what the message was to write counts as never made, however much
/// of it was: what reads it fails as [`Upstream`](Self::Upstream), until it is written anew. It may be
/// written in pieces, in any order, each of which is good from then on; but a buffer tells no more than eight parts
/// apart that are not: a piece between two that would make it more has to be written once more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailureKind {
    /// The backend ran out of memory on the way. With less under way at once it may go well: send it again once
    /// other messages are over, or in parts.
    #[error("out of memory: {0}")]
    OutOfMemory(Shortage),
    /// It was cancelled ([`Ticket::cancel`](crate::Ticket::cancel), or a ticket dropped that
    /// [cancels](crate::Ticket::cancel_on_drop)) before all of it was given to the device.
    /// [`TransferError::bytes_done`] says how much had arrived.
    #[error("cancelled")]
    Cancelled,
    /// Its queue was aborted ([`DmaQueue::abort`](crate::DmaQueue::abort)) before all of it was given to the
    /// device.
    #[error("its queue was aborted: {0}")]
    Abandoned(Arc<str>),
    /// Its deadline passed before all of it was given to the device. Else the same as a cancelled one.
    #[error("its deadline passed")]
    Deadline,
    /// An earlier message of the same queue failed, and the queue stops on failures. It may have been done all the
    /// same. See to that failure, [resume](crate::DmaQueue::resume) the queue, and send again what is still wanted.
    #[error("{}", aborted(*.after, .root))]
    Aborted {
        /// The message that failed.
        after: MessageId,
        /// Why: its failure, or the first one in the chain that ends with it.
        root: Arc<TransferError>,
    },
    /// Data it reads was to be written by a message that failed, or a fence that its queue waits for has failed.
    /// The root is what to see to; then make the data anew, and send it again. A queue that waits for the fence has to
    /// be [resumed](crate::DmaQueue::resume) first.
    #[error("its input was never made: {root}")]
    Upstream {
        /// The first failure in the chain.
        root: Arc<TransferError>,
    },
    /// It did what it was sent for, and its data is good. But it speaks also for the messages without a ticket that
    /// its queue accepted before it ([`DmaQueue::post`](crate::DmaQueue::post)), and one of them failed: it is among
    /// the dead letters.
    #[error("it went well, and a message without a ticket before it did not: {root}")]
    Unsignaled {
        /// The first failure among them.
        root: Arc<TransferError>,
    },
    /// A fence that the program was to signal failed, or will never be signalled: its
    /// [`Signal`](crate::Signal) was dropped. It is the root of what fails as [`Upstream`](Self::Upstream).
    #[error("a promise was not kept: {0}")]
    Promise(Arc<str>),
    /// The device was lost, and with it all its buffers. [Open it again](crate::Device::reopen), or another one,
    /// and make the data there anew.
    #[error("device lost: {0}")]
    DeviceLost(Arc<str>),
    /// The driver or the kernel failed, in its own words. The device goes on.
    #[error("{0}")]
    Backend(Arc<str>),
}
