//! A device and what is done with it. Every check is here and in the builders; backends act.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use crate::{
    allocate::Usage,
    backend::{self, Backend, Capabilities, HostSpan, Lane, PipelineId, Pool},
    buffer::{Allocation, Buffer, Element},
    dma::{DeadLetters, DmaQueue, Engine, Fence, QueueOptions, Signal, Stall},
    error::{BackendKind, Error, Result},
    evict::Evictor,
    grid,
    host_memory::Pinned,
    kernel::Kernel,
    launch::{Launch, Launchable},
    options::Options,
    transfer::{Copy, Download, GRAIN, Upload},
};

/// One device of this machine. Cloning gives another handle to it. Dropping the last one waits 5 s at most for what
/// is under way; what takes longer is given up, so that a kernel without end does not keep the cores.
#[derive(Clone)]
pub struct Device {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) id: Arc<str>,
    pub(crate) engine: Arc<Engine>,
    /// The backend's, but for the bound on memory.
    capabilities: Capabilities,
    pub(crate) backend: Arc<dyn Backend>,
    /// The queues of messages that name none, one for each lane.
    queues: [DmaQueue; 3],
    /// By the kernel's number, in its order.
    pipelines: Mutex<Vec<(u64, Variants)>>,
    pub(crate) launches: Pool<backend::Launch>,
    pub(crate) scratch: Mutex<HashMap<(usize, usize), Arc<Allocation>>>,
    pub(crate) in_use: Arc<Usage>,
    /// Where the device evicts.
    pub(crate) evictor: Option<Evictor>,
    /// Buffers made so far: what has no name has a number.
    pub(crate) buffers: AtomicU64,
    /// How it was opened.
    pub(crate) options: Options,
}

/// A kernel with overrides, compiled or about to be.
#[derive(Default)]
struct Prepared {
    id: OnceLock<PipelineId>,
    /// Held by whoever compiles it.
    compiling: Mutex<()>,
}

/// What was compiled of one kernel, by its overrides.
type Variants = Vec<(Vec<(String, f64)>, Arc<Prepared>)>;

impl Device {
    pub(crate) fn new(id: &str, backend: Arc<dyn Backend>, options: &Options) -> Result<Self> {
        let id: Arc<str> = id.into();
        let engine = Arc::new(Engine::new(id.clone(), backend.clone(), options)?);
        let queue = |name| QueueOptions::new(&engine, name).policy(crate::FailPolicy::Continue).open();
        let mut capabilities = backend.capabilities().clone();
        if let Some(bound) = options.memory_bytes {
            capabilities.memory_bytes = Some(capabilities.memory_bytes.map_or(bound, |bytes| bytes.min(bound)));
        }
        let evicts = options.evict_bytes > 0
            && match capabilities.backend {
                // Its buffers are host memory like any other.
                BackendKind::Cpu => false,
                _ => !capabilities.unified_memory || options.memory_bytes.is_some(),
            };
        let queues = [queue("upload"), queue("compute"), queue("download")];
        let evictor = evicts.then(|| Evictor::new(&engine, options.evict_bytes));
        Ok(Self {
            inner: Arc::new(Inner {
                evictor,
                id,
                engine,
                capabilities,
                backend,
                queues,
                pipelines: Mutex::default(),
                launches: Pool::default(),
                scratch: Mutex::default(),
                in_use: Arc::default(),
                buffers: AtomicU64::new(1),
                options: *options,
            }),
        })
    }

    /// Its name for [`Device::open`], e.g. `cpu` or `wgpu:0`.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// What it can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    /// How it was opened.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// `len` zeroed elements of device memory.
    ///
    /// Where there is not enough of it, buffers that were not used for the longest time are **evicted**: their contents
    /// go to host memory, and come back when a message on them is described. So more can be held than the device has,
    /// and what is used together must fit. A buffer stays while an unresolved message, a message or a
    /// [`Fill`](crate::Fill) that is not sent, a [`Graph`](crate::Graph) or a [`Hold`](crate::Hold) has it, and where a
    /// failed message has left it without its data. [`Options::evict_bytes`] bounds it or turns it off,
    /// [`Options::memory_bytes`] has the device do with less memory than it has,
    /// [`Device::pools`] and [`Stats`](crate::Stats) say what was moved, and so does an event of the feature `tracing`. The CPU device
    /// evicts nothing, and a GPU that shares the host's memory only under [`Options::memory_bytes`].
    ///
    /// While memory is sought, a call waits for what makes room: also one that describes a message on an evicted
    /// buffer, which fails with [`Error::OutOfMemory`] where there is none; its contents are as they were. No contents
    /// are lost in the moving: where the way back fails, the message fails with it, as
    /// [`FailureKind::Upstream`](crate::FailureKind::Upstream), and the next one is preceded by another try. With a
    /// lost device all buffers are lost, those on the host too.
    ///
    /// # Errors
    /// [`Error::Limit`] over the device's `max_buffer_bytes`, [`Error::OutOfMemory`] where the
    /// device has no more: after everything was given back that was kept only to be used again, after
    /// a wait for buffers that were dropped while messages on them were under way (a moment, and while the device
    /// itself is at these messages ten seconds at most), and after other buffers were evicted.
    pub fn buffer<T: Element>(&self, len: usize) -> Result<Buffer<T>> {
        Ok(Buffer::new(self.allocate_movable(bytes_of::<T>(len)?, None)?, len))
    }

    /// The same with a name, which explanations ([`Ticket::explain`](crate::Ticket::explain)) and drivers show.
    ///
    /// # Errors
    /// As [`Device::buffer`].
    pub fn buffer_named<T: Element>(&self, len: usize, name: &str) -> Result<Buffer<T>> {
        Ok(Buffer::new(self.allocate_movable(bytes_of::<T>(len)?, Some(name))?, len))
    }

    /// A read-only buffer of this data. On the CPU device data of whole multiples of 4 bytes is
    /// not copied: the buffer is the data, which stays alive with it. Elsewhere it is uploaded.
    ///
    /// # Errors
    /// As [`Device::buffer`], and as [`Upload::send`].
    pub fn import<T: Element>(&self, data: Arc<[T]>) -> Result<Buffer<T>> {
        let (len, bytes) = (data.len(), bytes_of::<T>(data.len())?);
        let span = HostSpan { ptr: data.as_ptr().cast_mut().cast(), bytes, pinned: false };
        // Transfers and bindings round up to whole grains, and the data has nothing behind its end.
        if bytes > 0
            && bytes.is_multiple_of(GRAIN)
            && let Some(mem) = self.inner.backend.import(span, Box::new(data.clone()))
        {
            return Ok(Buffer::new(Arc::new(self.own(mem, bytes, 0, None, false)), len));
        }
        let mut buffer = Buffer::new(Arc::new(self.allocate(bytes, None)?), len);
        // A failure stays with the buffer: whoever reads it is told.
        drop(self.upload(&buffer).send(data)?);
        Arc::get_mut(&mut buffer.allocation).expect("not shared yet").read_only = true;
        Ok(buffer)
    }

    /// `len` elements of host memory that this device's engine can use where it is; zeroed, or what an
    /// earlier user left there.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where there is no more.
    pub fn pinned<T: Element>(&self, len: usize) -> Result<Pinned<T>> {
        Pinned::new(&self.inner.backend, len, bytes_of::<T>(len)?)
    }

    /// Host memory to a buffer of this device.
    pub fn upload<'a, T: Element>(&'a self, to: &'a Buffer<T>) -> Upload<'a, T> {
        Upload::new(self, to)
    }

    /// A buffer of this device to host memory.
    pub fn download<'a, T: Element>(&'a self, from: &'a Buffer<T>) -> Download<'a, T> {
        Download::new(self, from)
    }

    /// A buffer to another one of the same length, both on this device.
    pub fn copy<'a, T: Element>(&'a self, from: &'a Buffer<T>, to: &'a Buffer<T>) -> Copy<'a, T> {
        Copy::new(self, Some(from), to)
    }

    /// Zeroes to a whole buffer.
    pub fn clear<'a, T: Element>(&'a self, buffer: &'a Buffer<T>) -> Copy<'a, T> {
        Copy::new(self, None, buffer)
    }

    /// A kernel, or a plan of several launches.
    pub fn launch<'a>(&'a self, job: &'a (impl Launchable + ?Sized)) -> Launch<'a> {
        Launch::new(self, job.job())
    }

    /// Compiles a kernel now rather than at its first launch.
    ///
    /// # Errors
    /// [`Error::Build`] where it does not compile, [`Error::NoForm`] where the device has no form
    /// of it that it can run, [`Error::Argument`] where it needs overrides that have no default,
    /// [`Error::Limit`] where a workgroup does not fit the device.
    pub fn prepare(&self, kernel: &Kernel) -> Result<()> {
        self.pipeline(kernel, &[]).map(drop)
    }

    pub(crate) fn pipeline(&self, kernel: &Kernel, overrides: &[(String, f64)]) -> Result<PipelineId> {
        let mut pipelines = self.inner.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let number = kernel.number();
        let place = pipelines.binary_search_by_key(&number, |(number, _)| *number).unwrap_or_else(|place| {
            pipelines.insert(place, (number, Variants::default()));
            place
        });
        let known = &mut pipelines[place].1;
        let prepared = match known.iter().find(|(set, _)| set == overrides) {
            Some((_, prepared)) => match prepared.id.get() {
                Some(id) => return Ok(*id),
                None => prepared.clone(),
            },
            None => {
                known.push((overrides.to_vec(), Arc::default()));
                known.last().expect("just pushed").1.clone()
            }
        };
        drop(pipelines);
        // Others who launch this kernel wait for it; those who launch another go on.
        let _one = prepared.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = prepared.id.get() {
            return Ok(*id);
        }
        grid::check_workgroup(kernel, overrides, self.capabilities())?;
        let id = self.inner.backend.prepare(kernel, overrides)?;
        Ok(*prepared.id.get_or_init(|| id))
    }

    /// A queue of its own for messages to this device.
    pub fn queue(&self, name: &str) -> QueueOptions {
        QueueOptions::new(&self.inner.engine, name)
    }

    /// The queue of messages of this lane that name none. It goes on after failures.
    pub fn own_queue(&self, lane: Lane) -> &DmaQueue {
        &self.inner.queues[lane as usize]
    }

    /// Failures of messages whose tickets were dropped: to look at, to take, or to send again.
    pub fn dead_letters(&self) -> DeadLetters<'_> {
        DeadLetters::new(&self.inner.engine)
    }

    /// Submits what is waiting, takes in what has finished, wakes those who wait and runs callbacks, all
    /// on this thread and without waiting for anything. Answers whether there was something to do.
    /// Only with [`Progress::Manual`]: else the device's threads do it, and this does nothing.
    ///
    /// [`Progress::Manual`]: crate::Progress::Manual
    pub fn progress(&self) -> bool {
        self.inner.engine.shared.progress()
    }

    /// Gives the device up, because somebody who watches it (a timer, an operator) holds it for lost:
    /// there is no time after which the library decides so by itself.
    ///
    /// Every unresolved message fails with [`FailureKind::DeviceLost`](crate::FailureKind::DeviceLost) and
    /// this cause before the call returns, in order, and its queues accept nothing more. A host buffer
    /// that the driver still had is not given back but leaked, and counted in
    /// [`Stats::leaked_buffers`](crate::Stats::leaked_buffers). [Open the device again](Device::reopen), or another one,
    /// to go on.
    pub fn declare_lost(&self, cause: &str) {
        self.inner.engine.shared.lose(cause);
    }

    /// Has the driver lose the device, where it can be told to: for tests of what follows. While memory of
    /// [`Upload::reserve`] is held it must not be called.
    #[doc(hidden)]
    pub fn break_down(&self) -> bool {
        self.inner.backend.break_down()
    }

    /// A fence that the program reaches by itself, and what signals it. Queues may wait for it before it
    /// is signalled: their messages are held here and cost the device nothing.
    ///
    /// ```
    /// let device = wharf::Device::open("cpu")?;
    /// let queue = device.queue("work").open();
    /// let x = device.buffer::<u32>(1)?;
    /// let (ready, signal) = device.promise();
    /// queue.wait_for(&ready)?;
    /// let upload = device.upload(&x).on(&queue).send(vec![7])?;
    /// assert!(ready.outcome().is_none());
    /// signal.signal();
    /// assert_eq!(upload.wait().ok()?, [7]);
    /// # Ok::<(), wharf::Error>(())
    /// ```
    pub fn promise(&self) -> (Fence, Signal) {
        self.inner.engine.promise(None)
    }

    /// The same, with a name that errors show.
    pub fn promise_named(&self, label: &str) -> (Fence, Signal) {
        self.inner.engine.promise(Some(label))
    }

    /// The queues whose oldest unresolved message was accepted at least so long ago, each with the chain of
    /// those that wait for each other: look here when a program seems to hang, or from time to time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let device = wharf::Device::open("cpu")?;
    /// let queue = device.queue("work").open();
    /// let x = device.buffer::<u32>(1)?;
    /// let (ready, signal) = device.promise();
    /// queue.wait_for(&ready)?;
    /// let upload = device.upload(&x).on(&queue).send(vec![7])?;
    /// let stalls = device.stalled(Duration::ZERO);
    /// assert_eq!(stalls[0].chain.last().map(|why| &why.waits), Some(&wharf::Wait::Signal));
    /// signal.signal();
    /// # upload.wait().ok()?;
    /// # Ok::<(), wharf::Error>(())
    /// ```
    pub fn stalled(&self, least: Duration) -> Vec<Stall> {
        self.inner.engine.shared.stalled(least)
    }

    /// Waits until everything accepted by any queue of this device is resolved.
    pub fn drain(&self) {
        self.inner.engine.shared.drain();
    }
}

pub(crate) fn bytes_of<T>(len: usize) -> Result<u64> {
    // Blocks of staging memory begin at multiples of 64, and counts are divided by sizes.
    const { assert!(size_of::<T>() > 0 && align_of::<T>() <= 64, "elements have bytes and align to 64 at most") };
    (len as u64).checked_mul(size_of::<T>() as u64).ok_or_else(|| Error::Limit {
        what: format!("a buffer of {len} elements of {} bytes", size_of::<T>()),
        limit_name: "address space",
        requested: u64::MAX,
        limit: isize::MAX as u64,
    })
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("id", &self.inner.id).field("name", &self.capabilities().name).finish()
    }
}
