//! GPU/CPU heterogeneous compute: devices, memory, DMA queues and kernels as data.
//!
//! A [`Device`] has typed memory ([`Buffer`]). Between host and device nothing is copied behind the
//! program's back: messages travel through [`DmaQueue`]s, and each has exactly one [`Completion`].
//! A [`Kernel`] is one WGSL entry point with its twins; launches are messages too, and the runtime
//! orders messages that touch the same buffer.
//!
//! ```
//! use wharf::{Device, Kernel};
//!
//! let double = Kernel::from_wgsl(
//!     "@group(0) @binding(0) var<storage, read_write> x: array<f32>;
//!      @compute @workgroup_size(64)
//!      fn double(@builtin(global_invocation_id) id: vec3<u32>) {
//!          if id.x < arrayLength(&x) { x[id.x] = 2.0 * x[id.x]; }
//!      }",
//! )?;
//! assert_eq!(double.name(), "double");
//!
//! let device = Device::open("cpu")?;
//! let x = device.buffer::<f32>(1000)?;
//! device.upload(&x).fill(|i| i as f32)?; // written in place, and on its way
//! let y = device.download(&x).wait()?; // waits for the upload by itself
//! assert_eq!(y[999], 999.0);
//! # Ok::<(), wharf::Error>(())
//! ```

mod allocate;
mod backend;
mod buffer;
mod device;
mod device_memory;
mod discover;
mod dma;
mod error;
mod evict;
mod few;
mod graph;
mod grid;
mod host_memory;
#[cfg(doctest)]
mod in_flight;
mod kernel;
mod launch;
mod message;
#[cfg(wharf_models)]
#[path = "../models/src/models.rs"]
pub mod models;
pub mod native;
mod options;
mod sim;
mod stats;
pub mod trace;
mod transfer;
mod uniform;

pub use backend::{Capabilities, Lane, Path, PoolUse};
pub use buffer::{Bindable, Buffer, Element, View};
pub use device::Device;
pub use discover::Found;
pub use dma::{
    Batch, Behind, CancelOutcome, Cause, Completion, CompletionQueue, DeadLetter, DeadLetters, Dependency, DmaQueue,
    Doorbell, Draining, Entry, Explanation, FailPolicy, Fence, MessageId, Permit, Priority, QueueOptions, QueueStats,
    Receipt, Refused, Requeued, Reserving, Sent, Signal, Stall, Ticket, Wait,
};
pub use error::{BackendKind, Error, FailureKind, Refusal, Result, Shortage, TransferError};
pub use evict::Hold;
pub use graph::{Graph, Recording, Replay, Slot, Slots};
pub use host_memory::{HostBuffer, HostBufferMut, Pinned};
pub use kernel::{Grid, Kernel, Need, Operand, Plan, Scratch, Step};
pub use launch::{Job, Launch, Launchable, Value};
pub use message::Message;
pub use options::{Options, Progress, Twin};
pub use sim::{Faults, ScriptedFault, Simulation};
pub use stats::Stats;
pub use transfer::{Copy, Download, Downloaded, Fill, Upload};
