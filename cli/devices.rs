//! `wharf devices`: every door that was tried, and why some are closed.

use clap::{Args, ValueEnum};
use serde::Serialize;
use wharf::{BackendKind, Capabilities, Device, Error, Found, Options, Simulation, Twin};

use crate::{
    args,
    exit::{Failure, Outcome},
    output,
};

/// List the devices of this machine, or explain one.
#[derive(Debug, Args)]
#[command(after_help = simulated())]
pub(crate) struct Devices {
    /// Only this device: one of the list, or a simulated one.
    #[arg(long, value_name = "D")]
    device: Option<String>,
    #[command(flatten)]
    bound: Bound,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document {
    schema: u32,
    command: &'static str,
    /// The device that is used where none is named.
    best: Option<String>,
    devices: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    id: String,
    kind: String,
    available: bool,
    why_not: Option<String>,
    capabilities: Option<Facts>,
}

/// [`Capabilities`] as they are printed.
#[derive(Debug, Serialize)]
struct Facts {
    name: String,
    driver: String,
    software: bool,
    unified_memory: bool,
    max_workgroup_bytes: u32,
    max_workgroup_invocations: u32,
    max_workgroup_size: [u32; 3],
    max_workgroups_per_dimension: u32,
    max_storage_bindings: u32,
    max_binding_bytes: u64,
    max_buffer_bytes: u64,
    storage_alignment: u64,
    memory_bytes: Option<u64>,
    subgroup_sizes: (u32, u32),
    f16: bool,
    timestamps: bool,
    copy_engines: u32,
    copy_overlaps_compute: bool,
    max_in_flight: u32,
}

impl From<Capabilities> for Facts {
    fn from(c: Capabilities) -> Self {
        Self {
            name: c.name,
            driver: c.driver,
            software: c.software,
            unified_memory: c.unified_memory,
            max_workgroup_bytes: c.max_workgroup_bytes,
            max_workgroup_invocations: c.max_workgroup_invocations,
            max_workgroup_size: c.max_workgroup_size,
            max_workgroups_per_dimension: c.max_workgroups_per_dimension,
            max_storage_bindings: c.max_storage_bindings,
            max_binding_bytes: c.max_binding_bytes,
            max_buffer_bytes: c.max_buffer_bytes,
            storage_alignment: c.storage_alignment,
            memory_bytes: c.memory_bytes,
            subgroup_sizes: c.subgroup_sizes,
            f16: c.f16,
            timestamps: c.timestamps,
            copy_engines: c.copy_engines,
            copy_overlaps_compute: c.copy_overlaps_compute,
            max_in_flight: c.max_in_flight,
        }
    }
}

impl From<Found> for Entry {
    fn from(found: Found) -> Self {
        Self {
            id: found.id,
            kind: found.kind.to_string(),
            available: found.capabilities.is_some(),
            why_not: found.why_not,
            capabilities: found.capabilities.map(Facts::from),
        }
    }
}

impl From<&Device> for Entry {
    fn from(device: &Device) -> Self {
        let capabilities = device.capabilities().clone();
        Self {
            id: device.id().to_owned(),
            kind: capabilities.backend.to_string(),
            available: true,
            why_not: None,
            capabilities: Some(capabilities.into()),
        }
    }
}

/// What `sim:` takes.
fn simulated() -> String {
    let mut text = "\
A simulated device is described in a line, e.g. --device sim:gen5x16,h200,latency=10us: results are real, times
are computed for that link and card and labelled so. It is used only where it is named. Items, in any order:
"
    .to_owned();
    for (item, what) in Simulation::ITEMS {
        text += &format!("  {item:<15} {what}\n");
    }
    text + NOTES
}

/// What the items alone do not say.
const NOTES: &str = "\
Operations, allocations and downloads are counted from 1. A large transfer is several operations, one for each of
its chunks, and each pays the latency.

What is left out is as in sim:gen4x16,a100,latency=6us,duplex=yes,launch=4.5us,engines=2,overlap=yes,cap=512,seed=0
without a watchdog and without faults. Later items win: of two links or two cards the last counts, and it takes
back what rate, latency or memory said before it.

The clock is virtual: it counts the device's time and stands still while the host works, so that lose@1ms is
after 1 ms of the device's time, which a short job may never reach.

oom counts tries for memory. The library makes room and tries again, so that one alone often goes unseen; what
exhaust says stays: the message fails. Commands say at their end, on stderr, which faults did not happen and which
tries for memory another one made good.";

impl Devices {
    pub(crate) fn run(&self) -> Outcome {
        if self.device.is_none() && self.bound.bytes.is_some() {
            return Err(Failure::usage("--device-memory says how one device is opened: --device names it"));
        }
        // Opened by its name, as the legend says itself who names it.
        let best = named().map_or_else(Device::best, |name| Device::open(&name));
        let devices: Vec<Entry> = match &self.device {
            Some(name) => vec![Entry::from(&open(Some(name), self.bound)?)],
            None => Device::survey().into_iter().map(Entry::from).collect(),
        };
        let legend = match (&best, named()) {
            (Ok(_), None) => "* is used where no device is named".to_owned(),
            (Ok(_), Some(_)) => format!("* is used where no device is named: {VARIABLE} names it"),
            (Err(e), None) => format!("no device is used where none is named: {e}"),
            (Err(e), Some(name)) => format!("{VARIABLE} names `{name}`, which cannot be used: {e}"),
        };
        let best = best.ok().map(|device| device.id().to_owned());
        let document = Document { schema: output::SCHEMA, command: "devices", best, devices };
        match (self.json, &self.device) {
            (true, _) => output::json(&document),
            (false, Some(_)) => output::text(&table(&document)),
            (false, None) => output::text(&(table(&document) + SIM + &legend + "\n")),
        }
    }
}

/// A row for the devices that are not there.
const SIM: &str = "  sim:...  a simulated device, e.g. --device sim:gen5x16,h200; see `wharf help devices`\n";

fn table(document: &Document) -> String {
    let mut text = String::new();
    for Entry { id, why_not, capabilities, .. } in &document.devices {
        let mark = if document.best.as_ref() == Some(id) { '*' } else { ' ' };
        text += &match (capabilities, why_not) {
            (Some(c), _) => format!("{mark} {id:<8} {} ({}), {}\n", c.name, c.driver, facts(c)),
            (None, why_not) => format!("{mark} {id:<8} not there: {}\n", why_not.as_deref().unwrap_or("unknown")),
        };
    }
    text
}

fn facts(c: &Facts) -> String {
    let mut facts = vec![match c.memory_bytes {
        Some(bytes) => format!("{} of memory", output::bytes(bytes)),
        None => "memory unknown".to_owned(),
    }];
    facts.push(format!("workgroups of up to {} with {} KiB", c.max_workgroup_invocations, c.max_workgroup_bytes >> 10));
    facts.push(if c.copy_overlaps_compute { "copies overlap kernels" } else { "copies and kernels take turns" }.into());
    if c.software {
        facts.push("software".into());
    }
    facts.join(", ")
}

/// Names the device that is used where none is named.
const VARIABLE: &str = "WHARF_DEVICE";

/// What the environment says, if anything.
pub(crate) fn named() -> Option<String> {
    let name = std::env::var_os(VARIABLE).filter(|name| !name.is_empty())?;
    Some(name.to_string_lossy().into_owned())
}

/// How much memory a device is to make do with.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Bound {
    /// The most device memory that buffers may take together, e.g. 512MiB; what was not used for the longest time
    /// then makes room for the rest. As much as there is unless said otherwise.
    #[arg(long = "device-memory", value_name = "BYTES", value_parser = args::bytes, allow_hyphen_values = true)]
    bytes: Option<u64>,
}

impl Bound {
    /// Opens the device of this name, or the best one, with so much.
    pub(crate) fn open(self, name: Option<&str>, twin: Twin) -> wharf::Result<Device> {
        let options = Options::new().twin(twin);
        let options = self.bytes.map_or(options, |bytes| options.memory_bytes(bytes));
        let device = match name {
            Some(name) => Device::open_with(name, options),
            None => Device::best_with(options),
        };
        device.map_err(|error| match error {
            Error::Argument { what, reason } if what == "memory_bytes" => {
                Error::Argument { what: "--device-memory".to_owned(), reason }
            }
            error => error,
        })
    }

    /// Refuses less than `least` bytes.
    pub(crate) fn at_least(self, least: u64) -> Outcome {
        match self.bytes {
            Some(bytes) if bytes < least => Err(Failure::usage(format_args!(
                "--device-memory: {least} bytes at least are needed, {bytes} are given"
            ))),
            _ => Ok(()),
        }
    }
}

/// The device of this name, or the best one.
pub(crate) fn open(name: Option<&str>, bound: Bound) -> Outcome<Device> {
    open_with(name, bound, None)
}

/// Like [`open`]; `twin` is for the CPU device, and no other device may be meant.
pub(crate) fn open_with(name: Option<&str>, bound: Bound, twin: Option<Form>) -> Outcome<Device> {
    let device = bound.open(name, twin.map_or(Twin::Any, Form::twin))?;
    if twin.is_some() && device.capabilities().backend != BackendKind::Cpu {
        let id = device.id();
        return Err(Failure::usage(format_args!("--twin is for the device cpu: {id} runs the form that it has")));
    }
    Ok(device)
}

/// What `--twin` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The native twin.
    Native,
    /// The WGSL, through simt.
    Simt,
}

impl Form {
    fn twin(self) -> Twin {
        match self {
            Self::Native => Twin::Native,
            Self::Simt => Twin::Simt,
        }
    }
}
