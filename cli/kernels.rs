//! `wharf kernels`: what the library computes.

use clap::Args;
use serde::Serialize;
use wharf::{Job, Kernel};
use wharf_kernels::{Reproducibility, Spec, Split};
use wharf_simt::{Access, Dim, Slot};

use crate::{
    exit::{Failure, Outcome},
    output,
};

/// List the kernels of the library.
#[derive(Debug, Args)]
pub(crate) struct Kernels {
    /// One kernel only, with its bindings.
    name: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document {
    schema: u32,
    command: &'static str,
    kernels: Vec<Page>,
}

#[derive(Debug, Serialize)]
struct Page {
    name: &'static str,
    summary: &'static str,
    /// One step is a kernel; several are a plan.
    steps: Vec<Step>,
    cost: Cost,
    /// `anywhere` or `device kind`.
    same_bits: &'static str,
    /// `elementwise`, `reduce` or `none`.
    split: &'static str,
}

#[derive(Debug, Serialize)]
struct Step {
    kernel: &'static str,
    /// `None` where an override decides.
    workgroup: [Option<u32>; 3],
    bindings: Vec<Binding>,
    twins: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Binding {
    name: String,
    #[serde(rename = "type")]
    layout: String,
    access: &'static str,
    members: Vec<String>,
}

/// Of a case of size `n`.
#[derive(Debug, Serialize)]
struct Cost {
    n: u64,
    bytes: u64,
    flops: u64,
    barriers: u64,
}

/// The size at which costs are printed: small enough for a matrix of that side, large enough to say
/// something.
const COST_N: u64 = 1 << 10;

impl Kernels {
    pub(crate) fn run(&self) -> Outcome {
        let wanted = |spec: &&Spec| self.name.as_deref().is_none_or(|name| name == spec.name);
        let kernels = wharf_kernels::ALL.iter().filter(wanted).map(page).collect::<Outcome<Vec<_>>>()?;
        if let (Some(name), true) = (&self.name, kernels.is_empty()) {
            return Err(Failure::usage(format_args!("there is no kernel `{name}`, there is: {}", names())));
        }
        let document = Document { schema: output::SCHEMA, command: "kernels", kernels };
        match (self.json, self.name.is_some()) {
            (true, _) => output::json(&document),
            (false, false) => output::text(&list(&document.kernels)),
            (false, true) => output::text(&document.kernels.iter().map(details).collect::<String>()),
        }
    }
}

/// All kernels' names.
pub(crate) fn names() -> String {
    wharf_kernels::ALL.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

fn page(spec: &Spec) -> Outcome<Page> {
    let kernels: Vec<&'static Kernel> = match spec.job {
        Job::Kernel(kernel) => vec![kernel],
        Job::Plan(plan) => plan.steps.iter().map(|step| step.kernel).collect(),
    };
    let cost = (spec.cost)(COST_N);
    Ok(Page {
        name: spec.name,
        summary: spec.summary,
        steps: kernels.into_iter().map(step).collect::<Outcome<_>>()?,
        cost: Cost { n: COST_N, bytes: cost.bytes, flops: cost.flops, barriers: cost.barriers },
        same_bits: match spec.class {
            Reproducibility::Anywhere => "anywhere",
            Reproducibility::DeviceKind => "device kind",
        },
        split: match spec.split {
            Split::Elementwise => "elementwise",
            Split::Reduce => "reduce",
            Split::None => "none",
        },
    })
}

fn step(kernel: &'static Kernel) -> Outcome<Step> {
    let entry = kernel.entry()?;
    let mut twins = vec!["WGSL"];
    twins.extend(kernel.ptx().map(|_| "CUDA"));
    twins.extend(kernel.native().map(|_| "native"));
    let workgroup = entry.workgroup.map(|side| match side {
        Dim::Fixed(side) => Some(side),
        Dim::Overridable => None,
    });
    Ok(Step { kernel: kernel.name(), workgroup, bindings: entry.bindings.iter().map(binding).collect(), twins })
}

fn binding(slot: &Slot) -> Binding {
    Binding {
        name: slot.name.clone(),
        layout: slot.layout.to_string(),
        access: match slot.access {
            Access::Read => "read",
            Access::ReadWrite => "read_write",
            Access::Uniform => "uniform",
        },
        members: match slot.access {
            Access::Uniform => slot.layout.scalars(1).iter().map(|l| format!("{}: {}", l.path, l.scalar)).collect(),
            _ => Vec::new(),
        },
    }
}

fn list(pages: &[Page]) -> String {
    let line = |page: &Page| format!("{:<16} {}\n", page.name, page.summary);
    pages.iter().map(line).collect()
}

fn details(page: &Page) -> String {
    let Page { name, summary, cost, .. } = page;
    let same_bits = match page.same_bits {
        "anywhere" => "gives the same bits on every device",
        _ => "gives the same bits on devices of one kind",
    };
    let split = match page.split {
        "elementwise" => "can be split between devices: each takes some of the elements",
        "reduce" => "can be split between devices: each gives a part, and the parts are combined",
        _ => "is not split between devices",
    };
    let mut text = format!("{name}: {summary}\n");
    for Step { kernel, workgroup, bindings, twins } in &page.steps {
        let side = |side: &Option<u32>| side.map_or("?".to_owned(), |side| side.to_string());
        let workgroup: Vec<_> = workgroup.iter().map(side).collect();
        text += &format!("  {kernel}, workgroups of {}, as {}\n", workgroup.join("x"), twins.join(", "));
        for Binding { name, layout, access, members } in bindings {
            let members = if members.is_empty() { String::new() } else { format!(" {{ {} }}", members.join(", ")) };
            text += &format!("    {name:<16} {layout}{members}, {access}\n");
        }
    }
    let Cost { n, bytes, flops, barriers } = cost;
    text + &format!("  at n = {n}: {bytes} bytes, {flops} operations, {barriers} barriers\n  {same_bits}\n  {split}\n")
}
