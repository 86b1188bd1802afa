//! Compiled kernels, and the one way their functions are called.
//!
//! A function's parameters are the pointers of the storage bindings in order, their lengths in elements
//! (`unsigned int`) in the same order, then the scalars of the uniform bindings in memory order.

#![expect(unsafe_code, reason = "launches pass pointers to a compiled kernel")]

use std::borrow::Cow;
use std::ffi::c_void;
use std::sync::{Arc, PoisonError, RwLock};

use wharf_cuda_driver::nvrtc::{self, NvrtcError};
use wharf_simt::{Access, Layout, Leaf};

use super::api::{self, Context};
use super::module::Function;
use super::stream::Stream;
use crate::backend::{Launch, PipelineId};
use crate::error::{BackendKind, Error, Result};
use crate::kernel::Kernel;

/// The compiled kernels of a device. They stay loaded until it is closed.
#[derive(Debug)]
pub(super) struct Launcher {
    context: Arc<Context>,
    /// The option that makes NVRTC compile for this device.
    architecture: String,
    pipelines: RwLock<Vec<Arc<Pipeline>>>,
}

#[derive(Debug)]
struct Pipeline {
    function: Function,
    workgroup: [u32; 3],
    storage: Vec<Layout>,
    scalars: Vec<Leaf>,
}

impl Launcher {
    pub(super) fn new(context: Arc<Context>, (major, minor): (u32, u32)) -> Self {
        let architecture = format!("--gpu-architecture=compute_{major}{minor}");
        Self { context, architecture, pipelines: RwLock::default() }
    }

    /// Compiles the kernel's PTX; the context is current.
    pub(super) fn prepare(&self, kernel: &Kernel, set: &[(String, f64)]) -> Result<PipelineId> {
        let no_form = |reason: &str| Error::NoForm {
            kernel: kernel.name().to_owned(),
            backend: BackendKind::Cuda,
            reason: reason.to_owned(),
        };
        let build = |log: String| Error::Build { kernel: kernel.name().to_owned(), log, source: None };
        let ptx: Cow<'_, str> = match (kernel.ptx(), kernel.cuda()) {
            (Some(ptx), _) => ptx.into(),
            (None, Some(source)) => match nvrtc::compile(source, kernel.name(), &[&self.architecture]) {
                Ok(ptx) => ptx.into(),
                Err(NvrtcError::Missing(missing)) => {
                    return Err(no_form(&format!("it has CUDA source but no PTX, and there is {missing}")));
                }
                Err(error) => return Err(build(error.to_string())),
            },
            (None, None) => return Err(no_form("it has neither PTX nor CUDA source")),
        };
        let entry = kernel.entry()?;
        let is_default = |name: &str, value: f64| {
            // `@7` and `7` both name the override with that id.
            let id = name.strip_prefix('@').unwrap_or(name);
            let mut named = entry
                .overrides
                .iter()
                .filter(|o| o.name.as_deref() == Some(name) || o.id.is_some_and(|known| known.to_string() == id));
            named.next().and_then(|o| o.default) == Some(value)
        };
        if !set.iter().all(|(name, value)| is_default(name, *value)) {
            return Err(no_form("its PTX was made with the default overrides"));
        }
        let workgroup = kernel.module()?.workgroup_size(kernel.name(), &[]);
        let workgroup = workgroup.map_err(|error| build(error.to_string()))?;
        let function = Function::from_ptx(&self.context, &ptx, kernel.name()).map_err(build)?;
        let (uniform, storage): (Vec<_>, Vec<_>) =
            entry.bindings.iter().partition(|slot| slot.access == Access::Uniform);
        let pipeline = Pipeline {
            function,
            workgroup,
            storage: storage.iter().map(|slot| slot.layout.clone()).collect(),
            scalars: scalars(uniform.iter().map(|slot| &slot.layout)),
        };
        let mut pipelines = self.pipelines.write().unwrap_or_else(PoisonError::into_inner);
        pipelines.push(Arc::new(pipeline));
        Ok(PipelineId(pipelines.len() as u64 - 1))
    }

    pub(super) fn launch(&self, stream: &Stream, launch: &Launch) -> api::Result<()> {
        let pipelines = self.pipelines.read().unwrap_or_else(PoisonError::into_inner);
        let pipeline = Arc::clone(&pipelines[launch.pipeline.0 as usize]);
        drop(pipelines);
        let mut values = pipeline.values(launch);
        let mut parameters: Vec<*mut c_void> =
            values.iter_mut().map(|value| std::ptr::from_mut(value).cast()).collect();
        // SAFETY: the values follow the parameter list above, which the kernel's PTX has as well (the
        // tests of the kernels compare it with the WGSL); regions stay until the command is over.
        unsafe { stream.launch(&pipeline.function, launch.groups, pipeline.workgroup, &mut parameters) }
    }
}

impl Pipeline {
    /// One value for each parameter, little-endian from its first byte on.
    fn values(&self, launch: &Launch) -> Vec<u64> {
        assert_eq!(self.storage.len(), launch.storage.len(), "one region for each storage binding");
        let pointers = launch.storage.iter().map(|region| region.mem.0 + region.offset);
        let lengths = self.storage.iter().zip(&launch.storage).map(|(layout, region)| elements(layout, region.bytes));
        let scalars = self.scalars.iter().map(|leaf| scalar(leaf, &launch.uniform));
        pointers.chain(lengths).chain(scalars).collect()
    }
}

/// The length of a binding as its kernel sees it: 1 where it is no array.
fn elements(layout: &Layout, bytes: u64) -> u64 {
    match layout {
        Layout::Array { len: Some(len), .. } => u64::from(*len),
        layout => layout.elements_in(bytes).unwrap_or(1),
    }
}

/// The scalars of uniform bindings that lie one after another, each from a multiple of 16 on.
fn scalars<'a>(uniforms: impl Iterator<Item = &'a Layout>) -> Vec<Leaf> {
    let mut all = Vec::new();
    let mut base = 0;
    for layout in uniforms {
        all.extend(layout.scalars(0).into_iter().map(|leaf| Leaf { offset: base + leaf.offset, ..leaf }));
        base = (base + layout.bytes(0)).next_multiple_of(16);
    }
    all
}

fn scalar(leaf: &Leaf, uniform: &[u8]) -> u64 {
    let (at, bytes) = (leaf.offset as usize, leaf.scalar.bytes() as usize);
    let mut value = [0; 8];
    value[..bytes].copy_from_slice(&uniform[at..at + bytes]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layouts(wgsl: &str) -> Vec<Layout> {
        let module = wharf_simt::Module::new(wgsl).expect("valid");
        module.entries()[0].bindings.iter().map(|slot| slot.layout.clone()).collect()
    }

    #[test]
    fn lengths_count_elements_as_the_kernel_sees_them() {
        let all = layouts(
            "@group(0) @binding(0) var<storage, read_write> a: array<vec2<f32>>;
             @group(0) @binding(1) var<storage, read_write> b: array<atomic<u32>, 256>;
             @group(0) @binding(2) var<storage, read_write> c: u32;
             @compute @workgroup_size(1) fn main() { a[0] = vec2f(); atomicStore(&b[0], c); c = 1; }",
        );
        assert_eq!(elements(&all[0], 80), 10);
        assert_eq!(elements(&all[1], 1024), 256);
        assert_eq!(elements(&all[2], 4), 1);
    }

    #[test]
    fn scalars_are_taken_from_where_wgsl_lays_them() {
        let all = layouts(
            "struct P { n: u32, v: vec2<f32>, k: i32 }
             @group(0) @binding(0) var<uniform> p: P;
             @group(0) @binding(1) var<uniform> q: f32;
             @group(0) @binding(2) var<storage, read_write> o: f32;
             @compute @workgroup_size(1) fn main() { o = q + p.v.y + f32(p.n) + f32(p.k); }",
        );
        let mut uniform = vec![0xEE; 36];
        uniform[0..4].copy_from_slice(&7_u32.to_le_bytes());
        uniform[8..12].copy_from_slice(&1.5_f32.to_le_bytes());
        uniform[12..16].copy_from_slice(&2.5_f32.to_le_bytes());
        uniform[16..20].copy_from_slice(&(-3_i32).to_le_bytes());
        uniform[32..36].copy_from_slice(&4.5_f32.to_le_bytes());
        let leaves = scalars(all[..2].iter());
        let values: Vec<_> = leaves.iter().map(|leaf| scalar(leaf, &uniform)).collect();
        let expected = [7, 1.5_f32.to_bits(), 2.5_f32.to_bits(), (-3_i32) as u32, 4.5_f32.to_bits()];
        let expected = expected.map(u64::from);
        assert_eq!(values, expected);
    }
}
