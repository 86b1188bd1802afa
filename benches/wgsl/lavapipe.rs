//! The WGSL through wgpu on the software adapter.
//!
//! wgpu is used directly, with the checks that are its default: what is timed is one submission of
//! everything and the wait for it, without anything of ours.

use std::time::{Duration, Instant};

use wgpu::{
    BindGroup, Buffer, BufferDescriptor, BufferUsages, CommandEncoderDescriptor, ComputePassDescriptor,
    ComputePipeline, DeviceType, MapMode, PollType,
};
use wharf_simt::Module;

use crate::{Arm, Error, rows::Row};

pub(crate) struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pub(crate) version: String,
}

impl Gpu {
    /// The first software adapter, or why there is none.
    pub(crate) fn open() -> Result<Self, String> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.flags = wgpu::InstanceFlags::empty();
        descriptor.backends = wgpu::Backends::VULKAN;
        let adapters = wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::VULKAN);
        let mut adapters = pollster::block_on(adapters).into_iter();
        let adapter = adapters.find(|a| a.get_info().device_type == DeviceType::Cpu);
        let adapter = adapter.ok_or("no software Vulkan adapter (Debian: mesa-vulkan-drivers)")?;
        let info = adapter.get_info();
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let opened = pollster::block_on(adapter.request_device(&descriptor));
        let (device, queue) = opened.map_err(|e| format!("{}: {e}", info.name))?;
        Ok(Self { device, queue, version: format!("{}, {} {}", info.name, info.driver, info.driver_info) })
    }

    fn buffer(&self, bytes: u64, usage: BufferUsages) -> Buffer {
        self.device.create_buffer(&BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false })
    }

    fn wait(&self) -> Result<(), Error> {
        self.device.poll(PollType::wait_indefinitely())?;
        Ok(())
    }
}

/// The adapter on buffers of its own.
pub(crate) struct Lavapipe<'a> {
    gpu: &'a Gpu,
    steps: Vec<(ComputePipeline, BindGroup, [u32; 3])>,
    output: Buffer,
}

impl<'a> Lavapipe<'a> {
    pub(crate) fn new(row: &Row, gpu: &'a Gpu) -> Result<Self, Error> {
        let reflected = Module::new(row.wgsl)?;
        let source = wgpu::ShaderSource::Wgsl(row.wgsl.into());
        let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let usage = BufferUsages::STORAGE | BufferUsages::UNIFORM | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        let mut buffers = Vec::new();
        for words in &row.buffers {
            let buffer = gpu.buffer(words.bytes().len().next_multiple_of(16) as u64, usage);
            gpu.queue.write_buffer(&buffer, 0, words.bytes());
            buffers.push(buffer);
        }
        let mut steps = Vec::new();
        for &(entry, groups) in &row.steps {
            let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            let bind = |slot: &wharf_simt::Slot| wgpu::BindGroupEntry {
                binding: slot.binding,
                resource: buffers[slot.binding as usize].as_entire_binding(),
            };
            let entries: Vec<_> = reflected.entry(entry)?.bindings.iter().map(bind).collect();
            let layout = pipeline.get_bind_group_layout(0);
            let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
            steps.push((pipeline, gpu.device.create_bind_group(&descriptor), groups));
        }
        Ok(Self { gpu, steps, output: buffers.swap_remove(row.output) })
    }
}

impl Arm for Lavapipe<'_> {
    fn run(&mut self, times: u32) -> Result<Duration, Error> {
        let start = Instant::now();
        for _ in 0..times {
            let mut encoder = self.gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            for (pipeline, group, [x, y, z]) in &self.steps {
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(*x, *y, *z);
            }
            drop(pass);
            self.gpu.queue.submit([encoder.finish()]);
            self.gpu.wait()?;
        }
        Ok(start.elapsed())
    }

    fn output(&mut self) -> Result<Vec<u32>, Error> {
        let readback = self.gpu.buffer(self.output.size(), BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        let mut encoder = self.gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&self.output, 0, &readback, 0, self.output.size());
        self.gpu.queue.submit([encoder.finish()]);
        readback.map_async(MapMode::Read, .., |_| {});
        self.gpu.wait()?;
        Ok(bytemuck::pod_collect_to_vec(&readback.get_mapped_range(..)?))
    }
}
