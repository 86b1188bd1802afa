//! Uploads, downloads, copies and clears: builders of messages.

use std::{ops::Range, sync::Arc};

use crate::{
    backend::Region,
    buffer::{Allocation, Buffer, Element},
    device::Device,
    dma::{Access, DmaQueue, Patience, Refused, Ticket},
    error::{Error, Result},
    message::{Draft, Message},
};

mod copy;
mod download;
mod fill;
mod upload;

pub use copy::Copy;
pub use download::{Download, Downloaded};
pub use fill::Fill;
pub use upload::Upload;

/// Where a message goes, what it is called and how long its sender waits; the same for all builders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route<'a> {
    pub(crate) queue: Option<&'a DmaQueue>,
    pub(crate) label: Option<&'a str>,
    pub(crate) patience: Patience<'a>,
    pub(crate) deadline: Option<std::time::Instant>,
    pub(crate) tag: u64,
}

impl Default for Route<'_> {
    fn default() -> Self {
        Self { queue: None, label: None, patience: Patience::Forever, deadline: None, tag: 0 }
    }
}

/// The methods that every builder of messages has.
macro_rules! routed {
    ($builder:ident < $($g:tt),+ >) => {
        impl<$($g),+> $builder<$($g),+> {
            /// Sends through this queue rather than the device's own for the lane.
            pub fn on(mut self, queue: &'a $crate::dma::DmaQueue) -> Self {
                self.route.queue = Some(queue);
                self
            }

            /// A name that errors, traces and drivers show. A launch without one is called as its kernel there, each
            /// step of a plan as its own.
            pub fn label(mut self, label: &'a str) -> Self {
                self.route.label = Some(label);
                self
            }

            /// A number of the program's own, which its completion, its receipt and its dead letter show.
            pub fn tag(mut self, tag: u64) -> Self {
                self.route.tag = tag;
                self
            }

            /// Answers [`Refusal::Full`](crate::Refusal::Full) rather than waiting for a credit.
            pub fn or_refuse(mut self) -> Self {
                self.route.patience = $crate::dma::Patience::Never;
                self
            }

            /// Waits for a credit for at most this long, rather than for as long as it takes.
            pub fn or_refuse_after(mut self, timeout: std::time::Duration) -> Self {
                self.route.patience = $crate::dma::Patience::Within(timeout);
                self
            }

            /// Sends through the permit's queue with credits that the permit holds: it is never full.
            pub fn with(mut self, permit: &'a $crate::dma::Permit<'a>) -> Self {
                self.route.queue = Some(permit.queue());
                self.route.patience = $crate::dma::Patience::Paid(permit);
                self
            }

            /// Cancels the message once this long has passed from now, as far as it can be cancelled then
            /// (see [`Ticket::cancel`](crate::Ticket::cancel)): it fails with
            /// [`FailureKind::Deadline`](crate::FailureKind::Deadline). Who sends it waits no longer for credits
            /// either, whether it is sent, filled in place, committed with others or a plan, and whether it waits
            /// or awaits them: it is refused with [`Refusal::Timeout`](crate::Refusal::Timeout).
            pub fn deadline(mut self, after: std::time::Duration) -> Self {
                // A time that no clock will show never comes.
                self.route.deadline = self.device.inner.backend.now().checked_add(after);
                self
            }

            /// The same at a given time.
            pub fn deadline_at(mut self, time: std::time::Instant) -> Self {
                self.route.deadline = Some(time);
                self
            }
        }
    };
}
pub(crate) use routed;

impl<'a> Route<'a> {
    /// The queue for a message of this lane.
    pub(crate) fn queue(&self, device: &'a Device, lane: crate::Lane) -> &'a DmaQueue {
        self.queue.unwrap_or_else(|| device.own_queue(lane))
    }

    /// Says to a message what the user has said of it.
    #[inline]
    pub(crate) fn describe(&self, draft: &mut Draft) {
        draft.describe(self.label, self.deadline, self.tag);
    }

    /// Sends through the route's queue.
    pub(crate) fn send<B: Send + 'static>(
        &self,
        device: &'a Device,
        message: Message<B>,
    ) -> Result<Ticket<B>, Refused<Message<B>>> {
        let queue = self.queue(device, message.draft.slip.lane());
        queue.send_with(message, self.patience)
    }
}

pub(crate) fn own(device: &Device, buffer: &Buffer<impl Element>) -> Result<()> {
    if Arc::ptr_eq(&buffer.allocation.engine, &device.inner.engine) {
        return Ok(());
    }
    Err(Error::argument(format!("`{}`", buffer.name()), buffer.allocation.not_of(device.id())))
}

pub(crate) fn writable(buffer: &Buffer<impl Element>) -> Result<()> {
    if buffer.allocation.read_only {
        return Err(Error::argument(format!("`{}`", buffer.name()), "was imported and is read-only"));
    }
    Ok(())
}

/// Copies go in multiples of this.
pub(crate) const GRAIN: u64 = 4;

/// Some bytes of a buffer in device memory. The buffer is not evicted while this lives.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) allocation: Arc<Allocation>,
    pub(crate) region: Region,
}

/// The region of `range`, rounded up to the grain at the end of the buffer, which is brought in.
#[inline(always)]
pub(crate) fn place<T: Element>(
    device: &Device,
    buffer: &Buffer<T>,
    range: &Range<usize>,
    access: Access,
) -> Result<Placed> {
    let size = size_of::<T>() as u64;
    let (offset, bytes) = (range.start as u64 * size, range.len() as u64 * size);
    let at_end = range.end == buffer.len();
    if offset % GRAIN != 0 || (bytes % GRAIN != 0 && !at_end) {
        return Err(Error::argument(
            format!(
                "elements {}..{} of `{}`, bytes {offset}..{}",
                range.start,
                range.end,
                buffer.name(),
                offset + bytes
            ),
            format!("transfers begin at multiples of {GRAIN} bytes and end there or at the buffer's end"),
        ));
    }
    let allocation = buffer.allocation.clone();
    let is_whole = offset == 0 && at_end;
    device.bring_in(&allocation, is_whole && access == Access::Overwrite)?;
    let region = Region { mem: allocation.mem(), offset, bytes: bytes.next_multiple_of(GRAIN) };
    Ok(Placed { allocation, region })
}
