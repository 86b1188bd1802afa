//! Steps, as data, into one command buffer.

use std::sync::Arc;

use wgpu::{Buffer, CommandEncoder, CommandEncoderDescriptor, ComputePass, ComputePassDescriptor};

use super::{
    gpu::Gpu,
    pipeline::{Groups, Pipeline},
};

/// One thing that the device does.
#[derive(Debug)]
pub(super) enum Step {
    Copy { src: Buffer, src_offset: u64, dst: Buffer, dst_offset: u64, bytes: u64 },
    Clear { dst: Buffer, offset: u64, bytes: u64 },
    Dispatch { pipeline: Arc<Pipeline>, groups: Groups, uniforms: Vec<(u32, u32)>, counts: [u32; 3] },
}

/// A step, and the number (within the submission) of the command that it is part of.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) of: usize,
    pub(super) step: Step,
    pub(super) label: Option<Arc<str>>,
}

/// Records the steps in order. Dispatches that follow each other share a compute pass.
pub(super) fn encode<'a>(gpu: &Gpu, parts: impl Iterator<Item = &'a Part>) -> wgpu::CommandBuffer {
    let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
    let mut pass: Option<ComputePass<'static>> = None;
    for part in parts {
        let label = part.label.as_deref();
        if let Step::Dispatch { pipeline, groups, uniforms, counts } = &part.step {
            let pass = pass
                .get_or_insert_with(|| encoder.begin_compute_pass(&ComputePassDescriptor::default()).forget_lifetime());
            if let Some(label) = label {
                pass.insert_debug_marker(label);
            }
            dispatch(pass, pipeline, groups, uniforms, *counts);
        } else {
            drop(pass.take());
            if let Some(label) = label {
                encoder.insert_debug_marker(label);
            }
            transfer(&mut encoder, &part.step);
        }
    }
    drop(pass);
    encoder.finish()
}

fn dispatch(
    pass: &mut ComputePass<'_>,
    pipeline: &Pipeline,
    groups: &Groups,
    uniforms: &[(u32, u32)],
    [x, y, z]: [u32; 3],
) {
    pass.set_pipeline(&pipeline.compute);
    for number in 0..pipeline.group_count() {
        let own = uniforms.iter().filter(|(group, _)| *group == number).map(|(_, offset)| *offset);
        let offsets: Vec<u32> = own.collect();
        pass.set_bind_group(number, &groups[number as usize], &offsets);
    }
    pass.dispatch_workgroups(x, y, z);
}

fn transfer(encoder: &mut CommandEncoder, step: &Step) {
    match step {
        Step::Copy { src, src_offset, dst, dst_offset, bytes } => {
            encoder.copy_buffer_to_buffer(src, *src_offset, dst, *dst_offset, *bytes);
        }
        Step::Clear { dst, offset, bytes } => encoder.clear_buffer(dst, *offset, Some(*bytes)),
        Step::Dispatch { .. } => unreachable!("dispatches are recorded in a pass"),
    }
}
