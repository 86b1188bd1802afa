//! Graphs: several steps as one message, some of which fail.

use std::panic;

use wharf::{Graph, Grid, Kernel, Result, native::Dispatch};

use super::{
    Expected, Harness, MIX, mix,
    send::{Way, sent_by},
};
use crate::program::Shape;

/// Panics, which is reported as the failure of what it is a step of.
static BREAK: Kernel = Kernel::new(
    "break_it",
    "@group(0) @binding(0) var<storage, read_write> y: array<u32>;
     @compute @workgroup_size(64)
     fn break_it(@builtin(global_invocation_id) id: vec3<u32>) {
         if id.x < arrayLength(&y) { y[id.x] = 0; }
     }",
)
// Without the panic hook's words.
.with_native(|_: &mut Dispatch<'_>| panic::resume_unwind(Box::new("as the graph has it")))
.with_grid(Grid::Elements { of: "y", per_group: 64 });

impl Harness<'_> {
    /// Records a graph and replays it. It is gone before its replays are over.
    pub(super) fn replay(&mut self, way: Way<'_>, (x, y): (usize, usize), shape: Shape, times: usize) {
        let graph = match self.graph((x, y), shape) {
            None => return,
            Some(Err(error)) => return self.refused(way.queue, 1, &error),
            Some(Ok(graph)) => graph,
        };
        for _ in 0..times {
            let sent = sent_by!(graph.replay(), self, way).run();
            if self.plain(way, sent, Expected::Replay) {
                self.replayed((x, y), shape);
            }
        }
    }

    fn graph(&self, (x, y): (usize, usize), shape: Shape) -> Option<Result<Graph>> {
        let (from, to) = (self.buffers[x].as_ref()?, self.buffers[y].as_ref()?);
        let device = self.sim.device();
        let record = || {
            let launch = || device.launch(&MIX).bind(from).bind(to).messages();
            let mut messages = Vec::new();
            match shape {
                Shape::CopyMix => {
                    messages.push(device.copy(from, to).message()?);
                    messages.extend(launch()?);
                }
                Shape::ClearMix => {
                    messages.push(device.clear(to).message()?);
                    messages.extend(launch()?);
                }
                Shape::Broken => {
                    messages.extend(launch()?);
                    messages.extend(device.launch(&BREAK).bind(to).messages()?);
                    messages.push(device.copy(from, to).message()?);
                }
            }
            device.graph(messages)
        };
        Some(record())
    }

    /// What a replay leaves, if all goes well.
    fn replayed(&mut self, (x, y): (usize, usize), shape: Shape) {
        let from = self.words[x].clone();
        let to = &mut self.words[y];
        match shape {
            Shape::CopyMix => to.copy_from_slice(&from),
            Shape::ClearMix => to.fill(0),
            // It never goes well.
            Shape::Broken => return,
        }
        mix(&from, to);
    }
}
