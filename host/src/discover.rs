//! Which devices this machine has, and how to open one by name.

use std::sync::Arc;

#[cfg(feature = "cuda")]
use crate::backend::cuda;
use crate::{
    backend::{Backend, Capabilities, cpu},
    device::Device,
    error::{BackendKind, Error, Result},
};

/// Names the device that [`Device::best`] opens.
const DEVICE_VARIABLE: &str = "WHARF_DEVICE";

/// One door to a device: it can be opened, or it says why not.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The name for [`Device::open`], e.g. `wgpu:0`; without a number where there is none.
    pub id: String,
    /// The kind of backend.
    pub kind: BackendKind,
    /// What it can do, where it can be opened.
    pub capabilities: Option<Capabilities>,
    /// Why it cannot be opened, in one line.
    pub why_not: Option<String>,
}

impl Found {
    pub(crate) fn there(id: String, capabilities: Capabilities) -> Self {
        Self { id, kind: capabilities.backend, capabilities: Some(capabilities), why_not: None }
    }

    pub(crate) fn missing(id: &str, kind: BackendKind, why_not: impl ToString) -> Self {
        Self { id: id.into(), kind, capabilities: None, why_not: Some(why_not.to_string()) }
    }

    /// Discrete GPUs first (through CUDA, then wgpu), integrated ones, the CPU device, software
    /// adapters, and what cannot be opened.
    fn rank(&self) -> u32 {
        match &self.capabilities {
            None => 5,
            Some(c) if c.backend == BackendKind::Cpu => 3,
            Some(c) if c.software => 4,
            Some(c) if c.unified_memory => 2,
            Some(c) if c.backend == BackendKind::Cuda => 0,
            Some(_) => 1,
        }
    }
}

/// Which form of a kernel the CPU device runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Twin {
    /// The native twin where a kernel has one, else its WGSL.
    #[default]
    Any,
    /// Native twins only: a kernel without one is refused.
    Native,
    /// WGSL only, through `simt`.
    Simt,
}

impl Device {
    /// Every door that was tried, best first, those that cannot be opened last with the reason. One
    /// card seen through several drivers is one card with several doors, CUDA first.
    pub fn survey() -> Vec<Found> {
        let mut found = vec![Found::there("cpu".into(), cpu::capabilities())];
        #[cfg(feature = "cuda")]
        found.extend(cuda::survey());
        #[cfg(not(feature = "cuda"))]
        found.push(Found::missing("cuda", BackendKind::Cuda, "built without the feature `cuda`"));
        #[cfg(feature = "wgpu")]
        found.extend(crate::backend::wgpu::survey());
        #[cfg(not(feature = "wgpu"))]
        found.push(Found::missing("wgpu", BackendKind::Wgpu, "built without the feature `wgpu`"));
        found.sort_by_key(Found::rank);
        found
    }

    /// The devices of this machine, best first.
    pub fn discover() -> Vec<Found> {
        let mut found = Self::survey();
        found.retain(|found| found.capabilities.is_some());
        found
    }

    /// The best device of this machine, or the one that the environment variable `WHARF_DEVICE`
    /// names. A software adapter is opened by name only.
    ///
    /// # Errors
    /// As [`Device::open`], for the device that the variable names.
    pub fn best() -> Result<Self> {
        if let Ok(name) = std::env::var(DEVICE_VARIABLE) {
            return Self::open(&name);
        }
        let best = Self::discover().into_iter().next().expect("the CPU device is always there");
        Self::open(&best.id)
    }

    /// Opens a device: `cpu`, `cuda`, `wgpu`, or one of several by number (`wgpu:1`).
    ///
    /// # Errors
    /// [`Error::Unavailable`] where this machine has no such device, [`Error::Device`] where it is
    /// there and its driver refuses.
    pub fn open(name: &str) -> Result<Self> {
        Self::open_with(name, Twin::default())
    }

    /// Like [`Device::open`]; the CPU device runs this form of kernels. Others have one form only.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn open_with(name: &str, twin: Twin) -> Result<Self> {
        let (kind, number) = match name.split_once(':') {
            Some((kind, number)) => (kind, Some(number.parse::<usize>().ok())),
            None => (name, None),
        };
        let unavailable = |reason: String| Error::Unavailable { device: name.to_owned(), reason };
        let index = match number {
            None => 0,
            Some(Some(index)) => index,
            Some(None) => return Err(unavailable("the part after `:` is a number, as in `wgpu:0`".into())),
        };
        let (id, backend): (String, Arc<dyn Backend>) = match kind {
            "cpu" if number.is_none() || index == 0 => ("cpu".into(), Arc::new(cpu::Cpu::open(twin)?)),
            "cpu" => return Err(unavailable("there is one CPU device, called `cpu`".into())),
            #[cfg(feature = "cuda")]
            "cuda" => (format!("cuda:{index}"), cuda::open(index)?),
            #[cfg(not(feature = "cuda"))]
            "cuda" => return Err(unavailable("built without the feature `cuda`".into())),
            #[cfg(feature = "wgpu")]
            "wgpu" => (format!("wgpu:{index}"), crate::backend::wgpu::open(index)?),
            #[cfg(not(feature = "wgpu"))]
            "wgpu" => return Err(unavailable("built without the feature `wgpu`".into())),
            _ => return Err(unavailable("a device is called cpu, wgpu, wgpu:N, cuda or cuda:N".into())),
        };
        Ok(Self::new(&id, backend))
    }
}
