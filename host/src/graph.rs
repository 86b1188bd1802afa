//! Graphs: launches, copies, clears and transfers on fixed memory, recorded once and replayed as one message.

use std::{fmt, marker::PhantomData, sync::Arc};

use crate::{
    backend::{Op, Recorded},
    buffer::Allocation,
    device::Device,
    dma::{Access, Part, Refused, Ticket},
    error::{Error, Result},
    message::Message,
    transfer::{Route, routed},
};

mod record;
mod slots;

pub use record::Recording;
pub use slots::{Slot, Slots};

use record::LANE;

/// A sequence of launches, copies, clears and transfers on buffers that stay the same. A replay is one
/// message: it is ordered against everything else that touches any of the buffers, and has one completion.
/// Its steps have the effect of the order in which they were recorded, and cost one submission rather than
/// one each: one command on the CPU device, one command buffer on wgpu, and on CUDA a CUDA graph in which
/// steps that do not touch the same memory run side by side.
///
/// A graph keeps its buffers alive and is made once: kernels are compiled, arguments checked and
/// parameters laid out when it is recorded. What changes from replay to replay changes in the buffers, and
/// in the host memory of a graph that has [`Slots`]. Made by [`Device::graph`], and with slots by
/// [`Device::record`].
///
/// ```
/// use wharf::{Device, Grid, Kernel};
///
/// static STEP: Kernel = Kernel::new(
///     "step",
///     "@group(0) @binding(0) var<storage, read> x: array<u32>;
///      @group(0) @binding(1) var<storage, read_write> y: array<u32>;
///      @compute @workgroup_size(64)
///      fn step(@builtin(global_invocation_id) id: vec3<u32>) {
///          if id.x < arrayLength(&x) { y[id.x] = 3 * x[id.x] + 1; }
///      }",
/// )
/// .with_grid(Grid::Elements { of: "x", per_group: 64 });
///
/// let device = Device::open("cpu")?;
/// let (x, y) = (device.buffer::<u32>(100)?, device.buffer::<u32>(100)?);
/// let mut steps = device.launch(&STEP).bind(&x).bind(&y).messages()?;
/// steps.push(device.copy(&y, &x).message()?);
/// let graph = device.graph(steps)?;
/// for _ in 0..3 {
///     graph.replay().run()?;
/// }
/// assert_eq!(*device.download(&x).wait()?, [13; 100]); // 0, 1, 4, 13
/// # Ok::<(), wharf::Error>(())
/// ```
pub struct Graph<B = ()> {
    device: Device,
    recorded: Arc<Recorded>,
    /// What the sequence as a whole does, to a few parts of each buffer.
    accesses: Vec<(Arc<Allocation>, Access, Part)>,
    /// Which host memory is this graph's.
    slots: u64,
    /// Bytes that a replay moves between that and the device.
    bytes: u64,
    host: PhantomData<fn() -> B>,
}

impl Device {
    /// Records these messages, which are not sent, as a graph: what
    /// [`Launch::messages`](crate::Launch::messages) and [`Copy::message`](crate::Copy::message) give. Their
    /// labels and deadlines do not count: a replay has its own.
    ///
    /// # Errors
    /// [`Error::Argument`] where a message is for another device, or is the replay of another graph.
    pub fn graph(&self, messages: impl IntoIterator<Item = Message<()>>) -> Result<Graph> {
        let mut recording = self.record();
        recording.add(messages)?;
        Ok(recording.finish().0.without_slots())
    }

    /// Begins to record a graph that also moves data between host and device: see [`Slots`].
    ///
    /// ```
    /// # static TWICE: wharf::Kernel = wharf::Kernel::new(
    /// #     "twice",
    /// #     "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
    /// #      @compute @workgroup_size(64)
    /// #      fn twice(@builtin(global_invocation_id) id: vec3<u32>) {
    /// #          if id.x < arrayLength(&x) { x[id.x] *= 2; }
    /// #      }",
    /// # )
    /// # .with_grid(wharf::Grid::Elements { of: "x", per_group: 64 });
    /// let device = wharf::Device::open("cpu")?;
    /// let x = device.buffer::<u32>(100)?;
    /// let mut recording = device.record();
    /// let input = recording.upload(&x)?;
    /// recording.add(device.launch(&TWICE).bind(&x).messages()?)?;
    /// let output = recording.download(x.view(0..10)?)?;
    /// let (graph, mut slots) = recording.finish();
    /// for round in 0..3 {
    ///     slots[input].fill(round);
    ///     slots = graph.replay().run(slots)?.wait().ok()?;
    ///     assert_eq!(slots[output], [2 * round; 10]);
    /// }
    /// # Ok::<(), wharf::Error>(())
    /// ```
    pub fn record(&self) -> Recording<'_> {
        Recording::new(self)
    }
}

impl<B> Graph<B> {
    /// Its steps: those that do something.
    pub fn len(&self) -> usize {
        self.recorded.ops.len()
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole sequence once more, as a message that is being described.
    pub fn replay(&self) -> Replay<'_, B> {
        Replay { device: &self.device, graph: self, route: Route::default() }
    }
}

impl<B> fmt::Debug for Graph<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").field("device", &self.device.id()).field("steps", &self.len()).finish_non_exhaustive()
    }
}

/// A replay that is being described; see [`Graph::replay`].
#[derive(Debug)]
#[must_use = "a replay is sent by `run`"]
pub struct Replay<'a, B = ()> {
    device: &'a Device,
    graph: &'a Graph<B>,
    route: Route<'a>,
}

routed!(Replay<'a, B>);

impl Replay<'_> {
    /// Sends it. Waits for a credit if there is none, never for the work. It needs one operation credit,
    /// can be cancelled until it is given to the device, and where one of its steps fails it fails as a
    /// whole: those behind that step may have run or not, and who reads what any of them writes inherits
    /// the failure.
    ///
    /// # Errors
    /// [`Error::Refused`] by the queue, [`Error::Argument`] where the queue belongs to another device.
    pub fn run(self) -> Result<Ticket<()>> {
        let (device, route) = (self.device, self.route);
        Ok(route.send(device, self.message())?)
    }

    /// The replay as a message that is not sent yet.
    pub fn message(self) -> Message<()> {
        self.owning(())
    }
}

impl Replay<'_, Slots> {
    /// Sends it with the graph's host memory, which comes back in the completion whatever happens; else as
    /// without. It costs as many byte credits as it uploads and downloads.
    ///
    /// # Errors
    /// [`Refused`] with the host memory: [`Error::Argument`] where that is another graph's, or the queue
    /// another device's, [`Error::Refused`] by the queue.
    pub fn run(self, slots: Slots) -> Result<Ticket<Slots>, Refused<Slots>> {
        let (device, route) = (self.device, self.route);
        route.send(device, self.message(slots)?).map_err(|refused| refused.map(Message::into_buffer))
    }

    /// The replay as a message that is not sent yet.
    ///
    /// # Errors
    /// [`Refused`] with the host memory: [`Error::Argument`] where that is another graph's.
    pub fn message(self, slots: Slots) -> Result<Message<Slots>, Refused<Slots>> {
        if slots.graph() == self.graph.slots {
            return Ok(self.owning(slots));
        }
        Err(Refused { error: Error::argument("the slots", "are another graph's"), buffer: slots })
    }
}

impl<B> Replay<'_, B> {
    fn owning<H: Send + 'static>(self, host: H) -> Message<H> {
        let Graph { recorded, accesses, bytes, .. } = self.graph;
        let op = if self.graph.is_empty() { Op::Nothing } else { Op::Replay(recorded.clone()) };
        let mut message = Message::new(&self.device.inner.engine, LANE, *bytes, op, host);
        self.route.describe(&mut message.draft);
        accesses.iter().for_each(|(allocation, access, part)| message.draft.touch_part(allocation, *access, *part));
        message
    }
}
