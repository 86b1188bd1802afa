//! Copies and clears on the device.

use std::sync::Arc;

use super::{Route, own, place, routed, writable};
use crate::{
    backend::{Lane, Op},
    buffer::{Buffer, Element},
    device::Device,
    dma::{Access, Ticket},
    error::{Error, Result},
    message::Message,
};

/// A copy or a clear that is being described; see [`Device::copy`] and [`Device::clear`].
#[derive(Debug)]
#[must_use = "a copy is sent by `send`"]
pub struct Copy<'a, T> {
    device: &'a Device,
    from: Option<&'a Buffer<T>>,
    to: &'a Buffer<T>,
    route: Route<'a>,
}

routed!(Copy<'a, T>);

impl<'a, T: Element> Copy<'a, T> {
    pub(crate) fn new(device: &'a Device, from: Option<&'a Buffer<T>>, to: &'a Buffer<T>) -> Self {
        Self { device, from, to, route: Route::default() }
    }

    /// Sends it. Waits for a credit if there is none, never for the copy.
    ///
    /// # Errors
    /// [`Error::Length`] where the buffers differ in length, [`Error::Argument`] where both are the
    /// same or one belongs to another device, [`Error::Refused`] by the queue, [`Error::OutOfMemory`] where one was
    /// [evicted](Device::buffer) and they have no room together.
    pub fn send(self) -> Result<Ticket<()>> {
        let (device, route) = (self.device, self.route);
        Ok(route.send(device, self.message()?)?)
    }

    /// The copy or clear as a message that is not sent yet.
    ///
    /// # Errors
    /// [`Error::Length`] where the buffers differ in length, [`Error::Argument`] where both are the
    /// same or one belongs to another device, [`Error::OutOfMemory`] where one was evicted and they have no room
    /// together.
    pub fn message(self) -> Result<Message<()>> {
        own(self.device, self.to)?;
        writable(self.to)?;
        let from = match self.from {
            None => None,
            Some(from) => {
                own(self.device, from)?;
                if from.len() != self.to.len() {
                    let (expected, got) = (from.len() as u64, self.to.len() as u64);
                    let what = format!("`{}`, the destination of a copy of `{}`,", self.to.name(), from.name());
                    return Err(Error::Length { what, expected, got });
                }
                if Arc::ptr_eq(&from.allocation, &self.to.allocation) {
                    return Err(Error::argument(
                        format!("the copy of `{}`", from.name()),
                        "the source is the destination",
                    ));
                }
                Some(place(self.device, from, &(0..from.len()), Access::Read)?)
            }
        };
        let to = place(self.device, self.to, &(0..self.to.len()), Access::Overwrite)?;
        let dst = to.region;
        let op = match &from {
            _ if dst.bytes == 0 => Op::Nothing,
            None => Op::Clear { dst },
            Some(from) => Op::Copy { src: from.region, dst },
        };
        let mut message = Message::new(&self.device.inner.engine, Lane::Compute, 0, op, ());
        message.draft.touch(to, Access::Overwrite);
        if let Some(from) = from {
            message.draft.touch(from, Access::Read);
        }
        self.route.describe(&mut message.draft);
        Ok(message)
    }
}
