//! Staging memory that is written in place and then uploaded.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    time::Instant,
};

use super::Placed;
use crate::{
    backend::{HostBlock, Lane, Op, Source},
    buffer::Element,
    device::Device,
    dma::{Access, Permit, Ticket},
    error::Result,
    message::Message,
};

/// Staging memory that will be uploaded: a slice of `T`. What it holds before it is written is
/// arbitrary, and reading it may be slow. It holds its credits, so that [`Fill::commit`] never finds the
/// queue full. Dropping it without a commit sends nothing and returns them.
#[must_use = "a fill is sent by `commit`"]
pub struct Fill<'a, T: Element> {
    device: &'a Device,
    permit: Permit<'a>,
    block: Option<HostBlock>,
    len: usize,
    /// The upload but for its source, until it is committed. The buffer is not evicted before.
    target: Option<Target<'a>>,
    element: PhantomData<fn() -> T>,
}

/// Where a fill goes.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) to: Placed,
    pub(super) label: Option<&'a str>,
    pub(super) deadline: Option<Instant>,
    pub(super) tag: u64,
}

impl<'a, T: Element> Fill<'a, T> {
    pub(super) fn new(
        device: &'a Device,
        permit: Permit<'a>,
        block: HostBlock,
        len: usize,
        target: Target<'a>,
    ) -> Self {
        device.inner.engine.shared.staging.add(block.bytes);
        Self { device, permit, block: Some(block), len, target: Some(target), element: PhantomData }
    }

    /// Sends it; never waits.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) where the queue is closed or has failed; what was
    /// written is lost.
    pub fn commit(mut self) -> Result<Ticket<()>> {
        let Target { to, label, deadline, tag } = self.target.take().expect("committed once");
        let region = to.region;
        let engine = &self.device.inner.engine;
        let mut message = if region.bytes == 0 {
            // The block goes back with the fill.
            Message::new(engine, Lane::Upload, 0, Op::Nothing, ())
        } else {
            let block = self.block.take().expect("committed once");
            let staging = block.bytes;
            let op = Op::Upload { src: Source::Block(block), dst: region };
            let mut message = Message::new(engine, Lane::Upload, region.bytes, op, ());
            message.draft.slip.staging = staging;
            message
        };
        message.draft.touch(to, Access::Overwrite);
        message.draft.describe(label, deadline, tag);
        Ok(self.permit.send(message)?)
    }
}

impl<T: Element> Deref for Fill<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let bytes = self.block.as_ref().expect("not committed").as_slice();
        bytemuck::cast_slice(&bytes[..self.len * size_of::<T>()])
    }
}

impl<T: Element> DerefMut for Fill<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let bytes = self.block.as_mut().expect("not committed").as_mut_slice();
        bytemuck::cast_slice_mut(&mut bytes[..self.len * size_of::<T>()])
    }
}

impl<T: Element> Drop for Fill<'_, T> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.device.inner.engine.shared.staging.remove(block.bytes);
            self.device.inner.backend.host_free(block);
        }
    }
}

impl<T: Element> fmt::Debug for Fill<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fill").field("len", &self.len).finish_non_exhaustive()
    }
}
