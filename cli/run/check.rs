//! `wharf check`: runs a kernel under watch and reports what is wrong with it.

use clap::Args;
use serde::Serialize;
use wharf_simt::{Access, Budget, Engine, Finding, Location, Memory, Severity, Slot};

use super::{
    is_uniform,
    source::{Given, Part, Source, Work},
    spec::Spec,
    values,
};
use crate::{
    args,
    exit::{FELL_SHORT, Failure, Outcome},
    output,
};

/// A checked buffer's most bytes: what the checker's addresses reach.
const LIMIT: u64 = u32::MAX as u64 - 15;

/// Check a kernel: of a WGSL file, or of the library.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    kernel: Source,
    /// Exit with 1 on portability findings, too.
    #[arg(long)]
    strict: bool,
    /// Instructions that an invocation may take in all: each addition, comparison, load and the like of the compiled
    /// kernel is one, so that a line of WGSL is several. Whether it has taken more is asked at the end of each
    /// round of a loop.
    #[arg(long, value_name = "N", default_value_t = Budget::default().max_steps, value_parser = args::at_least_one::<u64>, allow_negative_numbers = true)]
    max_steps: u64,
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
    groups: [u32; 3],
    findings: Vec<FindingDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct FindingDocument<'a> {
    kind: &'static str,
    severity: &'static str,
    line: Option<u32>,
    column: Option<u32>,
    /// The other access of a race.
    other_line: Option<u32>,
    other_column: Option<u32>,
    invocations: Vec<InvocationDocument>,
    address: Option<&'a str>,
    count: u64,
    message: &'a str,
    fix: &'static str,
}

#[derive(Debug, Serialize)]
struct InvocationDocument {
    workgroup: [u32; 3],
    local: [u32; 3],
}

/// The bytes of one binding, aligned as kernels see them.
struct Contents {
    words: Vec<u128>,
    bytes: usize,
    fresh: bool,
}

impl Contents {
    fn new(slot: &Slot, spec: &Spec) -> Outcome<Self> {
        let made = values::make(slot, spec, LIMIT)?;
        let mut words = vec![0_u128; made.len().div_ceil(16)];
        bytemuck::cast_slice_mut(&mut words)[..made.len()].copy_from_slice(&made);
        Ok(Self { words, bytes: made.len(), fresh: matches!(spec, Spec::Fresh(..)) })
    }

    fn part<'a>(&'a self, slot: &'a Slot) -> Part<'a> {
        let bytes = &bytemuck::cast_slice::<u128, u8>(&self.words)[..self.bytes];
        (slot, self.bytes as u64, is_uniform(slot).then_some(bytes))
    }

    fn memory(&mut self, slot: &Slot) -> Memory<'_> {
        let (fresh, len) = (self.fresh, self.bytes);
        let bytes = &mut bytemuck::cast_slice_mut::<u128, u8>(&mut self.words)[..len];
        let memory = if slot.access == Access::ReadWrite { Memory::read_write(bytes) } else { Memory::read(bytes) };
        if fresh { memory.fresh() } else { memory }
    }
}

impl Check {
    pub(crate) fn run(&self) -> Outcome {
        let source = &self.kernel;
        let work = source.work()?;
        let kernel: &wharf::Kernel = match &work {
            Work::File(kernel) => kernel,
            Work::Kernel(kernel) => kernel,
            Work::Plan(plan) => {
                let (name, n) = (plan.name, plan.steps.len());
                return Err(Failure::usage(format_args!("`{name}` is {n} launches: check takes one kernel")));
            }
        };
        let entry = kernel.entry().map_err(|e| source.in_file(&e))?;
        let Given { groups, sets: given, specs } = source.given(&work, entry)?;
        let sets: Vec<(&str, f64)> = given.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let module = kernel.module().map_err(|e| source.in_file(&e))?;
        let in_file = |e: wharf_simt::Error| Failure::usage(format_args!("{}: {e}", source.place()));
        let program = module.compile(kernel.name(), &sets, Engine::Interpreter).map_err(in_file)?;

        let slots = program.bindings();
        let mut contents = Vec::<Contents>::with_capacity(slots.len());
        for (slot, spec) in slots.iter().zip(&specs) {
            let parts: Vec<_> = contents.iter().zip(slots).map(|(contents, slot)| contents.part(slot)).collect();
            let spec = work.counted(slot, spec, &parts);
            contents.push(Contents::new(slot, &spec)?);
        }
        let parts: Vec<Part<'_>> = contents.iter().zip(slots).map(|(contents, slot)| contents.part(slot)).collect();
        let left_out = source.left_out(&work, &given, &parts);
        let groups = groups.or_else(|| work.own_groups(&parts)).unwrap_or([1, 1, 1]);
        let memories: Vec<Memory<'_>> =
            contents.iter_mut().zip(slots).map(|(contents, slot)| contents.memory(slot)).collect();
        let budget = Budget { max_steps: self.max_steps };
        let findings = program.check(groups, &memories, budget).map_err(in_file)?;

        if self.json {
            output::json(&Document {
                schema: output::SCHEMA,
                command: "check",
                file: source.file(),
                entry: kernel.name(),
                groups,
                findings: findings.iter().map(document).collect(),
            })?;
        } else {
            let lines: String = findings.iter().map(|f| format!("{}:{f}\n", source.place())).collect();
            output::text(&lines)?;
            if findings.is_empty() {
                output::note(no_findings(groups, program.workgroup()));
            }
        }
        if let Some(left_out) = left_out.filter(|_| findings.is_empty()) {
            output::note(left_out);
        }
        self.verdict(&findings)
    }

    fn verdict(&self, findings: &[Finding]) -> Outcome {
        let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
        let portability = findings.len() - errors;
        if errors == 0 && (portability == 0 || !self.strict) {
            return Ok(());
        }
        let counted = |n: usize, what| output::counted(n as u64, what);
        let what = format!("found {} and {}", counted(errors, "error"), counted(portability, "portability problem"));
        Err(Failure::new(FELL_SHORT, what))
    }
}

/// What was run, and is clean: silence might also be a checker that did nothing.
fn no_findings(groups: [u32; 3], workgroup: [u32; 3]) -> String {
    let product = |sides: [u32; 3]| sides.iter().map(|&side| u128::from(side)).product::<u128>();
    let invocations = output::counted(product(groups) * product(workgroup), "invocation");
    format!("no findings: {invocations} in {}", output::counted(product(groups), "workgroup"))
}

fn document(finding: &Finding) -> FindingDocument<'_> {
    let line = |at: Option<Location>| at.map(|at| at.line);
    let column = |at: Option<Location>| at.map(|at| at.column);
    let invocations = finding.invocations.iter();
    FindingDocument {
        kind: finding.kind.name(),
        severity: finding.severity.name(),
        line: line(finding.at),
        column: column(finding.at),
        other_line: line(finding.other),
        other_column: column(finding.other),
        invocations: invocations.map(|i| InvocationDocument { workgroup: i.workgroup, local: i.local }).collect(),
        address: finding.address.as_deref(),
        count: finding.count,
        message: &finding.message,
        fix: finding.fix,
    }
}
