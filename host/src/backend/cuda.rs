//! NVIDIA GPUs through the CUDA driver.
//!
//! Each lane is a stream with a thread that feeds it ([`lanes`]); lanes wait for each other by events.
//! Page-locked blocks go up as they are, pageable memory passes a staging ring ([`transfer`]). The reaper
//! asks pooled events what is over ([`shared`]); the driver calls nothing of ours. An error that the
//! driver calls sticky loses the device.

mod api;
mod fork;
mod graph;
mod lanes;
mod launch;
mod module;
mod ring;
mod shared;
mod staging;
mod stream;
mod transfer;

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cust::device::{Device, DeviceAttribute as Attribute};

use self::api::{Context, Failure};
use self::lanes::{Queued, Worker};
use self::launch::Launcher;
use self::shared::{Issue, Shared, index, lock};
use self::stream::Stream;
use super::{Backend, Capabilities, Command, Event, HostBlock, MemId, More, Op, PipelineId, PoolUse, Source};
use crate::discover::{Door, Found, Open};
use crate::error::{BackendKind, Error, Result};
use crate::kernel::Kernel;

/// Threads that copy between pageable and page-locked memory: one alone is slower than the bus.
const COPIERS: usize = 4;
/// Commands that a stream holds before the driver makes the caller wait: about a thousand were seen.
const MAX_IN_FLIGHT: u32 = 512;

/// The GPUs of the CUDA driver.
pub(crate) const DOOR: Door =
    Door { kind: BackendKind::Cuda, survey, open: Open::Number(|number| Ok(Arc::new(Cuda::open(number)?))) };

/// Every GPU that the driver sees, or one line on why there is none.
fn survey() -> Vec<Found> {
    let devices = match devices() {
        Ok(devices) => devices,
        Err(why_not) => return vec![Found::missing("cuda", BackendKind::Cuda, why_not)],
    };
    let found = devices.into_iter().enumerate().map(|(number, device)| {
        let id = format!("cuda:{number}");
        match capabilities(device) {
            Ok(capabilities) => Found::there(id, capabilities),
            Err(error) => Found::missing(&id, BackendKind::Cuda, error),
        }
    });
    found.collect()
}

/// The GPUs that the driver sees, or one line on why there is none.
fn devices() -> Result<Vec<Device>, String> {
    let path = wharf_cuda_driver::status().map_err(ToString::to_string)?;
    let said = |error| format!("the CUDA driver {} says {error}", path.display());
    cust::init(cust::CudaFlags::empty()).map_err(said)?;
    let devices = Device::devices().and_then(|devices| devices.collect::<Result<Vec<_>, _>>()).map_err(said)?;
    let none = || format!("the CUDA driver {} sees no GPU", path.display());
    if devices.is_empty() { Err(none()) } else { Ok(devices) }
}

/// One GPU.
#[derive(Debug)]
pub(crate) struct Cuda {
    capabilities: Capabilities,
    shared: Arc<Shared>,
    launcher: Arc<Launcher>,
    /// Where new memory is zeroed, so that this waits for nobody's work.
    zeroing: Mutex<Stream>,
    /// Bytes of each allocation that was not given back.
    allocations: Mutex<HashMap<MemId, u64>>,
    /// To the lanes' threads; taken when the device is closed.
    lanes: Mutex<Option<[Sender<Vec<Queued>>; 3]>>,
    threads: Vec<JoinHandle<()>>,
}

impl Cuda {
    fn open(number: usize) -> Result<Self> {
        let unavailable = |reason| Error::Unavailable { device: format!("cuda:{number}"), reason };
        let devices = devices().map_err(unavailable)?;
        let Some(device) = devices.get(number).copied() else {
            return Err(unavailable(format!("the driver sees {}, counted from cuda:0", devices.len())));
        };
        let failed = |op| move |error| Error::device(BackendKind::Cuda, op, error);
        let context = Arc::new(Context::new(device).map_err(failed("create context"))?);
        let capabilities = capabilities(device).map_err(failed("ask for attributes"))?;
        let compute = compute_capability(device).map_err(failed("ask for attributes"))?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let copiers = rayon::ThreadPoolBuilder::new()
            .num_threads(COPIERS.min(cores))
            .thread_name(|i| format!("wharf-cuda-copy-{i}"))
            .build()
            .map_err(|e| Error::device(BackendKind::Cuda, "start threads", e))?;
        let _entered = context.enter().map_err(refused)?;
        let shared = Arc::new(Shared::new(Arc::clone(&context), copiers));
        let launcher = Arc::new(Launcher::new(Arc::clone(&context), compute));
        let (unloader, started) = channel();
        let workers = [
            Worker::upload(&shared).map_err(refused)?,
            Worker::compute(&shared, &launcher).map_err(refused)?,
            Worker::download(&shared, unloader).map_err(refused)?,
        ];
        let zeroing = Mutex::new(Stream::new(&context).map_err(refused)?);
        let mut threads = Vec::with_capacity(workers.len() + 1);
        let mut spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let builder = thread::Builder::new().name(format!("wharf-cuda-{name}"));
            let spawned = builder.spawn(work).map_err(|e| Error::device(BackendKind::Cuda, "start threads", e));
            spawned.map(|thread| threads.push(thread))
        };
        let sharing = Arc::clone(&shared);
        spawn("unload", Box::new(move || transfer::unload(&sharing, &started)))?;
        let mut lanes = Vec::with_capacity(workers.len());
        for (name, worker) in ["upload", "compute", "download"].into_iter().zip(workers) {
            let (sender, batches) = channel();
            lanes.push(sender);
            spawn(name, Box::new(move || worker.run(&batches)))?;
        }
        let lanes = lanes.try_into().expect("as many as there are lanes");
        Ok(Self {
            capabilities,
            shared,
            launcher,
            zeroing,
            allocations: Mutex::default(),
            lanes: Mutex::new(Some(lanes)),
            threads,
        })
    }

    fn out_of_memory(&self, failure: Failure, requested_bytes: u64) -> Error {
        if !failure.is_out_of_memory() {
            return refused(failure);
        }
        Error::OutOfMemory {
            device: self.capabilities.name.clone(),
            requested_bytes,
            in_use_bytes: lock(&self.allocations).values().sum(),
            limit_bytes: self.shared.context.memory().ok().map(|(_, total)| total),
            evicted_bytes: None,
        }
    }
}

fn refused(failure: Failure) -> Error {
    Error::device(BackendKind::Cuda, failure.op(), failure)
}

impl Backend for Cuda {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn alloc(&self, bytes: u64, _label: Option<&str>) -> Result<MemId> {
        let _entered = self.shared.context.enter().map_err(refused)?;
        let address = api::device_alloc(bytes).map_err(|failure| self.out_of_memory(failure, bytes))?;
        if let Err(failure) = lock(&self.zeroing).zero(address, bytes) {
            api::device_free(address);
            return Err(refused(failure));
        }
        let mem = MemId(address);
        lock(&self.allocations).insert(mem, bytes);
        Ok(mem)
    }

    fn free(&self, mem: MemId) {
        if self.shared.is_lost() {
            // Commands may be under way that nobody waits for: it is freed when the streams are finished.
            return;
        }
        let known = lock(&self.allocations).remove(&mem);
        assert!(known.is_some(), "{mem:?} was allocated here and not given back");
        if let Ok(_entered) = self.shared.context.enter() {
            api::device_free(mem.0);
        }
    }

    fn host_alloc(&self, bytes: u64) -> Result<HostBlock> {
        let _entered = self.shared.context.enter().map_err(refused)?;
        self.shared.blocks.lend(bytes).map_err(|failure| self.out_of_memory(failure, bytes))
    }

    fn host_free(&self, block: HostBlock) {
        // Without a context it is gone with all of it.
        let Ok(_entered) = self.shared.context.enter() else { return };
        self.shared.blocks.give_back(block);
    }

    fn reclaim(&self) -> u64 {
        self.shared.context.enter().map_or(0, |_entered| self.shared.blocks.reclaim())
    }

    fn pools(&self, pools: &mut Vec<PoolUse>) {
        pools.extend(self.shared.blocks.pools());
    }

    fn pin(&self, bytes: u64) -> Result<HostBlock> {
        self.host_alloc(bytes)
    }

    fn unpin(&self, block: HostBlock) {
        self.host_free(block);
    }

    fn prepare(&self, kernel: &Kernel, overrides: &[(String, f64)]) -> Result<PipelineId> {
        let _entered = self.shared.context.enter().map_err(refused)?;
        self.launcher.prepare(kernel, overrides)
    }

    fn slow(&self, op: &Op) -> Option<&'static str> {
        let (Op::Upload { src: Source::Span(span), .. } | Op::Download { dst: span, .. }) = op else { return None };
        (!span.pinned).then_some("the host memory is not page-locked; that of `Device::pinned` is")
    }

    fn submit(&self, batch: &mut Vec<Command>, _: &mut More<'_>) -> bool {
        let mut queued = [(); 3].map(|()| Vec::new());
        let mut issues = lock(&self.shared.issues);
        for command in batch.drain(..) {
            let after = command.after.iter().filter_map(|token| issues.get(&token).cloned()).collect();
            let issue = Arc::<Issue>::default();
            issues.insert(command.token, Arc::clone(&issue));
            queued[index(command.lane)].push(Queued { command, after, issue });
        }
        drop(issues);
        let lanes = lock(&self.lanes);
        let lanes = lanes.as_ref().expect("nothing is submitted to a closed device");
        for (lane, queued) in lanes.iter().zip(queued).filter(|(_, queued)| !queued.is_empty()) {
            lane.send(queued).expect("the lanes' threads live as long as the device");
        }
        true
    }

    fn reap(&self, events: &mut Vec<Event>, timeout: Duration) {
        self.shared.reap(events, timeout);
    }

    fn abandon(&self, cause: &str) {
        self.shared.give_up(cause);
    }

    fn wake(&self) {
        self.shared.wake();
    }
}

impl Drop for Cuda {
    fn drop(&mut self) {
        lock(&self.lanes).take();
        // The unloader, which is first, ends when the download lane has.
        for thread in self.threads.drain(..).rev() {
            // A thread that panicked has said so; its stream is finished by the driver.
            let _ = thread.join();
        }
        let Ok(_entered) = self.shared.context.enter() else { return };
        for (mem, _) in lock(&self.allocations).drain() {
            api::device_free(mem.0);
        }
    }
}

fn compute_capability(device: Device) -> cust::error::CudaResult<(u32, u32)> {
    let ask = |attribute| device.get_attribute(attribute).map(|value| value.max(0) as u32);
    Ok((ask(Attribute::ComputeCapabilityMajor)?, ask(Attribute::ComputeCapabilityMinor)?))
}

fn capabilities(device: Device) -> cust::error::CudaResult<Capabilities> {
    let ask = |attribute| device.get_attribute(attribute).map(|value| value.max(0) as u32);
    let (major, minor) = compute_capability(device)?;
    let warp = ask(Attribute::WarpSize)?;
    let engines = ask(Attribute::AsyncEngineCount)?;
    let memory = device.total_memory()? as u64;
    let version = cust::CudaApiVersion::get()?;
    let library = wharf_cuda_driver::status().map(|path| path.display().to_string()).unwrap_or_default();
    let grids = [Attribute::MaxGridDimX, Attribute::MaxGridDimY, Attribute::MaxGridDimZ].map(ask);
    let [x, y, z] = grids;
    Ok(Capabilities {
        backend: BackendKind::Cuda,
        name: device.name()?,
        driver: format!("CUDA {}.{}, compute capability {major}.{minor}, {library}", version.major(), version.minor()),
        software: false,
        unified_memory: ask(Attribute::Integrated)? != 0,
        max_workgroup_bytes: ask(Attribute::MaxSharedMemoryPerBlock)?,
        max_workgroup_invocations: ask(Attribute::MaxThreadsPerBlock)?,
        max_workgroup_size: [
            ask(Attribute::MaxBlockDimX)?,
            ask(Attribute::MaxBlockDimY)?,
            ask(Attribute::MaxBlockDimZ)?,
        ],
        max_workgroups_per_dimension: x?.min(y?).min(z?),
        // A function has 4 KiB of parameters, and a binding takes 12 bytes of them.
        max_storage_bindings: 256,
        // Lengths are passed as 32 bits; the smallest element has 2 bytes.
        max_binding_bytes: memory.min(2 * u64::from(u32::MAX)) & !3,
        max_buffer_bytes: memory & !3,
        storage_alignment: 16,
        memory_bytes: Some(memory),
        subgroup_sizes: (warp, warp),
        f16: (major, minor) >= (5, 3),
        timestamps: true,
        copy_engines: engines,
        copy_overlaps_compute: engines > 0,
        max_in_flight: MAX_IN_FLIGHT,
    })
}
