//! Host memory to the device.

use super::{Fill, GRAIN, Placed, Route, fill::Target, own, place, routed, writable};
use crate::{
    backend::{INLINE_BYTES, Lane, Op, Source},
    buffer::{Buffer, Element},
    device::Device,
    dma::{Access, Refused, Ticket},
    error::{Error, Result},
    host_memory::HostBuffer,
    message::{Draft, Message},
};

/// An upload that is being described; see [`Device::upload`].
#[derive(Debug)]
#[must_use = "an upload is sent by `send`, `fill` or `reserve`"]
pub struct Upload<'a, T> {
    device: &'a Device,
    to: &'a Buffer<T>,
    at: usize,
    route: Route<'a>,
}

routed!(Upload<'a, T>);

impl<'a, T: Element> Upload<'a, T> {
    pub(crate) fn new(device: &'a Device, to: &'a Buffer<T>) -> Self {
        Self { device, to, at: 0, route: Route::default() }
    }

    /// The first element that is written; 0 unless said otherwise.
    pub fn at(mut self, element: usize) -> Self {
        self.at = element;
        self
    }

    /// The destination of `len` elements.
    #[inline(always)]
    fn place(&self, len: usize) -> Result<Placed> {
        own(self.device, self.to)?;
        writable(self.to)?;
        let end = self.at.checked_add(len).filter(|&end| end <= self.to.len()).ok_or_else(|| Error::Length {
            what: format!("the upload to `{}`", self.to.name()),
            expected: (self.at as u64).saturating_add(len as u64),
            got: self.to.len() as u64,
        })?;
        place(self.device, self.to, &(self.at..end), Access::Overwrite)
    }

    /// Sends a host buffer, which comes back in the completion whatever happens. Waits for a credit
    /// if there is none (see [`Upload::or_refuse`]), never for the transfer.
    ///
    /// # Errors
    /// [`Refused`] with the buffer: [`Error::Length`] where it does not fit, [`Error::Refused`]
    /// where the queue is closed, has failed or is full, [`Error::OutOfMemory`] where the device buffer was
    /// [evicted](Device::buffer) and has no room to come back.
    pub fn send<B: HostBuffer<T>>(self, buffer: B) -> Result<Ticket<B>, Refused<B>> {
        let (device, route) = (self.device, self.route);
        route.send(device, self.message(buffer)?).map_err(|refused| refused.map(Message::into_buffer))
    }

    /// The upload of a host buffer as a message that is not sent yet.
    ///
    /// # Errors
    /// [`Refused`] with the buffer: [`Error::Length`] where it does not fit, [`Error::Argument`] where
    /// the device buffer is another device's or read-only, [`Error::OutOfMemory`] where it was evicted and has no
    /// room to come back.
    pub fn message<B: HostBuffer<T>>(self, buffer: B) -> Result<Message<B>, Refused<B>> {
        let to = match self.place(buffer.as_slice().len()) {
            Ok(found) => found,
            Err(error) => return Err(Refused { error, buffer }),
        };
        let region = to.region;
        let bytes = size_of_val(buffer.as_slice()) as u64;
        let mut draft = Draft::on(to, Access::Overwrite, Lane::Upload, bytes);
        if bytes == 0 {
            draft.does(Op::Nothing);
        } else if bytes as usize <= INLINE_BYTES {
            draft.carries(bytemuck::cast_slice(buffer.as_slice()), region);
        } else if bytes == region.bytes {
            // The bytes stay where they are: moving a `HostBuffer` moves its handle only.
            draft.does(Op::Upload { src: Source::Span(buffer.place()), dst: region });
        } else {
            // An odd end: the last grain is completed in staging memory.
            let mut block = match self.device.inner.backend.host_alloc(region.bytes) {
                Ok(block) => block,
                Err(error) => return Err(Refused { error, buffer }),
            };
            draft.engine().shared.staging.add(block.bytes);
            block.as_mut_slice()[..bytes as usize].copy_from_slice(bytemuck::cast_slice(buffer.as_slice()));
            draft.slip.staging = block.bytes;
            draft.does(Op::Upload { src: Source::Block(block), dst: region });
        }
        self.route.describe(&mut draft);
        Ok(draft.owning(buffer))
    }

    /// Copies the elements and sends the copy: the slice is the caller's again when this returns. Up to
    /// the queue's [`inline_max`](crate::QueueOptions::inline_max) the copy lies in memory that is
    /// used again for the next small upload, and small uploads that are submitted together share a
    /// staging block; beyond that it is a [`reserve`](Upload::reserve) that is filled from the slice.
    ///
    /// # Errors
    /// As [`Upload::reserve`].
    pub fn copy_from(self, data: &[T]) -> Result<Ticket<()>> {
        let (device, route) = (self.device, self.route);
        if size_of_val(data) <= route.queue(device, Lane::Upload).inline_max {
            return Ok(route.send(device, self.copy_message(data)?)?);
        }
        let mut fill = self.reserve(data.len())?;
        fill.copy_from_slice(data);
        fill.commit()
    }

    /// The same as a message that is not sent yet: for a [`Batch`](crate::Batch) of small uploads.
    ///
    /// # Errors
    /// [`Error::Length`] where they do not fit, [`Error::Argument`] where the device buffer is another
    /// device's or read-only, [`Error::OutOfMemory`] without staging memory, or where the device buffer was evicted
    /// and has no room to come back.
    pub fn copy_message(self, data: &[T]) -> Result<Message<()>> {
        let to = self.place(data.len())?;
        let region = to.region;
        let bytes: &[u8] = bytemuck::cast_slice(data);
        let len = bytes.len();
        let mut draft = Draft::on(to, Access::Overwrite, Lane::Upload, region.bytes);
        if len == 0 {
            draft.does(Op::Nothing);
        } else if len <= INLINE_BYTES || len <= self.route.queue(self.device, Lane::Upload).inline_max {
            draft.carries(bytes, region);
        } else {
            let mut block = self.device.inner.backend.host_alloc(region.bytes)?;
            draft.engine().shared.staging.add(block.bytes);
            block.as_mut_slice()[..len].copy_from_slice(bytes);
            draft.slip.staging = block.bytes;
            draft.does(Op::Upload { src: Source::Block(block), dst: region });
        }
        self.route.describe(&mut draft);
        Ok(draft.owning(()))
    }

    /// Writes the rest of the buffer from element [`at`](Upload::at) on, in place in staging memory:
    /// element `i` becomes `make(i)`, `i` counting from 0.
    ///
    /// # Errors
    /// As [`Upload::reserve`] and [`Fill::commit`].
    pub fn fill(self, mut make: impl FnMut(usize) -> T) -> Result<Ticket<()>> {
        let len = self.to.len().saturating_sub(self.at);
        let mut fill = self.reserve(len)?;
        for (i, element) in fill.iter_mut().enumerate() {
            *element = make(i);
        }
        fill.commit()
    }

    /// Staging memory for `len` elements, to be written in place and then committed: the host's only
    /// copy is the one that makes the data. Its credits are taken here, before the memory is lent, so
    /// that the queue's bytes bound what is lent, too; waits for them if there are none. They come back
    /// when the message is resolved, or when the [`Fill`] is dropped: whoever holds one while it waits
    /// for the next needs a queue with bytes for both.
    ///
    /// # Errors
    /// [`Error::Length`] where they do not fit, [`Error::Refused`] where the queue is closed, has failed
    /// or is full, [`Error::OutOfMemory`] without staging memory, or where the device buffer was
    /// [evicted](Device::buffer) and has no room to come back.
    pub fn reserve(self, len: usize) -> Result<Fill<'a, T>> {
        let to = self.place(len)?;
        let bytes = to.region.bytes;
        let queue = self.route.queue(self.device, Lane::Upload);
        queue.owned_by(&self.device.inner.engine)?;
        let permit = queue.permit(1, bytes, self.route.patience, self.route.deadline)?;
        let block = self.device.inner.backend.host_alloc(bytes.max(GRAIN))?;
        let target = Target { to, label: self.route.label, deadline: self.route.deadline, tag: self.route.tag };
        Ok(Fill::new(self.device, permit, block, len, target))
    }
}
