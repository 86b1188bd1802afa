//! The parameters of launches: one buffer on the device, filled again by each submission.
//!
//! A submission writes its launches' parameters from the beginning of the buffer before anything else
//! it does. The queue's order keeps that behind the launches of the submission before, so slots need no
//! bookkeeping. What the device already has is not written again: a program that launches the same
//! thing with the same parameters sends none.

use wgpu::{Buffer, BufferDescriptor, BufferUsages};

use super::gpu::Gpu;
use crate::error::Result;

/// Bytes of the buffer: parameters of some hundred launches.
const BYTES: u64 = 256 << 10;

#[derive(Debug)]
pub(super) struct Uniforms {
    pub(super) buffer: Buffer,
    align: u64,
    /// What the buffer holds once everything encoded so far has run.
    shadow: Vec<u8>,
    used: u64,
    /// The bytes of the shadow that the device does not have yet.
    dirty: Option<(u64, u64)>,
}

impl Uniforms {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        let descriptor = BufferDescriptor {
            label: Some("parameters"),
            size: BYTES,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let buffer =
            gpu.guard(|| gpu.device.create_buffer(&descriptor)).map_err(|fault| fault.error("create buffer", BYTES))?;
        let align = u64::from(gpu.device.limits().min_uniform_buffer_offset_alignment).max(16);
        Ok(Self { buffer, align, shadow: vec![0; BYTES as usize], used: 0, dirty: None })
    }

    /// Whether parameters of these sizes still fit beside those of this submission.
    pub(super) fn fits(&self, bytes: impl Iterator<Item = u64>) -> bool {
        bytes.fold(self.used, |at, bytes| (at + bytes).next_multiple_of(self.align)) <= BYTES
    }

    /// Puts parameters into the next slot; gives their offset.
    pub(super) fn put(&mut self, bytes: &[u8]) -> u32 {
        let (at, len) = (self.used, bytes.len() as u64);
        let slot = &mut self.shadow[at as usize..(at + len) as usize];
        if slot != bytes {
            slot.copy_from_slice(bytes);
            let end = (at + len).next_multiple_of(4);
            self.dirty = Some(self.dirty.map_or((at, end), |(from, to)| (from.min(at), to.max(end))));
        }
        self.used = (at + len).next_multiple_of(self.align);
        at as u32
    }

    /// Offset and length of what the device must be given before the launches run.
    pub(super) fn dirty(&self) -> Option<(u64, u64)> {
        self.dirty.map(|(from, to)| (from, to - from))
    }

    /// Those bytes; the device is given them now.
    pub(super) fn take_dirty(&mut self) -> &[u8] {
        let (from, to) = self.dirty.take().unwrap_or((0, 0));
        &self.shadow[from as usize..to as usize]
    }

    /// The next submission begins at the first slot again.
    pub(super) fn rewind(&mut self) {
        self.used = 0;
    }

    /// A submission was refused: nobody knows what the device holds.
    pub(super) fn mistrust(&mut self) {
        self.dirty = Some((0, BYTES));
    }
}
