//! Uploads, downloads, copies and clears: builders of messages.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut, Range},
    sync::Arc,
    time::Duration,
};

use crate::{
    backend::{HostBlock, INLINE_BYTES, Lane, Op, Region, Source, Token},
    buffer::{Buffer, Element},
    device::Device,
    dma::{Access, DmaQueue, Kind, Parcel, Patience, Receipt, Refused, Ticket, Work},
    error::{Error, Result},
    host_memory::{HostBuffer, HostBufferMut},
};

/// Where a message goes and what it is called; the same for all builders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route<'a> {
    pub(crate) queue: Option<&'a DmaQueue>,
    pub(crate) label: Option<&'a str>,
    pub(crate) patience: Patience,
}

impl Default for Route<'_> {
    fn default() -> Self {
        Self { queue: None, label: None, patience: Patience::Forever }
    }
}

/// The methods that every builder of messages has.
macro_rules! routed {
    ($builder:ident < $($g:tt),+ >) => {
        impl<$($g),+> $builder<$($g),+> {
            /// Sends through this queue rather than the device's own for the lane.
            pub fn on(mut self, queue: &'a DmaQueue) -> Self {
                self.route.queue = Some(queue);
                self
            }

            /// A name that errors, traces and drivers show.
            pub fn label(mut self, label: &'a str) -> Self {
                self.route.label = Some(label);
                self
            }

            /// Answers [`Refusal::Full`](crate::Refusal::Full) rather than waiting for a credit.
            pub fn or_refuse(mut self) -> Self {
                self.route.patience = Patience::Never;
                self
            }

            /// Waits for a credit for at most this long, rather than for as long as it takes.
            pub fn or_refuse_after(mut self, timeout: Duration) -> Self {
                // A time that no clock will show is for ever.
                let end = self.device.inner.backend.now().checked_add(timeout);
                self.route.patience = end.map_or(Patience::Forever, Patience::Until);
                self
            }
        }
    };
}
pub(crate) use routed;

impl Route<'_> {
    /// Sends and makes the ticket; where it is refused, `work` still has everything.
    pub(crate) fn send<B: Send + 'static>(
        &self,
        device: &Device,
        lane: Lane,
        work: &mut Work,
        accesses: &[(Token, Access)],
    ) -> Result<Ticket<B>> {
        let queue = self.queue.unwrap_or_else(|| device.default_queue(lane));
        if !Arc::ptr_eq(&queue.engine, &device.inner.engine) {
            let reason = format!("belongs to {}, the message is for {}", queue.engine.shared.device, device.id());
            return Err(Error::argument(format!("queue `{}`", queue.name()), reason));
        }
        let (cell, id) = queue.send(work, accesses, self.patience)?;
        Ok(Ticket::new(queue.engine.shared.clone(), cell, id))
    }

    pub(crate) fn work(&self, lane: Lane, bytes: u64, op: Op, parcel: Parcel) -> Work {
        Work {
            queue: 0,
            kind: Kind::Work(lane),
            bytes,
            op: Some(op),
            parcel: Some(parcel),
            staging: 0,
            label: self.label.map(Into::into),
        }
    }
}

fn own(device: &Device, buffer: &Buffer<impl Element>) -> Result<()> {
    if Arc::ptr_eq(&buffer.allocation.engine, &device.inner.engine) {
        return Ok(());
    }
    let owner = &buffer.allocation.engine.shared.device;
    Err(Error::argument("the buffer", format!("belongs to {owner}, not to {}", device.id())))
}

fn writable(buffer: &Buffer<impl Element>) -> Result<()> {
    if buffer.allocation.read_only {
        return Err(Error::argument("the buffer", "was imported and is read-only"));
    }
    Ok(())
}

/// Copies go in multiples of this.
pub(crate) const GRAIN: u64 = 4;

/// The region of `range`, rounded up to the grain at the end of the buffer.
fn region<T: Element>(buffer: &Buffer<T>, range: &Range<usize>) -> Result<Region> {
    let size = size_of::<T>() as u64;
    let (offset, bytes) = (range.start as u64 * size, range.len() as u64 * size);
    let at_end = range.end == buffer.len();
    if offset % GRAIN != 0 || (bytes % GRAIN != 0 && !at_end) {
        return Err(Error::argument(
            format!("elements {}..{} of {size} bytes", range.start, range.end),
            format!("transfers begin at multiples of {GRAIN} bytes and end there or at the buffer's end"),
        ));
    }
    Ok(Region { mem: buffer.allocation.mem, offset, bytes: bytes.next_multiple_of(GRAIN) })
}

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
    fn region(&self, len: usize) -> Result<(Region, Access)> {
        own(self.device, self.to)?;
        writable(self.to)?;
        let end = self.at.checked_add(len).filter(|&end| end <= self.to.len()).ok_or_else(|| Error::Length {
            what: "the buffer uploaded to".into(),
            expected: (self.at as u64).saturating_add(len as u64),
            got: self.to.len() as u64,
        })?;
        let whole = self.at == 0 && end == self.to.len();
        let access = if whole { Access::Overwrite } else { Access::WritePart };
        Ok((region(self.to, &(self.at..end))?, access))
    }

    /// Sends a host buffer, which comes back in the completion whatever happens. Waits for a credit
    /// if there is none (see [`Upload::or_refuse`]), never for the transfer.
    ///
    /// # Errors
    /// [`Refused`] with the buffer: [`Error::Length`] where it does not fit, [`Error::Refused`]
    /// where the queue is closed, has failed or is full.
    pub fn send<B: HostBuffer<T>>(self, buffer: B) -> Result<Ticket<B>, Refused<B>> {
        let (region, access) = match self.region(buffer.as_slice().len()) {
            Ok(found) => found,
            Err(error) => return Err(Refused { error, buffer }),
        };
        let bytes = size_of_val(buffer.as_slice()) as u64;
        let mut staging = 0;
        let src = if bytes == 0 {
            None
        } else if bytes as usize <= INLINE_BYTES {
            let mut inline = [0; INLINE_BYTES];
            inline[..bytes as usize].copy_from_slice(bytemuck::cast_slice(buffer.as_slice()));
            Some(Source::Inline { bytes: inline, len: region.bytes as usize })
        } else if bytes == region.bytes {
            Some(Source::Span(buffer.place()))
        } else {
            // An odd end: the last grain is completed in staging memory.
            match self.device.inner.backend.host_alloc(region.bytes) {
                Ok(mut block) => {
                    staging = block.bytes;
                    self.device.inner.engine.shared.staging.add(staging);
                    block.as_mut_slice()[..bytes as usize].copy_from_slice(bytemuck::cast_slice(buffer.as_slice()));
                    Some(Source::Block(block))
                }
                Err(error) => return Err(Refused { error, buffer }),
            }
        };
        // The bytes stay where they are: moving a `HostBuffer` moves its handle only.
        let op = src.map_or(Op::Nothing, |src| Op::Upload { src, dst: region });
        let mut work = Work { staging, ..self.route.work(Lane::Upload, bytes, op, Parcel::new(buffer)) };
        let accesses = [(self.to.allocation.resource, access)];
        self.route.send(self.device, Lane::Upload, &mut work, &accesses).map_err(|error| {
            take_back(self.device, &mut work);
            let buffer = work.parcel.take().expect("a refused message still has its buffer").take();
            Refused { error, buffer }
        })
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
    /// copy is the one that makes the data.
    ///
    /// # Errors
    /// [`Error::Length`] where they do not fit, [`Error::OutOfMemory`] without staging memory.
    pub fn reserve(self, len: usize) -> Result<Fill<'a, T>> {
        let (region, access) = self.region(len)?;
        let block = self.device.inner.backend.host_alloc(region.bytes.max(GRAIN))?;
        self.device.inner.engine.shared.staging.add(block.bytes);
        Ok(Fill { upload: self, block: Some(block), len, region, access })
    }
}

/// Gives the staging block of a message that was not accepted back.
fn take_back(device: &Device, work: &mut Work) {
    if let Some(Op::Upload { src: Source::Block(block), .. }) = work.op.take() {
        device.inner.engine.shared.staging.remove(block.bytes);
        device.inner.backend.host_free(block);
    }
}

/// Staging memory that will be uploaded: a slice of `T`. What it holds before it is written is
/// arbitrary, and reading it may be slow. Dropping it without [`Fill::commit`] sends nothing.
#[must_use = "a fill is sent by `commit`"]
pub struct Fill<'a, T: Element> {
    upload: Upload<'a, T>,
    block: Option<HostBlock>,
    len: usize,
    region: Region,
    access: Access,
}

impl<T: Element> Fill<'_, T> {
    /// Sends it. Waits for a credit if there is none, never for the transfer.
    ///
    /// # Errors
    /// [`Error::Refused`] where the queue is closed, has failed or is full; what was written is lost.
    pub fn commit(mut self) -> Result<Ticket<()>> {
        let block = self.block.take().expect("committed once");
        let (staging, bytes) = (block.bytes, self.region.bytes);
        let op = Op::Upload { src: Source::Block(block), dst: self.region };
        let route = self.upload.route;
        let mut work = Work { staging, ..route.work(Lane::Upload, bytes, op, Parcel::new(())) };
        if bytes == 0 {
            take_back(self.upload.device, &mut work);
            (work.staging, work.op) = (0, Some(Op::Nothing));
        }
        let accesses = [(self.upload.to.allocation.resource, self.access)];
        route
            .send(self.upload.device, Lane::Upload, &mut work, &accesses)
            .inspect_err(|_| take_back(self.upload.device, &mut work))
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
            self.upload.device.inner.engine.shared.staging.remove(block.bytes);
            self.upload.device.inner.backend.host_free(block);
        }
    }
}

impl<T: Element> fmt::Debug for Fill<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fill").field("len", &self.len).finish_non_exhaustive()
    }
}

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

    /// Downloads into this vector, whose contents and length are replaced, or into [`Pinned`] memory of
    /// at least the length. It comes back in the completion whatever happens. Waits for a credit if
    /// there is none, never for the transfer.
    ///
    /// [`Pinned`]: crate::Pinned
    ///
    /// # Errors
    /// [`Refused`] with the host buffer: [`Error::Length`] where the range reaches beyond the buffer or
    /// the pinned memory is too short, [`Error::Refused`] where the queue is closed, has failed or is
    /// full.
    pub fn into<B: HostBufferMut<T>>(self, buffer: B) -> Result<Ticket<B>, Refused<B>> {
        let region = match self.region() {
            Ok(region) => region,
            Err(error) => return Err(Refused { error, buffer }),
        };
        let (buffer, dst) = match buffer.room(self.range.len(), region.bytes) {
            Ok(room) => room,
            Err((buffer, got)) => {
                let (what, expected) = ("the host memory downloaded into".into(), self.range.len() as u64);
                return Err(Refused { error: Error::Length { what, expected, got }, buffer });
            }
        };
        let op = if region.bytes == 0 { Op::Nothing } else { Op::Download { src: region, dst } };
        let mut work = self.route.work(Lane::Download, region.bytes, op, Parcel::new(buffer));
        let accesses = [(self.from.allocation.resource, Access::Read)];
        self.route.send(self.device, Lane::Download, &mut work, &accesses).map_err(|error| {
            let buffer = work.parcel.take().expect("a refused message still has its buffer").take();
            Refused { error, buffer }
        })
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

    fn region(&self) -> Result<Region> {
        own(self.device, self.from)?;
        self.from.view(self.range.clone())?;
        region(self.from, &self.range)
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

/// A copy or a clear that is being described; see [`Device::copy`] and [`Device::clear`].
#[derive(Debug)]
#[must_use = "a copy is sent by `send`"]
pub struct Copy<'a, T> {
    device: &'a Device,
    from: Option<&'a Buffer<T>>,
    to: &'a Buffer<T>,
    route: Route<'a>,
    element: PhantomData<T>,
}

routed!(Copy<'a, T>);

impl<'a, T: Element> Copy<'a, T> {
    pub(crate) fn new(device: &'a Device, from: Option<&'a Buffer<T>>, to: &'a Buffer<T>) -> Self {
        Self { device, from, to, route: Route::default(), element: PhantomData }
    }

    /// Sends it. Waits for a credit if there is none, never for the copy.
    ///
    /// # Errors
    /// [`Error::Length`] where the buffers differ in length, [`Error::Argument`] where both are the
    /// same or one belongs to another device, [`Error::Refused`] by the queue.
    pub fn send(self) -> Result<Ticket<()>> {
        own(self.device, self.to)?;
        writable(self.to)?;
        let dst = region(self.to, &(0..self.to.len()))?;
        let mut accesses = vec![(self.to.allocation.resource, Access::Overwrite)];
        let empty = dst.bytes == 0;
        let op = match self.from {
            None => Op::Clear { dst },
            Some(from) => {
                own(self.device, from)?;
                if from.len() != self.to.len() {
                    let (expected, got) = (from.len() as u64, self.to.len() as u64);
                    return Err(Error::Length { what: "the buffer copied to".into(), expected, got });
                }
                if from.allocation.resource == self.to.allocation.resource {
                    return Err(Error::argument("copy", "the source is the destination"));
                }
                accesses.push((from.allocation.resource, Access::Read));
                Op::Copy { src: region(from, &(0..from.len()))?, dst }
            }
        };
        let op = if empty { Op::Nothing } else { op };
        let mut work = self.route.work(Lane::Compute, 0, op, Parcel::new(()));
        self.route.send(self.device, Lane::Compute, &mut work, &accesses)
    }
}
