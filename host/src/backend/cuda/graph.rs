//! Recorded sequences as CUDA graphs: captured from the compute stream at their first replay, launched by
//! one call from then on.

#![expect(unsafe_code, reason = "the driver's C interface is called")]

use std::ptr;
use std::sync::{Arc, Weak};

use cust::sys;

use super::api::{Result, check};
use super::lanes::inside;
use super::launch::Launcher;
use super::stream::Stream;
use crate::backend::Recorded;

/// The graphs that were replayed, each for as long as somebody can replay it or it runs.
#[derive(Debug, Default)]
pub(super) struct Graphs(Vec<(Weak<Recorded>, Executable)>);

impl Graphs {
    pub(super) fn replay(&mut self, launcher: &Launcher, stream: &Stream, recorded: &Arc<Recorded>) -> Result<()> {
        let known = self.0.iter().position(|(known, _)| ptr::eq(known.as_ptr(), Arc::as_ptr(recorded)));
        let place = match known {
            Some(place) => place,
            None => {
                self.0.retain(|(known, _)| known.strong_count() > 0);
                self.0.push((Arc::downgrade(recorded), Executable::capture(launcher, stream, recorded)?));
                self.0.len() - 1
            }
        };
        // SAFETY: the executable stays while the command holds what was recorded, and regions stay until
        // the command is over.
        unsafe { stream.replay(self.0[place].1.0) }
    }
}

/// A graph, ready to be launched. Its owner's thread has the context.
#[derive(Debug)]
struct Executable(sys::CUgraphExec);

// SAFETY: the driver's handles may be used from any thread.
unsafe impl Send for Executable {}

impl Executable {
    fn capture(launcher: &Launcher, stream: &Stream, recorded: &Recorded) -> Result<Self> {
        stream.begin_capture()?;
        let given = recorded.ops.iter().try_for_each(|op| inside(launcher, stream, op));
        // The capture ends in any case, or the stream would remember for ever.
        let graph = stream.end_capture().map(Captured);
        given?;
        let graph = graph?;
        let mut executable = ptr::null_mut();
        // SAFETY: the graph is ours and alive, and `executable` may be written.
        let code = unsafe { sys::cuGraphInstantiateWithFlags(&raw mut executable, graph.0, 0) };
        check("make graph", code).map(|()| Self(executable))
    }
}

/// A graph that was captured.
struct Captured(sys::CUgraph);

impl Drop for Captured {
    fn drop(&mut self) {
        // SAFETY: the graph is ours; what was made of it does not need it.
        let _ = unsafe { sys::cuGraphDestroy(self.0) };
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        // SAFETY: the executable is ours, and nobody launches it any more.
        let _ = unsafe { sys::cuGraphExecDestroy(self.0) };
    }
}
