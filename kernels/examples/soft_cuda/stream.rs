//! Streams, each a thread that works in order, and events.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::device::{self, NOT_READY, SUCCESS};

type Work = Box<dyn FnOnce() + Send>;

/// An operation, which may be done more than once.
#[derive(Clone)]
pub(crate) struct Operation {
    name: &'static str,
    work: Arc<dyn Fn() + Send + Sync>,
}

/// A graph, and an executable: operations, each with its level. Those of one level do not come after each
/// other, and run side by side.
#[derive(Clone, Default)]
pub(crate) struct Graph {
    operations: Vec<(usize, Operation)>,
    /// Operations that others come after, or that a stream has waited for.
    inner: Vec<bool>,
    /// It is remembered no longer.
    ended: bool,
}

/// A stream's part in a capture.
struct Capture {
    graph: Arc<Mutex<Graph>>,
    /// What the stream's next operation comes after.
    ends: Vec<usize>,
    /// The capture began with this stream.
    first: bool,
}

/// One stream.
pub(crate) struct Stream {
    work: Option<Sender<Work>>,
    /// It remembers what it is given.
    capture: Mutex<Option<Capture>>,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    pub(crate) fn new() -> Self {
        let (sender, work) = channel::<Work>();
        let thread = std::thread::spawn(move || work.iter().for_each(|work| work()));
        Self { work: Some(sender), capture: Mutex::default(), thread: Some(thread) }
    }

    fn give(&self, work: Work) {
        self.work.as_ref().expect("an open stream").send(work).expect("the stream's thread works");
    }

    /// An operation: it runs after what was given before, unless the context has ended by then.
    ///
    /// What fails while it runs ends the context; a call that cannot be taken says so at once and does
    /// nothing.
    pub(crate) fn run(&self, name: &'static str, work: impl Fn() + Send + Sync + 'static) -> Result<(), u32> {
        let operation = Operation { name, work: Arc::new(work) };
        let mut own = self.capture();
        let Some(capture) = &mut *own else { return self.start(operation) };
        let mut graph = lock(&capture.graph);
        let level = capture.ends.iter().map(|&end| graph.operations[end].0 + 1).max().unwrap_or(0);
        capture.ends.iter().for_each(|&end| graph.inner[end] = true);
        graph.operations.push((level, operation));
        graph.inner.push(false);
        capture.ends = vec![graph.operations.len() - 1];
        Ok(())
    }

    fn start(&self, Operation { name, work }: Operation) -> Result<(), u32> {
        let fault = device::fault(name);
        if let Some(code) = fault.filter(|&code| !device::is_sticky(code)) {
            return Err(code);
        }
        self.give(Box::new(move || run(name, &*work, fault)));
        Ok(())
    }

    /// Its part in a capture that has not ended.
    fn capture(&self) -> MutexGuard<'_, Option<Capture>> {
        let mut capture = lock(&self.capture);
        capture.take_if(|capture| lock(&capture.graph).ended);
        capture
    }

    /// Operations are remembered from now on, and not done.
    pub(crate) fn begin_capture(&self) {
        *self.capture() = Some(Capture { graph: Arc::default(), ends: Vec::new(), first: true });
    }

    /// What was remembered, by this stream and those that it was joined by.
    pub(crate) fn end_capture(&self) -> Result<Graph, u32> {
        let capture = self.capture().take().filter(|capture| capture.first).ok_or(device::INVALID_VALUE)?;
        let mut graph = lock(&capture.graph);
        graph.ended = true;
        let joined = |(step, inner): (usize, &bool)| *inner || capture.ends.contains(&step);
        if !graph.inner.iter().enumerate().all(joined) {
            return Err(device::CAPTURE_UNJOINED);
        }
        Ok(graph.clone())
    }

    /// All operations of a graph. The call itself may fail, as `graph` or as one of them; then none runs.
    pub(crate) fn launch(&self, graph: &Graph) -> Result<(), u32> {
        match device::fault("graph") {
            Some(code) if device::is_sticky(code) => device::fail(code),
            Some(code) => return Err(code),
            None => {}
        }
        let levels = graph.operations.iter().map(|(level, _)| level + 1).max().unwrap_or(0);
        let mut waves: Vec<Vec<(Operation, Option<u32>)>> = (0..levels).map(|_| Vec::new()).collect();
        for (level, operation) in &graph.operations {
            let fault = device::fault(operation.name);
            if let Some(code) = fault.filter(|&code| !device::is_sticky(code)) {
                return Err(code);
            }
            waves[*level].push((operation.clone(), fault));
        }
        self.give(Box::new(move || {
            for wave in &waves {
                std::thread::scope(|scope| {
                    // Last first: nothing keeps their order but the graph.
                    for (operation, fault) in wave.iter().rev() {
                        scope.spawn(move || run(operation.name, &*operation.work, *fault));
                    }
                });
            }
        }));
        Ok(())
    }

    /// A mark that is reached whatever has become of the operations before it.
    pub(crate) fn mark(&self, mark: Arc<Mark>) {
        self.give(Box::new(move || mark.reach()));
    }

    /// What comes now comes after the event's last recording. Where that is of a capture, so is this.
    pub(crate) fn wait_for(&self, event: &Event) -> Result<(), u32> {
        let mut own = self.capture();
        match (event.recorded(), &mut *own) {
            (Some(Recording::Captured(graph, _)), _) if lock(&graph).ended => {}
            (Some(Recording::Captured(graph, ends)), Some(capture)) => {
                if !Arc::ptr_eq(&graph, &capture.graph) {
                    return Err(device::CAPTURE_ISOLATION);
                }
                // Its own last operation is not left behind: the next comes after both.
                capture.ends.extend(ends);
            }
            (Some(Recording::Captured(graph, ends)), own) => *own = Some(Capture { graph, ends, first: false }),
            (Some(Recording::Mark(_)), Some(_)) => return Err(device::CAPTURE_ISOLATION),
            (Some(Recording::Mark(mark)), None) => self.give(Box::new(move || mark.wait())),
            (None, _) => {}
        }
        Ok(())
    }

    pub(crate) fn finish(&self) -> u32 {
        let mark = Arc::<Mark>::default();
        self.mark(Arc::clone(&mark));
        mark.wait();
        device::sticky()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.work.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One operation, unless the context has ended by now.
fn run(name: &str, work: &(dyn Fn() + Send + Sync), fault: Option<u32>) {
    if device::sticky() != SUCCESS {
        return;
    }
    device::take_time(name);
    match fault {
        Some(code) => device::fail(code),
        None => work(),
    }
}

/// What an event stands for.
#[derive(Clone)]
enum Recording {
    Mark(Arc<Mark>),
    /// The ends of a stream that is captured: nothing to be waited for outside.
    Captured(Arc<Mutex<Graph>>, Vec<usize>),
}

/// A point in a stream.
#[derive(Default)]
pub(crate) struct Mark {
    reached: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Mark {
    fn reach(&self) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.changed.notify_all();
    }

    pub(crate) fn wait(&self) {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(reached, |reached| reached.is_none()));
    }

    fn when(&self) -> Option<Instant> {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event stands for its last recording; one that was never recorded is reached.
#[derive(Default)]
pub(crate) struct Event {
    last: Mutex<Option<Recording>>,
}

impl Event {
    fn recorded(&self) -> Option<Recording> {
        lock(&self.last).clone()
    }

    pub(crate) fn last(&self) -> Option<Arc<Mark>> {
        match self.recorded()? {
            Recording::Mark(mark) => Some(mark),
            Recording::Captured(..) => None,
        }
    }

    pub(crate) fn record(&self, stream: &Stream) {
        let captured = stream.capture().as_ref().map(|own| Recording::Captured(own.graph.clone(), own.ends.clone()));
        *lock(&self.last) = Some(captured.unwrap_or_else(|| {
            let mark = Arc::<Mark>::default();
            stream.mark(Arc::clone(&mark));
            Recording::Mark(mark)
        }));
    }

    pub(crate) fn query(&self) -> u32 {
        match self.last() {
            Some(mark) if mark.when().is_none() => NOT_READY,
            _ => device::sticky(),
        }
    }

    /// Milliseconds between two events that are reached.
    pub(crate) fn milliseconds_since(&self, earlier: &Self) -> Option<f32> {
        let (from, to) = (earlier.last()?.when()?, self.last()?.when()?);
        Some(to.saturating_duration_since(from).as_secs_f32() * 1e3)
    }
}
