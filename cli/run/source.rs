//! The kernel that `run` and `check` are given, by its file or by its name, and the flags that go with it.

use std::{borrow::Cow, io, path::PathBuf};

use clap::Args;
use wharf::{FailureKind, Grid, Job, Kernel, Operand, Plan, TransferError};
use wharf_kernels::Spec as Page;
use wharf_simt::{Entry, Layout, Scalar, Slot};

use super::{bindings, is_uniform, spec::Spec};
use crate::{
    exit::{DEVICE, Failure, Outcome},
    kernels, output,
};

/// A kernel, and what it is given: the flags that `run` and `check` share.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// A WGSL file, or the name of a kernel of the library, of which `wharf kernels` says names and bindings. A file
    /// that has such a name is written ./NAME.
    #[arg(value_name = "FILE|NAME")]
    kernel: PathBuf,
    /// The compute entry point, where a file has several.
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Workgroups; 1,1,1 unless said otherwise, but for kernels of the library, which have as many as their data
    /// needs.
    #[arg(long, value_name = "X[,Y[,Z]]", allow_hyphen_values = true)]
    groups: Option<String>,
    /// A pipeline override, by name or @id: a number, true or false.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    sets: Vec<String>,
    /// A binding's contents: a file (.npy .f32 .u32 .i32, or .bin in WGSL's layout), zeros:TYPE:N,
    /// fresh:TYPE:N (uninitialised), iota:TYPE:N (0, 1, 2, ...), random:TYPE:N[:SEED] or value:V,V,...
    /// TYPE is that of an element: u32, i32, f32, f16, vec2<T>, vec3<T>, vec4<T> or atomic<T>; N counts
    /// elements. Numbers go to a vector's components, a structure's members and an array's elements
    /// in the order in which WGSL declares them; padding takes none. The count `n` of a library's kernel may be
    /// left out where it is that of a binding's elements.
    #[arg(long = "bind", value_name = "NAME=SPEC")]
    binds: Vec<String>,
}

/// What is launched.
pub(super) enum Work {
    /// The kernel of a file.
    File(Box<Kernel>),
    /// A kernel of the library.
    Kernel(&'static Kernel),
    /// A plan of the library.
    Plan(&'static Plan),
}

/// Workgroups where somebody has said how many, overrides, and a SPEC for each binding.
pub(super) struct Given {
    pub(super) groups: Option<[u32; 3]>,
    pub(super) sets: Vec<(String, f64)>,
    pub(super) specs: Vec<Spec>,
}

/// A binding, its bytes, and their contents where it is a uniform.
pub(super) type Part<'a> = (&'a Slot, u64, Option<&'a [u8]>);

impl Work {
    pub(super) fn job(&self) -> Job<'_> {
        match self {
            Self::File(kernel) => Job::Kernel(kernel),
            Self::Kernel(kernel) => Job::Kernel(kernel),
            Self::Plan(plan) => Job::Plan(plan),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self.job() {
            Job::Kernel(kernel) => kernel.name(),
            Job::Plan(plan) => plan.name,
        }
    }

    /// What it declares: of a plan its first kernel's, but for the bindings, which are the caller's buffers by the
    /// names that they have where they are bound first.
    pub(super) fn entry(&self) -> wharf::Result<Entry> {
        let plan = match self.job() {
            Job::Kernel(kernel) => return kernel.entry().cloned(),
            Job::Plan(plan) => plan,
        };
        let mut bindings: Vec<Option<Slot>> = vec![None; plan.bindings];
        for step in plan.steps {
            let slots = step.kernel.entry()?.bindings.iter().filter(|slot| !is_uniform(slot));
            for (slot, operand) in slots.zip(step.operands) {
                if let Operand::Caller(i) = *operand {
                    bindings[i].get_or_insert_with(|| slot.clone());
                }
            }
        }
        let first = plan.steps.first().expect("a plan has a step").kernel.entry()?;
        Ok(Entry { bindings: bindings.into_iter().flatten().collect(), ..first.clone() })
    }

    /// What a binding is given: of a uniform that is one number short, and has a count that a launch would take from
    /// the length of a buffer among `parts`, with that number, which a line on stderr says.
    pub(super) fn counted<'s>(&self, slot: &Slot, spec: &'s Spec, parts: &[Part<'_>]) -> Cow<'s, Spec> {
        self.with_count(slot, spec, parts).map_or(Cow::Borrowed(spec), Cow::Owned)
    }

    fn with_count(&self, slot: &Slot, spec: &Spec, parts: &[Part<'_>]) -> Option<Spec> {
        let (Job::Kernel(kernel), Spec::Values(given)) = (self.job(), spec) else { return None };
        let of = kernel.grid().counted()?;
        let leaves = slot.layout.scalars(1);
        let at = leaves.iter().position(|leaf| leaf.path == Grid::COUNT && leaf.scalar == Scalar::U32)?;
        if !is_uniform(slot) || given.len() + 1 != leaves.len() {
            return None;
        }
        let (counted, bytes, _) = parts.iter().find(|(slot, ..)| slot.name == of)?;
        let n = elements(&counted.layout, *bytes)?;
        output::note(format_args!("`{}.{}` is {n}, as many as `{of}` has elements", slot.name, Grid::COUNT));
        let mut values = given.clone();
        values.insert(at, n.to_string());
        Some(Spec::Values(values))
    }

    /// Workgroups by the kernel's own grid; `None` of a plan, and where it does not say.
    pub(super) fn own_groups(&self, parts: &[Part<'_>]) -> Option<[u32; 3]> {
        let Job::Kernel(kernel) = self.job() else { return None };
        let elements = |name: &str| {
            let (slot, bytes, _) = parts.iter().find(|(slot, ..)| slot.name == name).ok_or(())?;
            elements(&slot.layout, *bytes).ok_or(())
        };
        let parameter = |name: &str| {
            let mut uniforms = parts.iter().filter_map(|(slot, _, contents)| Some((slot, (*contents)?)));
            let found = uniforms.find_map(|(slot, contents)| {
                let leaf = slot.layout.scalars(1).into_iter().find(|l| l.path == name && l.scalar == Scalar::U32)?;
                let word = contents.get(leaf.offset as usize..)?.first_chunk()?;
                Some(u32::from_le_bytes(*word))
            });
            found.ok_or(())
        };
        kernel.grid().groups(elements, parameter).ok().flatten()
    }
}

/// Elements of an array, or of a structure's last member.
fn elements(layout: &Layout, bytes: u64) -> Option<u64> {
    match layout {
        Layout::Array { len: Some(len), .. } => Some(u64::from(*len)),
        layout => layout.elements_in(bytes),
    }
}

impl Source {
    /// The library's kernel of this name.
    fn library(&self) -> Option<&'static Page> {
        wharf_kernels::find(self.kernel.to_str()?)
    }

    /// The file's name, where it is one.
    pub(super) fn file(&self) -> Option<String> {
        self.library().is_none().then(|| self.kernel.display().to_string())
    }

    /// The file or the library's kernel, as what is said of it begins.
    pub(super) fn place(&self) -> std::path::Display<'_> {
        self.kernel.display()
    }

    pub(super) fn work(&self) -> Outcome<Work> {
        if let Some(page) = self.library() {
            if self.entry.is_some() {
                let name = page.name;
                return Err(Failure::usage(format_args!("--entry is for files: `{name}` is a kernel of the library")));
            }
            return Ok(match page.job {
                Job::Kernel(kernel) => Work::Kernel(kernel),
                Job::Plan(plan) => Work::Plan(plan),
            });
        }
        let wgsl = std::fs::read_to_string(&self.kernel).map_err(|e| self.unread(&e))?;
        let kernel = Kernel::from_wgsl_entry(wgsl, self.entry.as_deref()).map_err(|e| self.in_file(&e))?;
        Ok(Work::File(Box::new(kernel)))
    }

    /// A single word that is no file may have been meant as a name.
    fn unread(&self, error: &io::Error) -> Failure {
        let is_word = self.kernel.components().count() == 1 && self.kernel.extension().is_none();
        if !is_word || error.kind() != io::ErrorKind::NotFound {
            return Failure::file(&self.kernel, error);
        }
        let (word, names) = (self.kernel.display(), kernels::names());
        Failure::usage(format_args!("`{word}` is no file and no kernel of the library, which has: {names}"))
    }

    /// What the flags give to this entry point.
    pub(super) fn given(&self, work: &Work, entry: &Entry) -> Outcome<Given> {
        let groups = match (&self.groups, work) {
            (Some(_), Work::Plan(Plan { name, steps, .. })) => {
                let n = steps.len();
                return Err(Failure::usage(format_args!(
                    "--groups: `{name}` is {n} launches, each of as many workgroups as it needs"
                )));
            }
            (Some(text), _) => Some(bindings::groups(text)?),
            (None, Work::File(_)) => Some([1, 1, 1]),
            (None, Work::Kernel(kernel)) if kernel.grid() == Grid::Explicit => Some([1, 1, 1]),
            (None, _) => None,
        };
        Ok(Given {
            groups,
            sets: bindings::sets(&self.sets, entry)?,
            specs: bindings::specs(&self.binds, &entry.bindings)?,
        })
    }

    /// That a file's kernel had fewer invocations than a binding has elements, where nobody has said how many
    /// workgroups there are to be: most kernels have left out the rest.
    pub(super) fn left_out(&self, work: &Work, sets: &[(String, f64)], parts: &[Part<'_>]) -> Option<String> {
        let Work::File(kernel) = work else { return None };
        if self.groups.is_some() {
            return None;
        }
        let sets: Vec<(&str, f64)> = sets.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let workgroup = kernel.module().ok()?.workgroup_size(kernel.name(), &sets).ok()?;
        let invocations: u64 = workgroup.iter().map(|&side| u64::from(side)).product();
        let storage = parts.iter().filter(|(slot, ..)| !is_uniform(slot));
        let lengths = storage.filter_map(|(slot, bytes, _)| Some((&slot.name, elements(&slot.layout, *bytes)?)));
        let (name, elements) = lengths.max_by_key(|(_, n)| *n).filter(|(_, n)| *n > invocations)?;
        let counted = output::counted(invocations, "invocation");
        let help = match workgroup {
            [x, 1, 1] => format!("--groups {} makes one for each", elements.div_ceil(x.into())),
            _ => "--groups X,Y,Z makes more".to_owned(),
        };
        Some(format!("one workgroup ran, which is {counted}, and `{name}` has {elements} elements: {help}"))
    }

    /// What is wrong with the kernel names the file, with line and column where they are known.
    pub(super) fn in_file(&self, error: &wharf::Error) -> Failure {
        if self.library().is_some() {
            return Failure::from(error.clone());
        }
        let file = self.kernel.display();
        match error {
            wharf::Error::Build { log, .. } if begins_with_a_place(log) => Failure::usage(format_args!("{file}:{log}")),
            wharf::Error::Build { log, .. } if log.contains("internal WGSL front end error") => Failure::usage(
                format_args!("{file}: the WGSL parser gives up on this text and does not say where: {log}"),
            ),
            wharf::Error::Build { log, .. } => Failure::usage(format_args!("{file}: {log}")),
            wharf::Error::Argument { what, reason } if what == "entry" => {
                Failure::usage(format_args!("{file}: {reason}, with --entry NAME"))
            }
            wharf::Error::Transfer(TransferError { kind: FailureKind::Backend(fault), .. })
                if begins_with_a_place(fault) =>
            {
                Failure::new(DEVICE, format_args!("{file}:{fault}"))
            }
            wharf::Error::Argument { .. } | wharf::Error::NoForm { .. } => {
                Failure::usage(format_args!("{}: {error}", file))
            }
            other => Failure::from(other.clone()),
        }
    }
}

/// Whether a message begins with `line:column: `.
fn begins_with_a_place(message: &str) -> bool {
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
    let mut parts = message.splitn(3, ':');
    is_number(parts.next()) && is_number(parts.next()) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_error_with_a_place_and_one_without_both_name_the_file() {
        let source = Source { kernel: "a.wgsl".into(), entry: None, groups: None, sets: vec![], binds: vec![] };
        for (log, expected) in [
            ("3:14: no", "a.wgsl:3:14: no"),
            ("no", "a.wgsl: no"),
            (
                "internal WGSL front end error: odd",
                "a.wgsl: the WGSL parser gives up on this text and does not say where: internal WGSL front end error: odd",
            ),
        ] {
            let error = wharf::Error::Build { kernel: "k".into(), log: log.into(), source: None };
            assert_eq!(source.in_file(&error).line, expected);
        }
    }
}
