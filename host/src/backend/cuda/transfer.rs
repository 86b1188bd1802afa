//! Uploads and downloads: straight from page-locked blocks, and through staging for pageable memory.

#![expect(unsafe_code, reason = "copies are given addresses of host and device memory")]

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::api::Result;
use super::ring::{Ring, Segment};
use super::shared::{Issue, Shared, lock};
use super::staging::{CHUNK_BYTES, STAGING_BYTES, Staging, copy, part};
use super::stream::{Mark, Stream};
use crate::backend::{HostBlock, HostSpan, Region};

fn address(region: Region) -> u64 {
    region.mem.0 + region.offset
}

/// Offset and length of each piece that pageable memory is moved in.
fn pieces(bytes: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..bytes).step_by(CHUNK_BYTES as usize).map(move |at| (at, CHUNK_BYTES.min(bytes - at)))
}

/// The staging of the upload lane; made at its first use.
#[derive(Debug)]
pub(super) struct Uploader {
    staging: Option<Staging>,
    ring: Ring,
    /// Segments that the engine still reads, oldest first.
    in_use: VecDeque<(Segment, Mark)>,
}

impl Uploader {
    pub(super) fn new() -> Self {
        Self { staging: None, ring: Ring::new(STAGING_BYTES), in_use: VecDeque::new() }
    }

    /// From a page-locked block, which the engine reads until the next mark.
    pub(super) fn block(&self, stream: &Stream, block: &HostBlock, dst: Region) -> Result<()> {
        assert!(dst.bytes <= block.bytes, "the block holds what is sent");
        // SAFETY: the block is page-locked and the backend's own until its command is over.
        unsafe { stream.upload(address(dst), block.ptr, dst.bytes) }
    }

    /// From pageable memory. The bytes are read before this returns, unless the device is lost.
    pub(super) fn pageable(&mut self, shared: &Shared, stream: &Stream, src: HostSpan, dst: Region) -> Result<()> {
        assert_eq!(src.bytes, dst.bytes, "as many bytes as the region has");
        if self.staging.is_none() {
            self.staging = Some(shared.blocks.staging()?);
        }
        for (at, bytes) in pieces(dst.bytes) {
            let segment = self.lend(bytes)?;
            let staging = self.staging.as_ref().expect("made above");
            let staged = staging.at(segment.offset);
            {
                let Some(_touching) = shared.touch_spans() else { return Ok(()) };
                // SAFETY: the span is the message's while spans may be touched; the segment is lent.
                unsafe { copy(&shared.copiers, staged, part(src, at), bytes) };
            }
            let mark = shared.mark()?;
            // SAFETY: the segment is given back once the mark is reached, which it is at once where a
            // call fails; then the lane finishes its stream before it goes on.
            let given = unsafe { stream.upload(address(dst) + at, staged, bytes) };
            let given = given.and_then(|()| stream.record(&mark));
            self.in_use.push_back((segment, mark));
            given?;
        }
        Ok(())
    }

    fn lend(&mut self, bytes: u64) -> Result<Segment> {
        loop {
            let segment = self.ring.lend(bytes);
            let oldest = self.in_use.front();
            match (segment, oldest) {
                (Some(segment), _) => return Ok(segment),
                (None, Some((_, mark))) => mark.wait()?,
                (None, None) => unreachable!("a ring that lent nothing has room for a piece"),
            }
            while let Some((segment, mark)) = self.in_use.pop_front() {
                if !mark.is_reached()? {
                    self.in_use.push_front((segment, mark));
                    break;
                }
                self.ring.give_back(segment);
            }
        }
    }

    /// After the stream is finished the staging may go; `quiet` says that it was.
    pub(super) fn close(self, quiet: bool) {
        if let (Some(staging), false) = (self.staging, quiet) {
            staging.leak();
        }
    }
}

/// The staging between the download lane, which lends from it, and the unloader, which gives back.
#[derive(Debug)]
pub(super) struct Landing {
    staging: Staging,
    ring: Mutex<Ring>,
    freed: Condvar,
}

/// What the download lane has started, in order.
#[derive(Debug)]
pub(super) enum Unload {
    /// Once the mark is reached the segment's bytes belong in the target; nowhere where it was refused.
    Piece { landing: Arc<Landing>, segment: Segment, mark: Mark, dst: Option<Target> },
    /// All pieces of a command were named.
    End(Arc<Issue>),
}

/// Where a piece belongs.
#[derive(Debug)]
pub(super) struct Target {
    ptr: *mut u8,
    bytes: u64,
}

// SAFETY: a part of a message's host span, which only the backend uses until the command is over.
unsafe impl Send for Target {}

impl Landing {
    fn new(shared: &Shared) -> Result<Arc<Self>> {
        let staging = shared.blocks.staging()?;
        Ok(Arc::new(Self { staging, ring: Mutex::new(Ring::new(STAGING_BYTES)), freed: Condvar::new() }))
    }

    /// `None` once the device is lost.
    fn lend(&self, shared: &Shared, bytes: u64) -> Option<Segment> {
        /// How soon a loss is noticed that no piece came back from.
        const LOOK: Duration = Duration::from_millis(10);
        let mut ring = lock(&self.ring);
        while !shared.is_lost() {
            if let Some(segment) = ring.lend(bytes) {
                return Some(segment);
            }
            ring = self.freed.wait_timeout(ring, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }
}

/// Starts a download; `Unload::End` of it is the caller's to send.
pub(super) fn download(
    shared: &Shared,
    stream: &Stream,
    landing: &mut Option<Arc<Landing>>,
    unloader: &Sender<Unload>,
    src: Region,
    dst: HostSpan,
) -> Result<()> {
    assert_eq!(src.bytes, dst.bytes, "as many bytes as the region has");
    let landing = match landing {
        Some(landing) => landing,
        none => none.insert(Landing::new(shared)?),
    };
    for (at, bytes) in pieces(src.bytes) {
        let Some(segment) = landing.lend(shared, bytes) else { return Ok(()) };
        let mark = shared.mark()?;
        let landed = landing.staging.at(segment.offset);
        // SAFETY: the segment is lent until the unloader, who waits for the mark, gives it back; the
        // mark is reached at once where a call fails, and then nothing more lands in this segment that
        // anybody reads before the lane has finished its stream.
        let given = unsafe { stream.download(landed, address(src) + at, bytes) };
        let given = given.and_then(|()| stream.record(&mark));
        let dst = given.is_ok().then(|| Target { ptr: part(dst, at), bytes });
        let piece = Unload::Piece { landing: Arc::clone(landing), segment, mark, dst };
        unloader.send(piece).expect("the unloader outlives the lane");
        given?;
    }
    Ok(())
}

/// The unloader's thread: moves what has arrived to where it belongs, and reports.
pub(super) fn unload(shared: &Shared, started: &Receiver<Unload>) {
    shared.context.bind();
    for unload in started {
        match unload {
            Unload::Piece { landing, segment, mark, dst } => {
                if shared.is_lost() {
                    continue;
                }
                if let Err(failure) = mark.wait() {
                    shared.lose(&failure);
                    continue;
                }
                if let (Some(dst), Some(_touching)) = (dst, shared.touch_spans()) {
                    let src = landing.staging.at(segment.offset);
                    // SAFETY: the span is the message's while spans may be touched, and the engine
                    // has left the segment.
                    unsafe { copy(&shared.copiers, dst.ptr, src, dst.bytes) };
                }
                lock(&landing.ring).give_back(segment);
                landing.freed.notify_one();
            }
            Unload::End(issue) => shared.land(&issue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_byte_once() {
        for bytes in [4, CHUNK_BYTES - 4, CHUNK_BYTES, CHUNK_BYTES + 4, 3 * CHUNK_BYTES + 100] {
            let mut next = 0;
            for (at, length) in pieces(bytes) {
                assert_eq!(at, next);
                assert!(length > 0 && length <= CHUNK_BYTES);
                next += length;
            }
            assert_eq!(next, bytes);
        }
    }
}
