//! Which devices this machine has, and how to open one by name.

use std::sync::Arc;

use crate::{
    backend::{self, Backend, Capabilities},
    device::Device,
    error::{BackendKind, Error, Result},
    options::Options,
};

/// Names the device that [`Device::best`] opens.
const DEVICE_VARIABLE: &str = "WHARF_DEVICE";

/// One door to a device: it can be opened, or it says why not.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The name for [`Device::open`], e.g. `wgpu:0`; without a number where there is none.
    pub id: String,
    /// The kind of backend.
    pub kind: BackendKind,
    /// What it can do, where it can be opened.
    pub capabilities: Option<Capabilities>,
    /// Why it cannot be opened, in one line.
    pub why_not: Option<String>,
}

impl Found {
    /// The rank of software adapters.
    const SOFTWARE: u32 = 4;

    pub(crate) fn there(id: String, capabilities: Capabilities) -> Self {
        Self { id, kind: capabilities.backend, capabilities: Some(capabilities), why_not: None }
    }

    pub(crate) fn missing(id: &str, kind: BackendKind, why_not: impl ToString) -> Self {
        Self { id: id.into(), kind, capabilities: None, why_not: Some(why_not.to_string()) }
    }

    /// Discrete GPUs first (through CUDA, then wgpu), integrated ones, the CPU device, software
    /// adapters, and what cannot be opened.
    fn rank(&self) -> u32 {
        match &self.capabilities {
            None => 5,
            Some(c) if c.backend == BackendKind::Cpu => 3,
            Some(c) if c.software => Self::SOFTWARE,
            Some(c) if c.unified_memory => 2,
            Some(c) if c.backend == BackendKind::Cuda => 0,
            Some(_) => 1,
        }
    }
}

/// How to find and open the devices of one backend.
pub(crate) struct Door {
    pub(crate) kind: BackendKind,
    /// What there is, or one line on why there is nothing.
    pub(crate) survey: fn() -> Vec<Found>,
    pub(crate) open: Open,
}

/// How the devices of one backend are told apart. [`Error::Unavailable`] where there is none.
pub(crate) enum Open {
    /// There is one.
    Only(fn(&Options) -> Result<Arc<dyn Backend>>),
    /// By the number in the survey.
    #[cfg_attr(not(any(feature = "cuda", feature = "wgpu")), expect(dead_code, reason = "there is one CPU"))]
    Number(fn(usize) -> Result<Arc<dyn Backend>>),
    /// By a description, which may be empty.
    Described(fn(&str, &Options) -> Result<Arc<dyn Backend>>),
}

/// The backends of this build. Of devices that are equally good the first is the best.
const DOORS: &[Door] = &[
    #[cfg(feature = "cuda")]
    backend::cuda::DOOR,
    #[cfg(feature = "wgpu")]
    backend::wgpu::DOOR,
    backend::cpu::DOOR,
    backend::sim::DOOR,
];

/// Backends that a build may leave out: the feature has the backend's name.
const OPTIONAL: [BackendKind; 2] = [BackendKind::Cuda, BackendKind::Wgpu];

fn left_out() -> impl Iterator<Item = BackendKind> {
    OPTIONAL.into_iter().filter(|kind| DOORS.iter().all(|door| door.kind != *kind))
}

impl Device {
    /// Every door that was tried, best first, those that cannot be opened last with the reason. One
    /// card seen through several drivers is one card with several doors, CUDA first.
    pub fn survey() -> Vec<Found> {
        let mut found: Vec<Found> = DOORS.iter().flat_map(|door| (door.survey)()).collect();
        found.extend(left_out().map(|kind| {
            let id = kind.to_string();
            Found::missing(&id, kind, format!("built without the feature `{id}`"))
        }));
        found.sort_by_key(Found::rank);
        found
    }

    /// The devices of this machine, best first.
    pub fn discover() -> Vec<Found> {
        let mut found = Self::survey();
        found.retain(|found| found.capabilities.is_some());
        found
    }

    /// The best device of this machine, or the one that the environment variable `WHARF_DEVICE`
    /// names; empty, it names none. A software adapter is opened by name only.
    ///
    /// # Errors
    /// As [`Device::open`], for the device that the variable names; [`Error::Argument`] where
    /// `WHARF_THREADS` is wrong and the CPU device is the only one.
    pub fn best() -> Result<Self> {
        Self::best_with(Options::default())
    }

    /// Like [`Device::best`], otherwise than by default.
    ///
    /// # Errors
    /// As [`Device::best`] and [`Device::open_with`].
    pub fn best_with(options: impl Into<Options>) -> Result<Self> {
        if let Some(name) = std::env::var_os(DEVICE_VARIABLE).filter(|name| !name.is_empty()) {
            return Self::open_with(&name.to_string_lossy(), options).map_err(named_by_the_environment);
        }
        // The CPU device comes before every software adapter, also where it cannot be opened.
        let best = Self::discover().into_iter().find(|found| found.rank() < Found::SOFTWARE);
        Self::open_with(best.as_ref().map_or("cpu", |found| &found.id), options)
    }

    /// Opens a device: `cpu`, `cuda`, `wgpu`, one of several by number (`wgpu:1`), or a simulated one
    /// by its description (`sim:gen5x16,h200`; see [`Simulation`](crate::Simulation)).
    ///
    /// # Errors
    /// [`Error::Unavailable`] where this machine has no such device, [`Error::Device`] where it is
    /// there and its driver refuses, [`Error::Argument`] where the description of a simulated device is
    /// wrong, and for the CPU device where the environment variable `WHARF_THREADS` is not 1 to 1024.
    pub fn open(name: &str) -> Result<Self> {
        Self::open_with(name, Options::default())
    }

    /// The same device once more, as a new one with nothing of this one's: opened by its [`id`](Device::id) with the
    /// options with which this handle was. Also where this one is lost.
    ///
    /// ```
    /// let device = wharf::Device::open_with("cpu", wharf::Options::new().memory_bytes(1 << 20))?;
    /// device.declare_lost("to see what then");
    /// let again = device.reopen()?;
    /// assert!(again.buffer::<u8>(1 << 20).is_ok() && again.buffer::<u8>(2 << 20).is_err());
    /// # Ok::<(), wharf::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Device::open_with`].
    pub fn reopen(&self) -> Result<Self> {
        Self::open_with(self.id(), self.inner.options)
    }

    /// Like [`Device::open`], otherwise than by default.
    ///
    /// # Errors
    /// As [`Device::open`]; [`Error::Argument`] where the device cannot have [`Progress::Manual`], and where no buffer
    /// fits [`Options::memory_bytes`].
    ///
    /// [`Progress::Manual`]: crate::Progress::Manual
    pub fn open_with(name: &str, options: impl Into<Options>) -> Result<Self> {
        let options = options.into();
        options.check()?;
        let unavailable = |reason: String| Error::Unavailable { device: name.to_owned(), reason };
        let (kind, number) = name.split_once(':').map_or((name, None), |(kind, number)| (kind, Some(number)));
        let Some(door) = DOORS.iter().find(|door| door.kind.to_string() == kind) else {
            return Err(unavailable(match left_out().find(|left| left.to_string() == kind) {
                Some(left) => format!("built without the feature `{left}`"),
                None => format!("a device is called {}", names()),
            }));
        };
        let (backend, id) = match (&door.open, number.map(str::parse::<usize>)) {
            (Open::Described(open), _) => (open(number.unwrap_or_default(), &options)?, name.to_owned()),
            (Open::Only(open), None | Some(Ok(0))) => (open(&options)?, kind.to_owned()),
            (Open::Only(_), Some(_)) => {
                return Err(unavailable(format!("there is one {kind} device, called `{kind}`")));
            }
            (Open::Number(_), Some(Err(_))) => {
                return Err(unavailable(format!("the part after `:` is a number, as in `{kind}:0`")));
            }
            (Open::Number(open), index) => {
                let index = index.map_or(0, |parsed| parsed.expect("a number"));
                (open(index)?, format!("{kind}:{index}"))
            }
        };
        Self::new(&id, backend, &options)
    }
}

/// The program has asked for no such device: who has is said.
fn named_by_the_environment(error: Error) -> Error {
    match error {
        Error::Unavailable { device, reason } => {
            let reason = format!("{reason}; the environment variable {DEVICE_VARIABLE} names it");
            Error::Unavailable { device, reason }
        }
        error => error,
    }
}

/// `cuda, cuda:N, wgpu, wgpu:N, cpu or sim:LINK,CARD`.
fn names() -> String {
    let of = |door: &Door| match door.open {
        Open::Number(_) => format!("{0}, {0}:N", door.kind),
        Open::Only(_) => door.kind.to_string(),
        Open::Described(_) => format!("{}:LINK,CARD", door.kind),
    };
    let names: Vec<String> = DOORS.iter().map(of).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
