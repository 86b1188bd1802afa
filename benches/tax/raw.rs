//! The rounds by hand in wgpu: everything is made before, one encoder and one submission a round.
#![expect(unsafe_code, reason = "the shaders are compiled as wharf compiles them: without checks of proven indices")]

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use wgpu::{
    BindGroup, Buffer, BufferDescriptor, BufferUsages, CommandEncoderDescriptor, ComputePassDescriptor,
    ComputePipeline, MapMode, PollType, SubmissionIndex,
};

use crate::{Arm, DEPTH, Error, input, verify};

/// A kernel that does next to nothing, and can be verified.
pub(crate) const TOUCH: &str = "
@group(0) @binding(0) var<storage, read_write> count: array<u32>;
@compute @workgroup_size(1)
fn touch() { count[0] += 1u; }";

pub(crate) struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

impl Gpu {
    /// The adapter of this name.
    pub(crate) fn open(name: &str) -> Result<Self, Error> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.flags = wgpu::InstanceFlags::empty();
        let backends = wgpu::Backends::PRIMARY;
        descriptor.backends = backends;
        let adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
        let adapter = adapters.into_iter().find(|a| a.get_info().name == name).ok_or("the adapter is not seen")?;
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
        Ok(Self { device, queue })
    }

    fn buffer(&self, bytes: u64, usage: BufferUsages, mapped_at_creation: bool) -> Buffer {
        self.device.create_buffer(&BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation })
    }

    fn pipeline(&self, source: &str) -> ComputePipeline {
        let source = wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(source.into()) };
        let checks =
            wgpu::ShaderRuntimeChecks { bounds_checks: false, force_loop_bounding: false, ..Default::default() };
        // SAFETY: both shaders stay within their buffers, and their loops end.
        let module = unsafe { self.device.create_shader_module_trusted(source, checks) };
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        })
    }

    fn bind(&self, pipeline: &ComputePipeline, buffers: &[&Buffer]) -> BindGroup {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let layout = pipeline.get_bind_group_layout(0);
        self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
    }

    fn wait(&self, index: &SubmissionIndex) -> Result<(), Error> {
        let timeout = Some(Duration::from_secs(60));
        self.device.poll(PollType::Wait { submission_index: Some(index.clone()), timeout })?;
        Ok(())
    }
}

/// How `x` goes up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    WriteBuffer,
    Ring,
    Fresh,
}

/// Upload, saxpy, download.
pub(crate) struct Rounds<'a> {
    gpu: &'a Gpu,
    way: Way,
    pipeline: ComputePipeline,
    slots: Vec<Slot>,
    done: usize,
}

struct Slot {
    /// What goes up: each slot has its own, as data that is made has.
    up: Vec<f32>,
    x: Buffer,
    y: Buffer,
    group: BindGroup,
    /// Mapped whenever the slot is not in flight, for [`Way::Ring`].
    staging: Option<Buffer>,
    readback: Buffer,
    down: Vec<f32>,
    flight: Option<(SubmissionIndex, mpsc::Receiver<()>)>,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(gpu: &'a Gpu, way: Way, len: usize) -> Result<Self, Error> {
        let pipeline = gpu.pipeline(wharf_shaders::SAXPY);
        let params = gpu.buffer(8, BufferUsages::UNIFORM | BufferUsages::COPY_DST, false);
        gpu.queue.write_buffer(&params, 0, bytemuck::cast_slice(&[len as u32, 2.0_f32.to_bits()]));
        let bytes = len as u64 * 4;
        let slot = || {
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
            let (x, y) = (gpu.buffer(bytes, usage, false), gpu.buffer(bytes, usage, false));
            let group = gpu.bind(&pipeline, &[&x, &y, &params]);
            let ring = way == Way::Ring;
            let staging = ring.then(|| gpu.buffer(bytes, BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC, true));
            let readback = gpu.buffer(bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST, false);
            Slot { up: input(len), x, y, group, staging, readback, down: vec![0.0; len], flight: None }
        };
        let slots = (0..DEPTH).map(|_| slot()).collect();
        Ok(Self { gpu, way, pipeline, slots, done: 0 })
    }

    fn land(gpu: &Gpu, slot: &mut Slot) -> Result<(), Error> {
        let Some((index, mapped)) = slot.flight.take() else { return Ok(()) };
        gpu.wait(&index)?;
        mapped.recv()?;
        slot.down.copy_from_slice(bytemuck::cast_slice(&slot.readback.get_mapped_range(..)?));
        slot.readback.unmap();
        if slot.staging.is_some() {
            mapped.recv()?;
        }
        Ok(())
    }

    fn launch(&mut self, number: usize) -> Result<(), Error> {
        let (gpu, slot) = (self.gpu, &mut self.slots[number]);
        let data: &[u8] = bytemuck::cast_slice(&slot.up);
        let fresh = (self.way == Way::Fresh)
            .then(|| gpu.buffer(data.len() as u64, BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC, true));
        let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
        match fresh.as_ref().or(slot.staging.as_ref()) {
            Some(staging) => {
                staging.get_mapped_range_mut(..)?.copy_from_slice(data);
                staging.unmap();
                encoder.copy_buffer_to_buffer(staging, 0, &slot.x, 0, data.len() as u64);
            }
            None => gpu.queue.write_buffer(&slot.x, 0, data),
        }
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &slot.group, &[]);
        pass.dispatch_workgroups(slot.up.len().div_ceil(1024) as u32, 1, 1);
        drop(pass);
        encoder.copy_buffer_to_buffer(&slot.y, 0, &slot.readback, 0, data.len() as u64);
        let index = gpu.queue.submit([encoder.finish()]);
        let (sender, mapped) = mpsc::channel();
        if let Some(staging) = &slot.staging {
            let sender = sender.clone();
            staging.map_async(MapMode::Write, .., move |result| result.map_or((), |()| sender.send(()).unwrap_or(())));
        }
        slot.readback.map_async(MapMode::Read, .., move |result| result.map_or((), |()| sender.send(()).unwrap_or(())));
        slot.flight = Some((index, mapped));
        Ok(())
    }
}

impl Arm for Rounds<'_> {
    fn run(&mut self, rounds: usize) -> Result<Duration, Error> {
        let start = Instant::now();
        for round in 0..rounds {
            Self::land(self.gpu, &mut self.slots[round % DEPTH])?;
            self.launch(round % DEPTH)?;
        }
        for slot in &mut self.slots {
            Self::land(self.gpu, slot)?;
        }
        let time = start.elapsed();
        self.done += rounds / DEPTH;
        for slot in &self.slots {
            verify(&slot.down, self.done)?;
        }
        Ok(time)
    }
}

/// Launches of an almost empty kernel.
pub(crate) struct Launches<'a> {
    gpu: &'a Gpu,
    pipeline: ComputePipeline,
    count: Buffer,
    group: BindGroup,
    at_once: bool,
    done: usize,
}

impl<'a> Launches<'a> {
    pub(crate) fn new(gpu: &'a Gpu, at_once: bool) -> Self {
        let pipeline = gpu.pipeline(TOUCH);
        let count = gpu.buffer(64, BufferUsages::STORAGE | BufferUsages::COPY_SRC, false);
        let group = gpu.bind(&pipeline, &[&count]);
        Self { gpu, pipeline, count, group, at_once, done: 0 }
    }

    fn submit(&self, launches: usize) -> SubmissionIndex {
        let mut encoder = self.gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
        for _ in 0..launches {
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.group, &[]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        drop(pass);
        self.gpu.queue.submit([encoder.finish()])
    }

    fn count(&self) -> Result<u32, Error> {
        let readback = self.gpu.buffer(64, BufferUsages::MAP_READ | BufferUsages::COPY_DST, false);
        let mut encoder = self.gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&self.count, 0, &readback, 0, 64);
        let index = self.gpu.queue.submit([encoder.finish()]);
        readback.map_async(MapMode::Read, .., |_| ());
        self.gpu.wait(&index)?;
        let count = bytemuck::cast_slice(&readback.get_mapped_range(..)?)[0];
        Ok(count)
    }
}

impl Arm for Launches<'_> {
    fn run(&mut self, launches: usize) -> Result<Duration, Error> {
        let start = Instant::now();
        let last = if self.at_once {
            self.submit(launches)
        } else {
            (0..launches).map(|_| self.submit(1)).reduce(|_, last| last).ok_or("no launches")?
        };
        self.gpu.wait(&last)?;
        let time = start.elapsed();
        self.done += launches;
        match self.count()? {
            count if count as usize == self.done => Ok(time),
            count => Err(format!("{count} launches ran of {}", self.done).into()),
        }
    }
}
