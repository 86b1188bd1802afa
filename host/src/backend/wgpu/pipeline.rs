//! Compiled kernels and their bind groups.
#![expect(unsafe_code, reason = "kernels whose indices are proven are compiled without bounds checks")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, RwLock},
};

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingType, Buffer, BufferBinding, BufferBindingType, BufferSize, ComputePipeline, ComputePipelineDescriptor,
    PipelineCompilationOptions, PipelineLayoutDescriptor, ShaderModuleDescriptor, ShaderRuntimeChecks, ShaderSource,
    ShaderStages,
};
use wharf_simt::{Access, Slot};

use super::{
    gpu::{Fault, Gpu},
    lock,
};
use crate::{
    backend::{MemId, PipelineId, Region},
    error::{Error, Result},
    kernel::Kernel,
};

/// Bind groups kept at most; the cache is emptied when it is full.
const MOST_GROUPS: usize = 4096;

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) compute: ComputePipeline,
    /// One for each group up to the last that is used.
    layouts: Vec<BindGroupLayout>,
    bindings: Vec<Binding>,
}

/// A binding, in order of group and binding.
#[derive(Debug, Clone, Copy)]
struct Binding {
    group: u32,
    binding: u32,
    access: Access,
    /// Bytes of a uniform binding.
    bytes: u64,
}

/// The bind groups of one launch, by group.
pub(super) type Groups = Arc<[BindGroup]>;

type Key = (PipelineId, Box<[(MemId, u64, u64)]>);

#[derive(Debug, Default)]
pub(super) struct Pipelines {
    all: RwLock<Vec<Arc<Pipeline>>>,
    groups: Mutex<HashMap<Key, Groups>>,
}

impl Pipeline {
    /// Bytes of each uniform binding, in order.
    pub(super) fn uniforms(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.bindings.iter().filter(|b| b.access == Access::Uniform).map(|b| (b.group, b.bytes))
    }

    /// How many bind groups a launch sets.
    pub(super) fn group_count(&self) -> u32 {
        self.layouts.len() as u32
    }

    /// Storage bindings that are only read, as indices into a launch's regions, each with whether
    /// another binding writes the same memory: wgpu lets a launch read or write a buffer, not both.
    pub(super) fn torn(&self, storage: &[Region]) -> Vec<usize> {
        let access: Vec<Access> = self.bindings.iter().map(|b| b.access).filter(|a| *a != Access::Uniform).collect();
        let written = |mem| storage.iter().zip(&access).any(|(r, a)| r.mem == mem && *a == Access::ReadWrite);
        let reads = access.iter().enumerate().filter(|(_, a)| **a == Access::Read);
        reads.map(|(index, _)| index).filter(|&index| written(storage[index].mem)).collect()
    }
}

impl Pipelines {
    pub(super) fn prepare(&self, gpu: &Gpu, kernel: &Kernel, overrides: &[(String, f64)]) -> Result<PipelineId> {
        let pipeline = compile(gpu, kernel, overrides)?;
        let mut all = self.all.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.push(Arc::new(pipeline));
        Ok(PipelineId(all.len() as u64 - 1))
    }

    pub(super) fn get(&self, id: PipelineId) -> Arc<Pipeline> {
        let all = self.all.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        all[id.0 as usize].clone()
    }

    /// The bind groups for these regions, made once.
    pub(super) fn groups(
        &self,
        id: PipelineId,
        storage: &[Region],
        make: impl FnOnce() -> std::result::Result<Groups, Fault>,
    ) -> std::result::Result<Groups, Fault> {
        let key = (id, storage.iter().map(|r| (r.mem, r.offset, r.bytes)).collect());
        if let Some(groups) = lock(&self.groups).get(&key) {
            return Ok(groups.clone());
        }
        let made = make()?;
        let mut groups = lock(&self.groups);
        if groups.len() >= MOST_GROUPS {
            groups.clear();
        }
        groups.insert(key, made.clone());
        Ok(made)
    }

    /// The memory is going to be freed: nothing here may keep it.
    pub(super) fn forget(&self, mem: MemId) {
        lock(&self.groups).retain(|(_, regions), _| regions.iter().all(|region| region.0 != mem));
    }
}

/// The bind groups of a launch: its storage, and the uniform memory from its beginning (a launch says
/// where its parameters are when it sets the group).
pub(super) fn bind(gpu: &Gpu, pipeline: &Pipeline, storage: &[(Buffer, u64, u64)], uniform: &Buffer) -> Groups {
    let mut regions = storage.iter();
    let buffers: Vec<(u32, u32, BufferBinding<'_>)> = (pipeline.bindings.iter())
        .map(|b| {
            let (buffer, offset, bytes) = match b.access {
                Access::Uniform => (uniform, 0, b.bytes),
                _ => regions.next().map(|(buffer, offset, bytes)| (buffer, *offset, *bytes)).expect("a region each"),
            };
            (b.group, b.binding, BufferBinding { buffer, offset, size: BufferSize::new(bytes) })
        })
        .collect();
    let group = |(number, layout): (usize, &BindGroupLayout)| {
        let own = buffers.iter().filter(|(group, ..)| *group as usize == number);
        let entries: Vec<BindGroupEntry<'_>> = own
            .map(|(_, binding, buffer)| BindGroupEntry {
                binding: *binding,
                resource: wgpu::BindingResource::Buffer(buffer.clone()),
            })
            .collect();
        gpu.device.create_bind_group(&BindGroupDescriptor { label: None, layout, entries: &entries })
    };
    pipeline.layouts.iter().enumerate().map(group).collect()
}

fn compile(gpu: &Gpu, kernel: &Kernel, overrides: &[(String, f64)]) -> Result<Pipeline> {
    let entry = kernel.entry()?;
    let bindings: Vec<Binding> = entry.bindings.iter().map(Binding::of).collect();
    let groups = bindings.iter().map(|b| b.group + 1).max().unwrap_or(0);
    let module = kernel.module()?;
    let known = |(key, value): &(String, f64)| (module.override_key(key).unwrap_or_else(|| key.clone()), *value);
    let constants: Vec<(String, f64)> = overrides.iter().map(known).collect();
    let constants: Vec<(&str, f64)> = constants.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let label = Some(kernel.name());
    let made = gpu.guard(|| {
        let source = ShaderModuleDescriptor { label, source: ShaderSource::Wgsl(kernel.wgsl().into()) };
        let module = if kernel.has_proven_indices() {
            let checks = ShaderRuntimeChecks { bounds_checks: false, force_loop_bounding: false, ..Default::default() };
            // SAFETY: the kernel promises that its indices are in range and its loops end
            // (`Kernel::with_proven_indices`).
            unsafe { gpu.device.create_shader_module_trusted(source, checks) }
        } else {
            gpu.device.create_shader_module(source)
        };
        let layouts: Vec<BindGroupLayout> = (0..groups)
            .map(|group| {
                let own = bindings.iter().filter(|b| b.group == group);
                let entries: Vec<BindGroupLayoutEntry> = own.map(|b| b.layout()).collect();
                gpu.device.create_bind_group_layout(&BindGroupLayoutDescriptor { label, entries: &entries })
            })
            .collect();
        let groups: Vec<Option<&BindGroupLayout>> = layouts.iter().map(Some).collect();
        let layout = gpu.device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &groups,
            immediate_size: 0,
        });
        let compute = gpu.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label,
            layout: Some(&layout),
            module: &module,
            entry_point: label,
            compilation_options: PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: true,
            },
            cache: None,
        });
        Pipeline { compute, layouts, bindings: bindings.clone() }
    });
    made.map_err(|fault| Error::Build {
        kernel: kernel.name().to_owned(),
        log: fault.message().to_string(),
        source: None,
    })
}

impl Binding {
    fn of(slot: &Slot) -> Self {
        Self { group: slot.group, binding: slot.binding, access: slot.access, bytes: slot.min_bytes }
    }

    fn layout(self) -> BindGroupLayoutEntry {
        let ty = match self.access {
            Access::Uniform => BufferBindingType::Uniform,
            access => BufferBindingType::Storage { read_only: access == Access::Read },
        };
        BindGroupLayoutEntry {
            binding: self.binding,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer { ty, has_dynamic_offset: self.access == Access::Uniform, min_binding_size: None },
            count: None,
        }
    }
}
