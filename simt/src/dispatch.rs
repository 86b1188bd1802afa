//! The loop over workgroups that the engines share: every thread takes the next few until none is left.
//!
//! The calling thread begins at once. What a workgroup costs is not known before one has run, and to wake
//! other threads costs some microseconds: they are called to help when that is little beside the work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    pub sharing: &'a Sharing,
    pub locate: &'a (dyn Fn(Span) -> Option<Location> + Sync),
}

/// When a program's dispatches are shared among threads.
#[derive(Debug)]
pub(crate) struct Sharing {
    /// So long the calling thread works alone.
    pub alone: Duration,
    /// Nanoseconds that a workgroup took when last run; zero before that.
    pace: AtomicU64,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { alone: Duration::from_micros(20), pace: AtomicU64::new(0) }
    }
}

impl Sharing {
    /// Whether workgroups that take so long, as far as is known, are work for more than one thread.
    fn is_worth_it(&self, nanos: u128) -> bool {
        nanos >= 2 * self.alone.as_nanos()
    }
}

/// What the threads of a dispatch share.
struct Shared<'a> {
    sides: [u64; 3],
    total: u64,
    /// The most workgroups taken at once.
    chunk: u64,
    /// The first that nobody has taken.
    next: AtomicU64,
    /// Whether a workgroup has ended early: then no other begins.
    failed: AtomicBool,
    /// Whether workgroups were left because of `stop`.
    stopped: AtomicBool,
    stop: &'a AtomicBool,
}

impl Job<'_> {
    /// Runs every workgroup once, on the calling thread and on those of the pool as soon as there is work for
    /// them. Each calls `run` once, with the workgroups that fall to it.
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
        if total == 0 {
            return Ok(());
        }
        let threads = (self.pool.current_num_threads() as u64).min(total);
        let shared = Shared {
            sides,
            total,
            chunk: (total / (threads * 16)).clamp(1, 64),
            next: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            stop: self.stop,
        };
        let first: Mutex<Option<Error>> = Mutex::new(None);
        let work = |help: Option<Help<'_>>| {
            let mut groups = Groups { shared: &shared, help, chunk: 1, taken: 0, left: 0, at: [0; 3] };
            if let Err((halt, group)) = run(&mut groups) {
                shared.failed.store(true, Relaxed);
                let error = self.explain(halt, group);
                first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            groups.taken - groups.left
        };
        let help = || {
            work(None);
        };
        if threads == 1 {
            help();
        } else {
            self.pool.in_place_scope(|scope| {
                let begun = Instant::now();
                let call = || (1..threads).for_each(|_| scope.spawn(|_| help()));
                let done = work(Some(Help { sharing: self.sharing, begun, call: &call }));
                let pace = begun.elapsed().as_nanos() / u128::from(done.max(1));
                self.sharing.pace.store(u64::try_from(pace).unwrap_or(u64::MAX), Relaxed);
            });
        }
        match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None if shared.stopped.into_inner() => Err(Error::Stopped),
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

/// How the calling thread gets others to help.
struct Help<'a> {
    sharing: &'a Sharing,
    begun: Instant,
    call: &'a dyn Fn(),
}

/// The workgroups that one thread runs.
pub(crate) struct Groups<'a> {
    shared: &'a Shared<'a>,
    /// Until others have been called.
    help: Option<Help<'a>>,
    /// So many are taken next.
    chunk: u64,
    /// All that this thread has taken.
    taken: u64,
    /// So many are left of the last few, from `at` on.
    left: u64,
    at: [u64; 3],
}

impl Groups<'_> {
    /// Calls the other threads, if what is left to do will take long enough.
    fn call_for_help(&mut self) {
        let Some(Help { sharing, begun, call }) = &self.help else {
            return;
        };
        let left = u128::from(self.shared.total - self.taken);
        let known = match self.taken {
            0 => sharing.is_worth_it(left * u128::from(sharing.pace.load(Relaxed))),
            taken => {
                let elapsed = begun.elapsed();
                elapsed >= sharing.alone && elapsed.as_nanos() * left >= sharing.alone.as_nanos() * u128::from(taken)
            }
        };
        if known {
            call();
            self.help = None;
        }
    }

    /// Takes the next few; false where there are none.
    fn take(&mut self) -> bool {
        let Shared { sides: [nx, ny, _], total, chunk: most, .. } = *self.shared;
        self.call_for_help();
        // A thread begins with few, to learn soon what they cost.
        let chunk = if self.help.is_some() { self.chunk } else { most };
        self.chunk = (2 * chunk).min(most);
        let start = self.shared.next.fetch_add(chunk, Relaxed);
        if start >= total {
            return false;
        }
        self.left = chunk.min(total - start);
        self.taken += self.left;
        self.at = [start % nx, start / nx % ny, start / nx / ny];
        true
    }
}

impl Iterator for Groups<'_> {
    type Item = [u32; 3];

    fn next(&mut self) -> Option<[u32; 3]> {
        if self.left == 0 && !self.take() || self.shared.failed.load(Relaxed) {
            return None;
        }
        if self.shared.stop.load(Relaxed) {
            self.shared.stopped.store(true, Relaxed);
            return None;
        }
        self.left -= 1;
        let [nx, ny, _] = self.shared.sides;
        let [x, y, z] = self.at;
        self.at = match (x + 1 == nx, y + 1 == ny) {
            (false, _) => [x + 1, y, z],
            (true, false) => [0, y + 1, z],
            (true, true) => [0, 0, z + 1],
        };
        Some([x, y, z].map(|at| at as u32))
    }
}
