//! What goes between host and device: uploads through the staging ring, downloads in pieces.
#![expect(unsafe_code, reason = "uploads are copied from host memory that the message owns")]

use std::sync::Arc;

use super::{Outcome, SMALL_BYTES, Submitter, WORTH_STARTING};
use crate::{
    backend::{
        Command, HostSpan, Op, Region, Source, Token,
        wgpu::{
            Wgpu,
            encode::{Part, Step},
            readback::PIECE_BYTES,
            staging::CHUNK_BYTES,
        },
    },
    error::FailureKind,
};

impl Submitter {
    /// Whether a submission would now keep this thread from copying while the device moves what it has: a software
    /// adapter takes one in once the one before has run, as was seen of lavapipe.
    pub(super) fn would_wait(&self, device: &Wgpu) -> bool {
        device.capabilities.software && self.moved_last >= WORTH_STARTING && device.reaper.flights() > 0
    }

    /// Host memory through chunks of the ring. The copies are made here, outside any lock.
    pub(super) fn stage(
        &mut self,
        device: &Wgpu,
        token: Token,
        label: Option<&Arc<str>>,
        src: HostSpan,
        dst: Region,
    ) -> Outcome<()> {
        // What came before does not travel with what moves much: it may be small and urgent. Nor does it wait for the
        // host to copy that, but where it would have to wait in any case.
        let mut apart = self.moved.max(dst.bytes) >= WORTH_STARTING && dst.bytes >= SMALL_BYTES;
        apart &= !self.together && !self.tokens.is_empty();
        if apart && self.would_wait(device) {
            self.blocks.extend(self.chunk.take().map(|(block, _)| block));
        } else if std::mem::take(&mut apart) {
            self.flush(device);
        }
        let mut done = 0;
        while done < dst.bytes {
            self.need_chunk(device, 4, true)?;
            let (block, used) = self.chunk.as_mut().expect("just taken");
            let bytes = (block.capacity - *used).min(dst.bytes - done);
            // SAFETY: `done + bytes <= dst.bytes`, which are the source's bytes; the chunk has room.
            unsafe { block.write(*used, src.ptr.add(done as usize), bytes) };
            let from = (block.buffer.clone(), block.offset + *used);
            *used += bytes;
            self.ahead = self.ahead.saturating_sub(bytes);
            if std::mem::take(&mut apart) {
                let own = self.chunk.take();
                self.flush(device);
                self.chunk = own;
            }
            self.copy(device, token, label, from, Region { offset: dst.offset + done, bytes, ..dst });
            done += bytes;
            if self.moved >= CHUNK_BYTES && done < dst.bytes && !self.together {
                self.flush(device);
            }
        }
        Ok(())
    }

    /// Makes sure that the chunk has room for that many bytes; they fit a chunk.
    pub(super) fn need_chunk(&mut self, device: &Wgpu, room: u64, may_flush: bool) -> Outcome<()> {
        if self.chunk.as_ref().is_some_and(|(block, used)| *used + room <= block.capacity) {
            return Ok(());
        }
        self.blocks.extend(self.chunk.take().map(|(block, _)| block));
        loop {
            if let Some(block) = device.staging.chunk(self.ahead.max(room))? {
                self.chunk = Some((block, 0));
                return Ok(());
            }
            if may_flush {
                self.flush(device);
            }
            device.staging.wait();
            if let Some(cause) = device.gpu.signal.lost() {
                return Err(FailureKind::DeviceLost(cause));
            }
        }
    }

    /// Device memory to the host, in pieces.
    pub(super) fn fetch(
        &mut self,
        device: &Wgpu,
        token: Token,
        label: Option<&Arc<str>>,
        src: Region,
        dst: HostSpan,
    ) -> Outcome<()> {
        let memory = device.memory.get(src.mem);
        let mut done = 0;
        while done < src.bytes {
            let bytes = (src.bytes - done).min(PIECE_BYTES);
            let piece = loop {
                if let Some(piece) = device.readbacks.piece(token, dst, done, bytes)? {
                    break piece;
                }
                self.flush(device);
                device.readbacks.wait();
                if let Some(cause) = device.gpu.signal.lost() {
                    return Err(FailureKind::DeviceLost(cause));
                }
            };
            let (dst, src_offset) = (piece.buffer.clone(), src.offset + done);
            self.push(token, label, Step::Copy { src: memory.clone(), src_offset, dst, dst_offset: 0, bytes });
            self.pieces.push(piece);
            self.moved += bytes;
            done += bytes;
            if self.moved >= PIECE_BYTES && done < src.bytes && !self.together {
                self.flush(device);
            }
        }
        Ok(())
    }

    /// The step that gives the device the parameters it does not have.
    pub(super) fn parameters(&mut self, device: &Wgpu) -> Outcome<Option<Part>> {
        let Some((offset, bytes)) = self.uniforms.dirty() else { return Ok(None) };
        self.need_chunk(device, bytes, false)?;
        let (block, used) = self.chunk.as_mut().expect("just taken");
        let new = self.uniforms.take_dirty();
        // SAFETY: the chunk has room for the bytes, which are a slice's.
        unsafe { block.write(*used, new.as_ptr(), bytes) };
        let step = Step::Copy {
            src: block.buffer.clone(),
            src_offset: block.offset + *used,
            dst: self.uniforms.buffer.clone(),
            dst_offset: offset,
            bytes,
        };
        *used += bytes;
        Ok(Some(Part { of: usize::MAX, step, label: None }))
    }
}

/// Moves so few bytes that they cost nothing beside what moves many.
pub(super) fn is_little(op: &Op) -> bool {
    match op {
        Op::Upload { dst, .. } => dst.bytes < SMALL_BYTES,
        Op::Download { src, .. } => src.bytes < SMALL_BYTES,
        _ => false,
    }
}

/// Bytes that a command sends through the ring.
pub(super) fn staged_bytes(command: &Command) -> u64 {
    staged(&command.op)
}

fn staged(op: &Op) -> u64 {
    match op {
        Op::Upload { src: Source::Span(_) | Source::Carried(_), dst } => dst.bytes,
        Op::Replay(recorded) => recorded.ops.iter().map(staged).sum(),
        _ => 0,
    }
}

/// Bytes that a command brings back.
pub(super) fn fetched_bytes(command: &Command) -> u64 {
    fetched(&command.op)
}

fn fetched(op: &Op) -> u64 {
    match op {
        Op::Download { src, .. } => src.bytes,
        Op::Replay(recorded) => recorded.ops.iter().map(fetched).sum(),
        _ => 0,
    }
}
