//! The loop over workgroups that the engines share: every thread takes the next few until none is left.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use naga::Span;

use crate::error::{Error, Location};

/// Why a workgroup did not reach its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Halt {
    /// Only so many invocations came to a barrier.
    Diverged { at: Span, arrived: u32 },
    /// A uniform load at different places.
    NotUniform { at: Span },
    /// Somebody said stop, or the checker has said where the steps went.
    Stopped,
}

/// What every dispatch is given.
pub(crate) struct Job<'a> {
    pub groups: [u32; 3],
    /// Invocations of a workgroup.
    pub lanes: u32,
    pub pool: &'a rayon::ThreadPool,
    pub stop: &'a AtomicBool,
    pub locate: &'a (dyn Fn(Span) -> Option<Location> + Sync),
}

/// Invocations that are worth waking another thread for.
const SHARE: u64 = 32 * 1024;

impl Job<'_> {
    /// Runs every workgroup once, on as many threads as there is work for. Each calls `run` once, with the
    /// workgroups that fall to it.
    pub(crate) fn run(
        &self,
        run: impl Fn(&mut Groups<'_>) -> Result<(), (Halt, [u32; 3])> + Sync,
    ) -> Result<(), Error> {
        let sides = self.groups.map(u64::from);
        let [nx, ny, nz] = sides;
        let total = nx.checked_mul(ny).and_then(|plane| plane.checked_mul(nz));
        let total = total.ok_or_else(|| Error::Limit {
            at: None,
            what: format!("{:?} workgroups are more than can be counted", self.groups),
        })?;
        let enough = total.saturating_mul(self.lanes.into()).div_ceil(SHARE);
        let threads = (self.pool.current_num_threads() as u64).min(enough).max(1);
        let chunk = (total / (threads * 16)).clamp(1, 64);
        let next = AtomicU64::new(0);
        let failed = AtomicBool::new(false);
        let first: Mutex<Option<Error>> = Mutex::new(None);
        let work = || {
            let mut groups = Groups { next: &next, failed: &failed, sides, total, chunk, left: 0, at: [0; 3] };
            if let Err((halt, group)) = run(&mut groups) {
                failed.store(true, Ordering::Relaxed);
                let error = self.explain(halt, group);
                first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        };
        match total.div_ceil(chunk).min(threads) {
            0 => {}
            1 => work(),
            workers => self.pool.scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(|_| work());
                }
            }),
        }
        match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn explain(&self, halt: Halt, workgroup: [u32; 3]) -> Error {
        match halt {
            Halt::Diverged { at, arrived } => {
                Error::Divergence { at: (self.locate)(at), workgroup, arrived, of: self.lanes }
            }
            Halt::NotUniform { at } => Error::NotUniform { at: (self.locate)(at), workgroup },
            Halt::Stopped => Error::Stopped,
        }
    }
}

/// The workgroups that one thread runs.
pub(crate) struct Groups<'a> {
    next: &'a AtomicU64,
    failed: &'a AtomicBool,
    sides: [u64; 3],
    total: u64,
    chunk: u64,
    /// So many are left of the last few, from `at` on.
    left: u64,
    at: [u64; 3],
}

impl Iterator for Groups<'_> {
    type Item = [u32; 3];

    fn next(&mut self) -> Option<[u32; 3]> {
        let [nx, ny, _] = self.sides;
        if self.left == 0 {
            let start = self.next.fetch_add(self.chunk, Ordering::Relaxed);
            if start >= self.total || self.failed.load(Ordering::Relaxed) {
                return None;
            }
            self.left = self.chunk.min(self.total - start);
            self.at = [start % nx, start / nx % ny, start / nx / ny];
        }
        self.left -= 1;
        let [x, y, z] = self.at;
        self.at = match (x + 1 == nx, y + 1 == ny) {
            (false, _) => [x + 1, y, z],
            (true, false) => [0, y + 1, z],
            (true, true) => [0, 0, z + 1],
        };
        Some([x, y, z].map(|at| at as u32))
    }
}
