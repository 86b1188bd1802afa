//! Device memory to the host.

use std::ops::{Deref, Range};

use super::{Placed, Route, own, place, routed};
use crate::{
    backend::{Lane, Op},
    buffer::{Buffer, Element},
    device::Device,
    dma::{Access, Receipt, Refused, Ticket},
    error::{Error, Result},
    host_memory::HostBufferMut,
    message::{Draft, Message},
};

/// A download that is being described; see [`Device::download`].
#[derive(Debug)]
#[must_use = "a download is sent by `send`, `into` or `wait`"]
pub struct Download<'a, T> {
    device: &'a Device,
    from: &'a Buffer<T>,
    range: Range<usize>,
    route: Route<'a>,
}

routed!(Download<'a, T>);

impl<'a, T: Element> Download<'a, T> {
    pub(crate) fn new(device: &'a Device, from: &'a Buffer<T>) -> Self {
        Self { device, from, range: 0..from.len(), route: Route::default() }
    }

    /// The elements that are read; all unless said otherwise.
    pub fn range(mut self, elements: Range<usize>) -> Self {
        self.range = elements;
        self
    }

    /// Downloads into this vector, whose contents and length are replaced, or into [`Pinned`] memory that
    /// was made for as many elements at least. It comes back in the completion whatever happens. Waits for a credit if
    /// there is none, never for the transfer.
    ///
    /// [`Pinned`]: crate::Pinned
    ///
    /// # Errors
    /// [`Refused`] with the host buffer: [`Error::Length`] where the range reaches beyond the buffer or
    /// the pinned memory is too short, [`Error::Refused`] where the queue is closed, has failed or is
    /// full, [`Error::OutOfMemory`] where the buffer was [evicted](Device::buffer) and has no room to come back.
    pub fn into<B: HostBufferMut<T>>(self, buffer: B) -> Result<Ticket<B>, Refused<B>> {
        let (device, route) = (self.device, self.route);
        route.send(device, self.message(buffer)?).map_err(|refused| refused.map(Message::into_buffer))
    }

    /// The download into this host buffer as a message that is not sent yet.
    ///
    /// # Errors
    /// [`Refused`] with the host buffer: [`Error::Length`] where the range reaches beyond the device
    /// buffer or the pinned memory is too short, [`Error::Argument`] where the device buffer is another
    /// device's, [`Error::OutOfMemory`] where it was evicted and has no room to come back.
    pub fn message<B: HostBufferMut<T>>(self, buffer: B) -> Result<Message<B>, Refused<B>> {
        let from = match self.place() {
            Ok(from) => from,
            Err(error) => return Err(Refused { error, buffer }),
        };
        let region = from.region;
        let (buffer, dst) = match buffer.room(self.range.len(), region.bytes) {
            Ok(room) => room,
            Err((buffer, got)) => {
                let what = format!("the host memory that `{}` is downloaded into", self.from.name());
                let expected = self.range.len() as u64;
                return Err(Refused { error: Error::Length { what, expected, got }, buffer });
            }
        };
        let op = if region.bytes == 0 { Op::Nothing } else { Op::Download { src: region, dst } };
        let mut draft = Draft::on(from, Access::Read, Lane::Download, region.bytes);
        draft.does(op);
        self.route.describe(&mut draft);
        Ok(draft.owning(buffer))
    }

    /// Downloads into a new vector.
    ///
    /// # Errors
    /// As [`Download::into`].
    pub fn send(self) -> Result<Ticket<Vec<T>>> {
        Ok(self.into::<Vec<T>>(Vec::new())?)
    }

    /// Downloads, and waits for the data.
    ///
    /// # Errors
    /// As [`Download::into`]; [`Error::Transfer`] where the transfer, or what should have made the
    /// data, failed.
    pub fn wait(self) -> Result<Downloaded<T>> {
        let completion = self.send()?.wait();
        let receipt = completion.receipt.clone();
        Ok(Downloaded { data: completion.ok()?, receipt })
    }

    fn place(&self) -> Result<Placed> {
        own(self.device, self.from)?;
        self.from.view(self.range.clone())?;
        place(self.device, self.from, &self.range, Access::Read)
    }
}

/// Downloaded data: a slice of `T` with its receipt.
#[derive(Debug)]
pub struct Downloaded<T> {
    data: Vec<T>,
    receipt: Receipt,
}

impl<T> Downloaded<T> {
    /// How it came here.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The data.
    pub fn into_vec(self) -> Vec<T> {
        self.data
    }
}

impl<T> Deref for Downloaded<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.data
    }
}
