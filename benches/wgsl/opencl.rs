//! The OpenCL twins on the first CPU device of the first platform that has one: PoCL, on Debian.
#![expect(unsafe_code, reason = "OpenCL is a C interface: sizes and argument types are the caller's promise")]

use std::time::{Duration, Instant};

use opencl3::{
    command_queue::CommandQueue,
    context::Context,
    device::{CL_DEVICE_TYPE_CPU, Device},
    kernel::{ExecuteKernel, Kernel},
    memory::{Buffer, CL_MEM_READ_WRITE},
    platform::get_platforms,
    program::Program,
    types::CL_BLOCKING,
};
use wharf_simt::Module;

use crate::{Arm, Error, rows::Row};

pub(crate) struct OpenCl {
    context: Context,
    queue: CommandQueue,
    program: Program,
    pub(crate) version: String,
}

impl OpenCl {
    /// The device, or why there is none.
    pub(crate) fn open() -> Result<Self, String> {
        let none = |e: &dyn std::fmt::Display| {
            format!("no OpenCL platform (Debian: pocl-opencl-icd and ocl-icd-libopencl1): {e}")
        };
        for platform in get_platforms().map_err(|e| none(&e))? {
            let Some(&id) = platform.get_devices(CL_DEVICE_TYPE_CPU).ok().as_deref().and_then(<[_]>::first) else {
                continue;
            };
            let device = Device::new(id);
            let version = [platform.version(), device.name()].map(Result::unwrap_or_default).join(", ");
            let context = Context::from_device(&device).map_err(|e| format!("{version}: {e}"))?;
            let queue = CommandQueue::create_default(&context, 0).map_err(|e| format!("{version}: {e}"))?;
            let built = Program::create_and_build_from_source(&context, include_str!("twins.cl"), "");
            let program = built.map_err(|log| format!("{version} does not build the twins: {log}"))?;
            return Ok(Self { context, queue, program, version });
        }
        Err(none(&"no platform with a CPU device"))
    }
}

/// The device on buffers of its own.
pub(crate) struct Twin<'a> {
    cl: &'a OpenCl,
    kernel: Kernel,
    buffers: Vec<Buffer<u32>>,
    output: (usize, usize),
    global: [usize; 3],
    local: [usize; 3],
}

impl<'a> Twin<'a> {
    /// The twin of a row's only step, where there is one.
    pub(crate) fn new(row: &Row, cl: &'a OpenCl) -> Result<Option<Self>, Error> {
        let &[(entry, groups)] = &row.steps[..] else { return Ok(None) };
        let Ok(kernel) = Kernel::create(&cl.program, entry) else { return Ok(None) };
        let local = Module::new(row.wgsl)?.workgroup_size(entry, &[])?.map(|side| side as usize);
        let global = std::array::from_fn(|i| local[i] * groups[i] as usize);
        let mut buffers = Vec::new();
        for words in &row.buffers {
            let words = words.u32s();
            // SAFETY: OpenCL owns the memory; the write covers exactly the buffer and is over on return.
            let buffer = unsafe {
                let mut buffer = Buffer::create(&cl.context, CL_MEM_READ_WRITE, words.len(), std::ptr::null_mut())?;
                cl.queue.enqueue_write_buffer(&mut buffer, CL_BLOCKING, 0, words, &[])?;
                buffer
            };
            buffers.push(buffer);
        }
        let output = (row.output, row.buffers[row.output].u32s().len());
        Ok(Some(Self { cl, kernel, buffers, output, global, local }))
    }
}

impl Arm for Twin<'_> {
    fn run(&mut self, times: u32) -> Result<Duration, Error> {
        let start = Instant::now();
        for _ in 0..times {
            let mut launch = ExecuteKernel::new(&self.kernel);
            // SAFETY: the twins take the row's buffers in order, and index them as the WGSL does.
            unsafe {
                for buffer in &self.buffers {
                    launch.set_arg(buffer);
                }
                launch.set_global_work_sizes(&self.global).set_local_work_sizes(&self.local);
                launch.enqueue_nd_range(&self.cl.queue)?;
            }
            self.cl.queue.finish()?;
        }
        Ok(start.elapsed())
    }

    fn output(&mut self) -> Result<Vec<u32>, Error> {
        let (at, len) = self.output;
        let mut words = vec![0; len];
        // SAFETY: `words` is as long as the buffer, and the read is over on return.
        unsafe { self.cl.queue.enqueue_read_buffer(&self.buffers[at], CL_BLOCKING, 0, &mut words, &[])? };
        Ok(words)
    }
}
