//! GPUs and software adapters through wgpu: Vulkan, Metal, DX12 and GL.
//!
//! wgpu has one queue, in which everything happens in the order of submission. That order gives all
//! edges between commands for nothing, and it also means that no copy overlaps a kernel: only host
//! work (filling staging memory, reading results out) overlaps the device's.
//!
//! | file | what it holds |
//! |---|---|
//! | `adapter` | which adapters there are, best first, and what each can do |
//! | `gpu` | one opened device: its errors as values, its loss as a fact |
//! | `memory` | device memory by number |
//! | `staging` | mapped memory that uploads start from, lent and used again |
//! | `readback` | mapped memory that downloads end in, used again |
//! | `pipeline` | compiled kernels and their bind groups |
//! | `uniform` | the parameters of launches |
//! | `encode` | steps, as data, into one command buffer |
//! | `submit` | commands into steps, steps into submissions |
//! | `reap` | submissions into events |

mod adapter;
mod encode;
mod gpu;
mod memory;
mod pipeline;
mod readback;
mod reap;
mod staging;
mod submit;
mod uniform;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use self::{
    gpu::Gpu, memory::Memory, pipeline::Pipelines, readback::Readbacks, reap::Reaper, staging::Staging,
    submit::Submitter,
};
use super::{Backend, Capabilities, Command, Event, HostBlock, MemId, More, Op, PipelineId, PoolUse, Source};
use crate::{
    discover::{Door, Found, Open},
    error::{BackendKind, Error, Result},
    kernel::Kernel,
};

/// wgpu's adapters.
pub(crate) const DOOR: Door =
    Door { kind: BackendKind::Wgpu, survey, open: Open::Number(|index| Ok(Arc::new(Wgpu::open(index)?))) };

/// Every adapter as a device that can be opened, best first; one line of why where there is none.
fn survey() -> Vec<Found> {
    let adapters = adapter::all();
    if adapters.is_empty() {
        return vec![Found::missing("wgpu", BackendKind::Wgpu, adapter::NONE)];
    }
    adapters
        .iter()
        .enumerate()
        .map(|(index, adapter)| Found::there(format!("wgpu:{index}"), adapter::capabilities(adapter)))
        .collect()
}

/// One device.
pub(crate) struct Wgpu {
    capabilities: Capabilities,
    gpu: Arc<Gpu>,
    memory: Memory,
    pipelines: Pipelines,
    staging: Arc<Staging>,
    readbacks: Arc<Readbacks>,
    reaper: Reaper,
    /// Used by the submitting thread alone.
    submitter: Mutex<Submitter>,
}

impl Wgpu {
    pub(crate) fn open(index: usize) -> Result<Self> {
        let adapters = adapter::all();
        let Some(adapter) = adapters.get(index) else {
            let reason = match adapters.len() {
                0 => adapter::NONE.to_owned(),
                1 => "wgpu sees one adapter, `wgpu:0`".to_owned(),
                n => format!("wgpu sees {n} adapters, numbered from 0"),
            };
            return Err(Error::Unavailable { device: format!("wgpu:{index}"), reason });
        };
        let gpu = Arc::new(Gpu::open(adapter, &format!("wgpu:{index}"))?);
        let submitter = Submitter::new(&gpu)?;
        Ok(Self {
            capabilities: adapter::capabilities(adapter),
            memory: Memory::default(),
            pipelines: Pipelines::default(),
            staging: Arc::new(Staging::new(gpu.clone())),
            readbacks: Arc::new(Readbacks::new(gpu.clone())),
            reaper: Reaper::new(gpu.clone()),
            submitter: Mutex::new(submitter),
            gpu,
        })
    }
}

/// No data here is ever left half-changed by a panic, so a poisoned lock is still good.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backend for Wgpu {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn alloc(&self, bytes: u64, label: Option<&str>) -> Result<MemId> {
        self.memory.alloc(&self.gpu, bytes, label)
    }

    fn free(&self, mem: MemId) {
        self.pipelines.forget(mem);
        self.memory.free(mem);
    }

    fn host_alloc(&self, bytes: u64) -> Result<HostBlock> {
        self.staging.lend(bytes)
    }

    fn host_free(&self, block: HostBlock) {
        self.staging.put_back(block.id);
    }

    fn reclaim(&self) -> u64 {
        // Who submits now may need what it has.
        let scratch = self.submitter.try_lock().map_or(0, |mut submitter| submitter.reclaim());
        scratch + self.staging.let_go() + self.readbacks.reclaim()
    }

    fn pools(&self, pools: &mut Vec<PoolUse>) {
        pools.extend([self.staging.pool(), self.readbacks.pool()]);
    }

    fn prepare(&self, kernel: &Kernel, overrides: &[(String, f64)]) -> Result<PipelineId> {
        self.pipelines.prepare(&self.gpu, kernel, overrides)
    }

    /// For readback memory, which reaping empties.
    fn slow(&self, op: &Op) -> Option<&'static str> {
        let staged = matches!(op, Op::Upload { src: Source::Span(_), .. });
        staged.then_some("the host memory would be copied to staging memory; `Upload::reserve` writes there in place")
    }

    fn submit_may_wait(&self) -> bool {
        true
    }

    fn submit(&self, batch: &mut Vec<Command>, more: &mut More<'_>) -> bool {
        lock(&self.submitter).submit(self, batch, more);
        true
    }

    fn reap(&self, events: &mut Vec<Event>, timeout: Duration) {
        self.reaper.reap(events, timeout);
    }

    fn abandon(&self, cause: &str) {
        // What is mapped stays mapped: fills and read-backs may be at it, so the device is not destroyed.
        self.gpu.signal.lose(cause);
    }

    fn break_down(&self) -> bool {
        self.gpu.device.destroy();
        self.gpu.signal.wake();
        true
    }

    fn wake(&self) {
        self.gpu.signal.wake();
    }
}

impl fmt::Debug for Wgpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wgpu").field("name", &self.capabilities.name).finish_non_exhaustive()
    }
}
