//! Graphs: launches, copies and clears on fixed buffers, recorded once and replayed as one message.

use std::{fmt, sync::Arc};

use crate::{
    backend::{Lane, Op, Recorded},
    buffer::Allocation,
    device::Device,
    dma::{Access, Part, Ticket, Touch},
    error::{Error, Result},
    message::Message,
    transfer::{Route, routed},
};

/// A sequence of launches, copies and clears on buffers that stay the same. A replay is one message: it
/// is ordered against everything else that touches any of the buffers, and has one completion. Its steps
/// run in the order in which they were recorded, and cost one submission rather than one each: one
/// command on the CPU device, one command buffer on wgpu, a CUDA graph on CUDA.
///
/// A graph keeps its buffers alive and is made once: kernels are compiled, arguments checked and
/// parameters laid out when it is recorded. What changes from replay to replay changes in the buffers.
/// Made by [`Device::graph`].
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
pub struct Graph {
    device: Device,
    recorded: Arc<Recorded>,
    /// What the sequence as a whole does, to a few parts of each buffer.
    accesses: Vec<(Arc<Allocation>, Access, Part)>,
}

/// Parts of a buffer that a graph tells apart.
const PARTS: usize = 4;

impl Device {
    /// Records these messages, which are not sent, as a graph: what
    /// [`Launch::messages`](crate::Launch::messages) and [`Copy::message`](crate::Copy::message) give. Their
    /// labels and deadlines do not count: a replay has its own.
    ///
    /// # Errors
    /// [`Error::Argument`] where a message is for another device, or is the replay of another graph.
    pub fn graph(&self, messages: impl IntoIterator<Item = Message<()>>) -> Result<Graph> {
        let mut graph = Graph { device: self.clone(), recorded: Arc::default(), accesses: Vec::new() };
        let mut ops = Vec::new();
        for (place, message) in messages.into_iter().enumerate() {
            let what = || format!("message {place} of a graph");
            let draft = message.untyped();
            if !Arc::ptr_eq(&draft.engine, &self.inner.engine) {
                let other = &draft.engine.shared.device;
                return Err(Error::argument(what(), format!("is for {other}, the graph is for {}", self.id())));
            }
            match &draft.work.op {
                Some(Op::Launch(_) | Op::Copy { .. } | Op::Clear { .. } | Op::Nothing) => {}
                // Left whole, so that what it holds goes back.
                _ => return Err(Error::argument(what(), "is no launch, no copy and no clear")),
            }
            let (op, touched) = draft.dismantle();
            ops.extend(op.filter(|op| !matches!(op, Op::Nothing)));
            touched.for_each(|(allocation, touch)| graph.touch(allocation, touch));
        }
        graph.recorded = Arc::new(Recorded { ops });
        Ok(graph)
    }
}

impl Graph {
    fn touch(&mut self, allocation: Arc<Allocation>, Touch { access, part, .. }: Touch) {
        let of_it = |(known, ..): &(Arc<Allocation>, Access, Part)| Arc::ptr_eq(known, &allocation);
        let mut known = self.accesses.iter_mut().filter(|known| of_it(known));
        if let Some((_, before, _)) = known.find(|(.., known)| *known == part) {
            *before = before.then(access);
            return;
        }
        let mut all = (access, part);
        if self.accesses.iter().filter(|known| of_it(known)).count() == PARTS {
            // What is between them counts as read, so that it is not held for overwritten.
            for (_, other, known) in self.accesses.extract_if(.., |known| of_it(known)) {
                let reads = all.0 == Access::Read && other == Access::Read;
                all = (if reads { Access::Read } else { Access::ReadWrite }, all.1.hull(known));
            }
        }
        self.accesses.push((allocation, all.0, all.1));
    }

    /// Its steps: launches, copies and clears that do something.
    pub fn len(&self) -> usize {
        self.recorded.ops.len()
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole sequence once more, as a message that is being described.
    pub fn replay(&self) -> Replay<'_> {
        Replay { device: &self.device, graph: self, route: Route::default() }
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").field("device", &self.device.id()).field("steps", &self.len()).finish_non_exhaustive()
    }
}

/// A replay that is being described; see [`Graph::replay`].
#[derive(Debug)]
#[must_use = "a replay is sent by `run`"]
pub struct Replay<'a> {
    device: &'a Device,
    graph: &'a Graph,
    route: Route<'a>,
}

routed!(Replay<'a>);

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
        let Graph { recorded, accesses, .. } = self.graph;
        let op = if self.graph.is_empty() { Op::Nothing } else { Op::Replay(recorded.clone()) };
        let mut message = Message::new(&self.device.inner.engine, Lane::Compute, 0, op, ());
        self.route.describe(&mut message.draft);
        accesses.iter().for_each(|(allocation, access, part)| message.draft.touch_part(allocation, *access, *part));
        message
    }
}
