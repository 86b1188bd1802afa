//! Recorded sequences as CUDA graphs: captured at their first replay from the compute stream and others that
//! fork from it and join it again, launched by one call from then on.

#![expect(unsafe_code, reason = "the driver's C interface is called")]

use std::ptr;
use std::sync::{Arc, Weak};

use cust::sys;

use super::api::{Result, check};
use super::fork::{Place, places};
use super::lanes::inside;
use super::launch::Launcher;
use super::shared::Shared;
use super::stream::{Mark, Stream};
use crate::backend::Recorded;

/// The graphs that were replayed, each for as long as somebody can replay it or it runs.
#[derive(Debug, Default)]
pub(super) struct Graphs {
    known: Vec<(Weak<Recorded>, Executable)>,
    /// Streams that captures fork to; nothing else goes there.
    beside: Vec<Stream>,
}

impl Graphs {
    pub(super) fn replay(
        &mut self,
        shared: &Shared,
        launcher: &Launcher,
        stream: &Stream,
        recorded: &Arc<Recorded>,
    ) -> Result<()> {
        let known = self.known.iter().position(|(known, _)| ptr::eq(known.as_ptr(), Arc::as_ptr(recorded)));
        let place = match known {
            Some(place) => place,
            None => {
                self.known.retain(|(known, _)| known.strong_count() > 0);
                let places = places(&recorded.after);
                let streams = places.iter().map(|place| place.stream + 1).max().unwrap_or(1);
                while self.beside.len() + 1 < streams {
                    self.beside.push(Stream::new(&shared.context)?);
                }
                let streams: Vec<&Stream> = std::iter::once(stream).chain(&self.beside).take(streams).collect();
                let executable = Executable::capture(shared, launcher, &streams, recorded, &places);
                if executable.is_err() {
                    // They may still be part of a capture that came to nothing.
                    self.beside.clear();
                }
                self.known.push((Arc::downgrade(recorded), executable?));
                self.known.len() - 1
            }
        };
        // SAFETY: the executable stays while the command holds what was recorded, regions and the message's
        // host memory stay until the command is over.
        unsafe { stream.replay(self.known[place].1.0) }
    }
}

/// A graph, ready to be launched. Its owner's thread has the context.
#[derive(Debug)]
struct Executable(sys::CUgraphExec);

// SAFETY: the driver's handles may be used from any thread.
unsafe impl Send for Executable {}

impl Executable {
    /// `streams` begins with the one that the graph will be launched in.
    fn capture(
        shared: &Shared,
        launcher: &Launcher,
        streams: &[&Stream],
        recorded: &Recorded,
        places: &[Place],
    ) -> Result<Self> {
        let first = streams[0];
        first.begin_capture()?;
        let given = fork(shared, launcher, streams, recorded, places);
        // The capture ends in any case, or the stream would remember for ever.
        let graph = first.end_capture().map(Captured);
        given?;
        let graph = graph?;
        let mut executable = ptr::null_mut();
        // SAFETY: the graph is ours and alive, and `executable` may be written.
        let code = unsafe { sys::cuGraphInstantiateWithFlags(&raw mut executable, graph.0, 0) };
        check("make graph", code).map(|()| Self(executable))
    }
}

/// Gives each step to its stream. Waiting for a mark of a stream that is captured is what makes another one
/// part of the capture, and an edge of the graph. The marks stand for points in it until it ends.
fn fork(
    shared: &Shared,
    launcher: &Launcher,
    streams: &[&Stream],
    recorded: &Recorded,
    places: &[Place],
) -> Result<Vec<Option<Mark>>> {
    let begin = shared.mark()?;
    if streams.len() > 1 {
        streams[0].record(&begin)?;
        streams[1..].iter().try_for_each(|stream| stream.wait_for(&begin))?;
    }
    let mut marks: Vec<Option<Mark>> = Vec::with_capacity(places.len() + streams.len());
    for (op, place) in recorded.ops.iter().zip(places) {
        let stream = streams[place.stream];
        for mark in place.waits.iter().filter_map(|&on| marks[on].as_ref()) {
            stream.wait_for(mark)?;
        }
        inside(launcher, stream, op)?;
        let mark = place.awaited.then(|| shared.mark()).transpose()?;
        mark.iter().try_for_each(|mark| stream.record(mark))?;
        marks.push(mark);
    }
    for stream in &streams[1..] {
        let end = shared.mark()?;
        stream.record(&end)?;
        streams[0].wait_for(&end)?;
        marks.push(Some(end));
    }
    marks.push(Some(begin));
    Ok(marks)
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
