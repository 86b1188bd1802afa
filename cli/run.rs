//! `wharf run`: any WGSL file, or a kernel of the library, with bindings from the command line.

mod bindings;
mod check;
mod memory;
mod npy;
mod numbers;
mod print;
mod source;
mod spec;
mod times;
mod values;

use std::{path::Path, sync::Arc};

use clap::Args;
use serde::Serialize;
use wharf::{Buffer, Device, Job, Ticket};
use wharf_simt::{Access, Slot};

pub(crate) use self::check::Check;
use self::{
    bindings::{Bound, Contents, Output},
    print::Printed,
    source::{Given, Source, Work},
    times::Times,
};
use crate::{args, devices, exit::Outcome, faults::Telling, output};

/// Run a kernel: of a WGSL file, or of the library.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    kernel: Source,
    /// The device, e.g. cpu, wgpu:0, cuda:0 or sim:gen5x16,h200; the best one unless said otherwise.
    #[arg(long, value_name = "D")]
    device: Option<String>,
    #[command(flatten)]
    bound: devices::Bound,
    /// On the device cpu, run only this form of the kernel; unless said otherwise the one that was measured
    /// to be faster.
    #[arg(long, value_name = "native|simt", value_enum, hide_possible_values = true)]
    twin: Option<devices::Form>,
    /// Where a binding is written to afterwards: a .npy or .bin file.
    #[arg(long = "out", value_name = "NAME=FILE")]
    outs: Vec<String>,
    /// Times to run; the inputs are restored each time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = args::at_least_one::<u32>, allow_negative_numbers = true)]
    repeat: u32,
    /// Print the first N values of each binding that the kernel can write, as the last run left them: elements of an
    /// array, vectors whole; of a structure the numbers that it is made of, each with its path.
    #[arg(long, value_name = "N", value_parser = args::at_least_one::<u64>, allow_negative_numbers = true)]
    print: Option<u64>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: u32,
    command: &'static str,
    /// `null` of a kernel of the library.
    file: Option<String>,
    entry: &'a str,
    device: &'a str,
    device_name: &'a str,
    /// Times are computed, not measured.
    simulated: bool,
    form: &'static str,
    path: Option<String>,
    /// As the kernel has them, before a device with a lower limit has them folded. `null` of a plan: each of its
    /// launches has as many as it needs.
    groups: Option<[u32; 3]>,
    repeat: u32,
    bindings: Vec<BindingDocument<'a>>,
    outputs: Vec<OutputDocument<'a>>,
    printed: Vec<Printed<'a>>,
    times: &'a Times,
}

#[derive(Debug, Serialize)]
struct BindingDocument<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    layout: String,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct OutputDocument<'a> {
    name: &'a str,
    file: String,
    bytes: usize,
}

impl Run {
    /// Whether this is one of the files that it writes.
    pub(crate) fn writes(&self, file: &Path) -> bool {
        self.outs
            .iter()
            .filter_map(|out| out.split_once('='))
            .any(|(_, path)| output::is_same_file(Path::new(path), file))
    }

    pub(crate) fn run(&self) -> Outcome {
        let source = &self.kernel;
        let work = source.work()?;
        let entry = &work.entry().map_err(|e| source.in_file(&e))?;
        let Given { groups, sets, specs } = source.given(&work, entry)?;
        let outputs = bindings::outputs(&self.outs, &entry.bindings)?;
        for output in &outputs {
            output::check(&output.path)?;
        }
        if self.print.is_some() {
            print::check(&entry.bindings)?;
        }
        let device = devices::open_with(self.device.as_deref(), self.bound, self.twin)?;
        let _at_the_end = Telling::of(&device);
        if let (Some(groups), Work::File(_)) = (groups, &work) {
            bindings::check_groups(groups, device.capabilities().max_workgroups_per_dimension)?;
        }
        let limit = device.capabilities().max_binding_bytes.min(device.capabilities().max_buffer_bytes);
        let sizes = memory::check(&device, &entry.bindings, &specs, &outputs, limit)?;
        let mut bound = Vec::with_capacity(sizes.len());
        for ((slot, spec), bytes) in entry.bindings.iter().zip(&specs).zip(sizes) {
            let parts: Vec<_> = bound.iter().map(Bound::part).collect();
            let spec = work.counted(slot, spec, &parts);
            bound.push(Bound::new(&device, slot, &spec, bytes, limit)?);
        }
        let parts: Vec<_> = bound.iter().map(Bound::part).collect();
        let groups = groups.or_else(|| work.own_groups(&parts));
        let mut times = Times::of(&device);
        let mut results = Vec::new();
        for _ in 0..self.repeat {
            results = self.once(&device, work.job(), &bound, groups, &sets, &outputs, &mut times)?;
        }
        let printed = match self.print {
            Some(most) => print::first(&device, &bound, most)?,
            None => Vec::new(),
        };
        let files: Vec<_> = outputs.iter().zip(&results).map(|(output, bytes)| output.file(bytes)).collect();
        output::files(&files)?;
        let document = Document {
            schema: output::SCHEMA,
            command: "run",
            file: source.file(),
            entry: work.name(),
            device: device.id(),
            device_name: &device.capabilities().name,
            simulated: device.capabilities().is_simulated(),
            form: times.form.unwrap_or("none"),
            path: times.path.map(|path| path.to_string()),
            groups,
            repeat: self.repeat,
            bindings: bound.iter().map(|b| b.document()).collect(),
            outputs: outputs.iter().zip(&files).map(|(o, (path, bytes))| o.document(path, bytes.len())).collect(),
            printed,
            times: &times,
        };
        if self.json {
            output::json(&document)?
        } else {
            output::text(&table(&document))?
        }
        if let Some(left) = source.left_out(&work, &sets, &parts) {
            output::note(left);
        }
        Ok(())
    }

    /// One run: inputs up, one launch, outputs down. Gives the outputs' bytes.
    #[expect(clippy::too_many_arguments, reason = "all that was parsed, once")]
    fn once(
        &self,
        device: &Device,
        job: Job<'_>,
        bound: &[Bound<'_>],
        groups: Option<[u32; 3]>,
        sets: &[(String, f64)],
        outputs: &[Output<'_>],
        times: &mut Times,
    ) -> Outcome<Vec<Vec<u8>>> {
        let (mut uploads, mut clears) = (Vec::new(), Vec::new());
        for Bound { slot, contents, buffer, .. } in bound {
            match (contents, buffer) {
                (Contents::Bytes(bytes), Some(buffer)) => uploads.push(send(device, buffer, bytes, &slot.name)?),
                (Contents::Zeros, Some(buffer)) => clears.push(device.clear(buffer).label(&slot.name).send()?),
                _ => {}
            }
        }
        for clear in clears {
            clear.wait().ok()?;
        }
        times.upload(uploads)?;
        let mut launch = device.launch(&job);
        if let Some(groups) = groups {
            launch = launch.groups(groups);
        }
        for Bound { slot, contents, buffer, .. } in bound {
            launch = match (contents, buffer) {
                (_, Some(buffer)) if matches!(job, Job::Plan(_)) => launch.bind(buffer),
                (_, Some(buffer)) => launch.bind_as(&slot.name, buffer),
                (Contents::Bytes(bytes), None) => launch.uniform(&slot.name, bytes),
                _ => unreachable!("a uniform has bytes"),
            };
        }
        for (name, value) in sets {
            launch = launch.set(name, *value);
        }
        let launched = launch.run().and_then(|ticket| times.launch(ticket));
        launched.map_err(|e| self.kernel.in_file(&e))?;
        let mut downloads = Vec::new();
        for output in outputs {
            let buffer = bound[output.binding].buffer.as_ref().expect("uniforms are refused as outputs");
            downloads.push(device.download(buffer).label(&output.slot.name).send()?);
        }
        times.download(downloads)
    }
}

fn send(device: &Device, to: &Buffer<u8>, bytes: &Arc<[u8]>, label: &str) -> Outcome<Ticket<Arc<[u8]>>> {
    Ok(device.upload(to).label(label).send(bytes.clone()).map_err(wharf::Error::from)?)
}

/// Whether a slot is a uniform, which has no buffer of its own.
fn is_uniform(slot: &Slot) -> bool {
    slot.access == Access::Uniform
}

fn table(document: &Document<'_>) -> String {
    let Document { entry, device, device_name, form, groups, times, .. } = document;
    let groups = match groups {
        Some([1, 1, 1]) => "1 workgroup".to_owned(),
        Some([x, y, z]) => format!("{x},{y},{z} workgroups"),
        None => "a plan of several launches".to_owned(),
    };
    let mut text = format!("{entry} on {device} ({device_name}), {form}, {groups}\n");
    text += &times.table();
    if let Some(path) = &document.path {
        text += &format!("uploads: {path}\n");
    }
    for OutputDocument { name, file, bytes } in &document.outputs {
        text += &format!("{name} -> {file} ({bytes} bytes)\n");
    }
    for printed in &document.printed {
        text += &format!("{printed}\n");
    }
    text
}
