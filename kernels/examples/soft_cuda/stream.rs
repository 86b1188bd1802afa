//! Streams, each a thread that works in order, and events.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::device::{self, DELAY, NOT_READY, SUCCESS};

type Work = Box<dyn FnOnce() + Send>;

/// An operation, which may be done more than once.
#[derive(Clone)]
pub(crate) struct Operation {
    name: &'static str,
    work: Arc<dyn Fn() + Send + Sync>,
}

/// A graph, and an executable: operations in their order.
pub(crate) type Graph = Vec<Operation>;

/// One stream.
pub(crate) struct Stream {
    work: Option<Sender<Work>>,
    /// What it was given since a capture began.
    captured: Mutex<Option<Graph>>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    pub(crate) fn new() -> Self {
        let (sender, work) = channel::<Work>();
        let thread = std::thread::spawn(move || work.iter().for_each(|work| work()));
        Self { work: Some(sender), captured: Mutex::default(), thread: Some(thread) }
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
        match &mut *self.captured() {
            Some(captured) => captured.push(operation),
            None => self.start(operation)?,
        }
        Ok(())
    }

    fn start(&self, Operation { name, work }: Operation) -> Result<(), u32> {
        let fault = device::fault(name);
        if let Some(code) = fault.filter(|&code| !device::is_sticky(code)) {
            return Err(code);
        }
        self.give(Box::new(move || {
            if device::sticky() != SUCCESS {
                return;
            }
            if !DELAY.is_zero() {
                std::thread::sleep(*DELAY);
            }
            match fault {
                Some(code) => device::fail(code),
                None => work(),
            }
        }));
        Ok(())
    }

    fn captured(&self) -> MutexGuard<'_, Option<Graph>> {
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operations are remembered from now on, and not done.
    pub(crate) fn begin_capture(&self) {
        *self.captured() = Some(Graph::new());
    }

    /// What was remembered; `None` where nothing was to be.
    pub(crate) fn end_capture(&self) -> Option<Graph> {
        self.captured().take()
    }

    /// All operations of a graph. The call itself may fail, as `graph`; then none runs.
    pub(crate) fn launch(&self, graph: &Graph) -> Result<(), u32> {
        match device::fault("graph") {
            Some(code) if device::is_sticky(code) => device::fail(code),
            Some(code) => return Err(code),
            None => {}
        }
        graph.iter().try_for_each(|operation| self.start(operation.clone()))
    }

    /// A mark that is reached whatever has become of the operations before it.
    pub(crate) fn mark(&self, mark: Arc<Mark>) {
        self.give(Box::new(move || mark.reach()));
    }

    pub(crate) fn wait_for(&self, mark: Arc<Mark>) {
        self.give(Box::new(move || {
            mark.wait();
        }));
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

/// One recording of an event.
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
    last: Mutex<Option<Arc<Mark>>>,
}

impl Event {
    pub(crate) fn last(&self) -> Option<Arc<Mark>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn record(&self, stream: &Stream) {
        let mark = Arc::<Mark>::default();
        stream.mark(Arc::clone(&mark));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(mark);
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
