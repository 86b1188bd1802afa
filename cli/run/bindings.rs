//! Matching what the command line names with what the WGSL declares.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use wharf::{Buffer, Device};
use wharf_simt::{Entry, Slot};

use super::{
    BindingDocument, OutputDocument, is_uniform, npy, numbers,
    source::Part,
    spec::Spec,
    values::{self, Plain},
};
use crate::{
    exit::{Failure, Outcome},
    output,
};

/// A binding with its contents, and its buffer unless it is a uniform.
pub(super) struct Bound<'a> {
    pub(super) slot: &'a Slot,
    pub(super) contents: Contents,
    pub(super) buffer: Option<Buffer<u8>>,
    bytes: u64,
}

/// What is in a binding before each run.
pub(super) enum Contents {
    /// These bytes.
    Bytes(Arc<[u8]>),
    /// Zeroes, which the device writes itself.
    Zeros,
    /// Whatever is there.
    Fresh,
}

impl<'a> Bound<'a> {
    /// `bytes` are those that the SPEC was found to give, where the device makes them.
    pub(super) fn new(device: &Device, slot: &'a Slot, spec: &Spec, bytes: u64, limit: u64) -> Outcome<Self> {
        let (contents, bytes) = match spec {
            Spec::Zeros(..) if values::is_made_on_device(slot, spec) => (Contents::Zeros, bytes),
            Spec::Fresh(..) if values::is_made_on_device(slot, spec) => (Contents::Fresh, bytes),
            spec => {
                let made: Arc<[u8]> = values::make(slot, spec, limit)?.into();
                let bytes = made.len() as u64;
                (Contents::Bytes(made), bytes)
            }
        };
        let buffer = if is_uniform(slot) { None } else { Some(device.buffer(bytes as usize)?) };
        Ok(Self { slot, contents, buffer, bytes })
    }

    pub(super) fn part(&self) -> Part<'_> {
        let contents = match &self.contents {
            Contents::Bytes(bytes) if is_uniform(self.slot) => Some(&**bytes),
            _ => None,
        };
        (self.slot, self.bytes, contents)
    }

    pub(super) fn document(&self) -> BindingDocument<'_> {
        BindingDocument { name: &self.slot.name, layout: self.slot.layout.to_string(), bytes: self.bytes }
    }
}

/// A binding that is written to a file.
pub(super) struct Output<'a> {
    pub(super) slot: &'a Slot,
    /// Its number among the bindings.
    pub(super) binding: usize,
    pub(super) path: PathBuf,
    /// How it is written as `.npy`; `None` for `.bin`.
    npy: Option<Plain>,
}

impl Output<'_> {
    /// The file's path and contents.
    pub(super) fn file(&self, bytes: &[u8]) -> (PathBuf, Vec<u8>) {
        let contents = match &self.npy {
            None => bytes.to_vec(),
            Some(plain) => {
                let mut shape = Vec::new();
                if plain.is_array {
                    shape.push(plain.elements(bytes));
                }
                if plain.element.size > 1 {
                    shape.push(plain.element.size.into());
                }
                let file = npy::write(plain.element.scalar, &shape, &plain.packed(bytes));
                file.expect("a buffer holds no bool, and NumPy has all other scalars")
            }
        };
        (self.path.clone(), contents)
    }

    pub(super) fn document(&self, path: &Path, bytes: usize) -> OutputDocument<'_> {
        OutputDocument { name: &self.slot.name, file: path.display().to_string(), bytes }
    }
}

fn split<'a>(text: &'a str, flag: &str, form: &str) -> Outcome<(&'a str, &'a str)> {
    let pair = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    pair.ok_or_else(|| Failure::usage(format_args!("--{flag} `{text}`: {form} is expected")))
}

fn names(slots: &[Slot]) -> String {
    match slots {
        [] => "the kernel has none".to_owned(),
        slots => format!("there is: {}", slots.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>().join(", ")),
    }
}

fn find(slots: &[Slot], name: &str) -> Outcome<usize> {
    slots
        .iter()
        .position(|slot| slot.name == name)
        .ok_or_else(|| Failure::usage(format_args!("there is no binding `{name}`, {}", names(slots))))
}

/// The SPEC of each binding, in order; each must have one.
pub(super) fn specs(binds: &[String], slots: &[Slot]) -> Outcome<Vec<Spec>> {
    let mut specs: Vec<Option<Spec>> = vec![None; slots.len()];
    for bind in binds {
        let (name, spec) = split(bind, "bind", "NAME=SPEC")?;
        let place = &mut specs[find(slots, name)?];
        let spec = spec.parse().map_err(|e| Failure::usage(format_args!("binding `{name}`: {e}")))?;
        if place.replace(spec).is_some() {
            return Err(Failure::usage(format_args!("binding `{name}` is given twice")));
        }
    }
    let missing = |slot: &Slot| {
        Failure::usage(format_args!("binding `{}` ({}) is missing: --bind {}=SPEC", slot.name, slot.layout, slot.name))
    };
    slots.iter().zip(specs).map(|(slot, spec)| spec.ok_or_else(|| missing(slot))).collect()
}

/// The outputs, each once, in a form that its file can hold.
pub(super) fn outputs<'a>(outs: &[String], slots: &'a [Slot]) -> Outcome<Vec<Output<'a>>> {
    let mut outputs: Vec<Output<'a>> = Vec::with_capacity(outs.len());
    for out in outs {
        let (name, path) = split(out, "out", "NAME=FILE")?;
        let (binding, path) = (find(slots, name)?, PathBuf::from(path));
        let slot = &slots[binding];
        let wrong = |what: &str| Err(Failure::usage(format_args!("--out {name}={}: {what}", path.display())));
        if is_uniform(slot) {
            return wrong("a uniform cannot be an output");
        }
        if outputs.iter().any(|other| output::is_same_file(&other.path, &path)) {
            return wrong("the file is named twice");
        }
        let npy = match path.extension().and_then(|extension| extension.to_str()) {
            Some("bin") => None,
            Some("npy") => match Plain::of(&slot.layout) {
                None => return wrong(&format!("{} is no array of scalars or vectors, write a .bin file", slot.layout)),
                plain => plain,
            },
            _ => return wrong("a .npy or .bin file is expected"),
        };
        outputs.push(Output { slot, binding, path, npy });
    }
    Ok(outputs)
}

/// The overrides, each there and once.
pub(super) fn sets(sets: &[String], entry: &Entry) -> Outcome<Vec<(String, f64)>> {
    let mut values: Vec<(String, f64)> = Vec::with_capacity(sets.len());
    for set in sets {
        let (key, value) = split(set, "set", "NAME=VALUE")?;
        let is_key = |name: &Option<String>, id: Option<u16>| {
            name.as_deref() == Some(key) || id.is_some_and(|id| key == format!("@{id}"))
        };
        let Some(found) = entry.overrides.iter().find(|o| is_key(&o.name, o.id)) else {
            let there: Vec<_> = entry
                .overrides
                .iter()
                .map(|o| o.name.clone().unwrap_or_else(|| format!("@{}", o.id.unwrap_or(0))))
                .collect();
            let there = match &there[..] {
                [] => "the kernel has none".to_owned(),
                there => format!("there is: {}", there.join(", ")),
            };
            return Err(Failure::usage(format_args!("there is no override `{key}`, {there}")));
        };
        let number = numbers::override_value(found.ty, value)
            .map_err(|what| Failure::usage(format_args!("--set {key}: `{value}` is {what}")))?;
        let name = found.name.clone().unwrap_or_else(|| key.to_owned());
        if values.iter().any(|(other, _)| *other == name) {
            return Err(Failure::usage(format_args!("override `{key}` is set twice")));
        }
        values.push((name, number));
    }
    Ok(values)
}

/// `X[,Y[,Z]]`.
pub(super) fn groups(text: &str) -> Outcome<[u32; 3]> {
    let wrong =
        || Failure::usage(format_args!("--groups `{text}`: X[,Y[,Z]] is expected, whole numbers from 0 to 4294967295"));
    let sides: Vec<u32> =
        text.split(',').map(|side| side.trim().parse().map_err(|_| wrong())).collect::<Outcome<_>>()?;
    match sides[..] {
        [x] => Ok([x, 1, 1]),
        [x, y] => Ok([x, y, 1]),
        [x, y, z] => Ok([x, y, z]),
        _ => Err(wrong()),
    }
}

/// The groups of a file's kernel are never folded where they are over the limit: nobody says that it may be done.
pub(super) fn check_groups(groups: [u32; 3], limit: u32) -> Outcome {
    let of_each = format!("the device's max_workgroups_per_dimension of {limit}");
    if let Some(side) = groups.iter().find(|&&side| side > limit) {
        return Err(Failure::usage(format_args!("--groups: {side} is over {of_each}")));
    }
    // Each side may be in bounds where together they are past counting.
    let [x, y, z] = groups;
    match u64::from(x).checked_mul(y.into()).and_then(|plane| plane.checked_mul(z.into())) {
        Some(_) => Ok(()),
        None => Err(Failure::usage(format_args!(
            "--groups {x},{y},{z}: these are more than 2^64 - 1 workgroups in all, though each side is within {of_each}"
        ))),
    }
}
