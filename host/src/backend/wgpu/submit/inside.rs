//! What stays inside the device: launches, copies, clears, and graphs of them.

use std::sync::Arc;

use wgpu::{Buffer, BufferDescriptor, BufferUsages};

use super::{Outcome, Submitter, WORTH_STARTING};
use crate::{
    backend::{
        Launch, Op, Path, Recorded, Region, Source, Token,
        wgpu::{Wgpu, encode::Step, gpu::Fault, pipeline::bind},
    },
    error::FailureKind,
};

impl Submitter {
    /// A graph. Answers whether all of it is in one submission; it is, unless its parameters or its transfers
    /// alone are more than the device or the staging memory holds at once.
    pub(super) fn replay(
        &mut self,
        device: &Wgpu,
        token: Token,
        label: Option<&Arc<str>>,
        recorded: &Recorded,
    ) -> Outcome<bool> {
        let launches =
            recorded.ops.iter().filter_map(|op| if let Op::Launch(launch) = op { Some(launch) } else { None });
        let pipelines: Vec<_> = launches.map(|launch| device.pipelines.get(launch.pipeline)).collect();
        if !self.uniforms.fits(pipelines.iter().flat_map(|pipeline| pipeline.uniforms()).map(|(_, bytes)| bytes)) {
            self.flush(device);
        } else if recorded.lends && self.moved >= WORTH_STARTING {
            // Staging memory for all of its transfers is more likely to be free then.
            self.flush(device);
        }
        let before = self.flushes;
        self.together = true;
        let given = recorded.ops.iter().try_for_each(|op| self.inside(device, token, label, op).map(drop));
        self.together = false;
        given.map(|()| self.flushes == before)
    }

    pub(super) fn inside(&mut self, device: &Wgpu, token: Token, label: Option<&Arc<str>>, op: &Op) -> Outcome<Path> {
        match op {
            &Op::Upload { src: Source::Span(span), dst } => {
                self.stage(device, token, label, span, dst).map(|()| Path::Staged)
            }
            &Op::Download { src, dst } => self.fetch(device, token, label, src, dst).map(|()| Path::Staged),
            &Op::Copy { src, dst } => self.duplicate(device, token, label, src, dst).map(|()| Path::Device),
            &Op::Clear { dst } => {
                let step = Step::Clear { dst: device.memory.get(dst.mem), offset: dst.offset, bytes: dst.bytes };
                self.push(token, label, step);
                Ok(Path::Device)
            }
            Op::Launch(launch) => self.launch(device, token, label, launch),
            other => panic!("our bug: {other:?} inside the device"),
        }
    }

    /// Device to device. wgpu copies between two buffers only, so one buffer's bytes take a detour.
    fn duplicate(
        &mut self,
        device: &Wgpu,
        token: Token,
        label: Option<&Arc<str>>,
        src: Region,
        dst: Region,
    ) -> Outcome<()> {
        let mut from = (device.memory.get(src.mem), src.offset);
        if src.mem == dst.mem {
            let detour = self.detour(device, 0, src.bytes)?;
            self.aside(token, label, from, &detour, src.bytes);
            from = (detour, 0);
        }
        self.copy(device, token, label, from, dst);
        Ok(())
    }

    fn launch(&mut self, device: &Wgpu, token: Token, label: Option<&Arc<str>>, launch: &Launch) -> Outcome<Path> {
        let pipeline = device.pipelines.get(launch.pipeline);
        let fits = |own: &Self| own.uniforms.fits(pipeline.uniforms().map(|(_, bytes)| bytes));
        if !fits(self) {
            self.flush(device);
        }
        if !fits(self) {
            let bytes = launch.uniform.len();
            return Err(FailureKind::Backend(
                format!("{bytes} bytes of parameters are more than a launch may have").into(),
            ));
        }
        let torn = pipeline.torn(&launch.storage);
        let mut copies = Vec::new();
        for (nth, &index) in torn.iter().enumerate() {
            let region = launch.storage[index];
            let copy = self.detour(device, nth, region.bytes)?;
            self.aside(token, label, (device.memory.get(region.mem), region.offset), &copy, region.bytes);
            copies.push((index, copy));
        }
        let make = || {
            let mut storage: Vec<(Buffer, u64, u64)> =
                launch.storage.iter().map(|r| (device.memory.get(r.mem), r.offset, r.bytes)).collect();
            for (index, copy) in &copies {
                storage[*index] = (copy.clone(), 0, launch.storage[*index].bytes);
            }
            device.gpu.guard(|| bind(&device.gpu, &pipeline, &storage, &self.uniforms.buffer))
        };
        let groups =
            if copies.is_empty() { device.pipelines.groups(launch.pipeline, &launch.storage, make)? } else { make()? };
        let (mut uniforms, mut at) = (Vec::new(), 0_usize);
        for (group, bytes) in pipeline.uniforms() {
            at = at.next_multiple_of(16);
            let end = at + bytes as usize;
            uniforms.push((group, self.uniforms.put(&launch.uniform[at..end])));
            at = end;
        }
        let counts = launch.groups;
        self.push(token, label, Step::Dispatch { pipeline, groups, uniforms, counts });
        Ok(if torn.is_empty() { Path::None } else { Path::Device })
    }

    fn aside(&mut self, token: Token, label: Option<&Arc<str>>, from: (Buffer, u64), to: &Buffer, bytes: u64) {
        let (src, src_offset) = from;
        self.push(token, label, Step::Copy { src, src_offset, dst: to.clone(), dst_offset: 0, bytes });
    }

    /// The scratch buffer of this number, at least this long.
    fn detour(&mut self, device: &Wgpu, number: usize, bytes: u64) -> std::result::Result<Buffer, Fault> {
        if let Some(buffer) = self.scratch.get(number).filter(|b| b.size() >= bytes) {
            return Ok(buffer.clone());
        }
        let descriptor = BufferDescriptor {
            label: Some("scratch"),
            size: bytes,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let made = device.gpu.guard(|| device.gpu.device.create_buffer(&descriptor));
        let buffer = made.map_err(|fault| fault.asking(bytes))?;
        self.scratch.truncate(number);
        self.scratch.push(buffer.clone());
        Ok(buffer)
    }
}
