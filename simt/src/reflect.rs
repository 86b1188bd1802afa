//! [`Module`]: WGSL, parsed and validated, and what it says of itself.

use naga::back::PipelineConstants;
use naga::valid::ModuleInfo;

use crate::error::{Error, Location};
use crate::front;
use crate::layout::{Layout, Scalar};

/// WGSL that was parsed, validated and found to hold nothing that does not run here.
#[derive(Debug)]
pub struct Module {
    source: String,
    pub(crate) ir: naga::Module,
    pub(crate) info: ModuleInfo,
    entries: Vec<Entry>,
}

/// A compute entry point.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Invocations of a workgroup along x, y and z.
    pub workgroup: [Dim; 3],
    /// The buffers it uses, itself or through functions, sorted by group and binding.
    pub bindings: Vec<Slot>,
    /// The pipeline overrides it uses, in the order of the source.
    pub overrides: Vec<Override>,
    /// Workgroup memory in bytes; none where an override decides it
    /// (then [`Module::workgroup_bytes`] says).
    pub workgroup_bytes: Option<u64>,
}

/// One side of a workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Known from the source.
    Fixed(u32),
    /// Decided by an override when compiled; [`Module::workgroup_size`] says.
    Overridable,
}

/// A buffer that an entry point binds.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// `@group`
    pub group: u32,
    /// `@binding`
    pub binding: u32,
    /// The variable's name.
    pub name: String,
    /// What the kernel may do with it.
    pub access: Access,
    /// How it lies in memory.
    pub layout: Layout,
    /// The fewest bytes that may be bound: one element where the length is open.
    pub min_bytes: u64,
}

/// What a kernel may do with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`, or `write`
    ReadWrite,
    /// `var<uniform>`
    Uniform,
}

/// A pipeline override.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Its name.
    pub name: Option<String>,
    /// Its `@id`. Where there is one, the override is set by `@id`, or by its name.
    pub id: Option<u16>,
    /// Its type.
    pub ty: Scalar,
    /// Its value when it is not set and all others have their defaults; none where the program must
    /// set it or one that it is computed from. A `bool` is 0 or 1.
    pub default: Option<f64>,
}

impl Module {
    /// Parses, validates and reflects WGSL.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] and [`Error::Invalid`] with naga's message, [`Error::Refused`] where a compute
    /// entry point uses something that does not run here. All say line and column where naga does.
    pub fn new(wgsl: &str) -> Result<Self, Error> {
        // naga reports its own broken assumptions by panicking. Whatever the text, the caller gets a value.
        let caught = std::panic::catch_unwind(|| front::parse(wgsl));
        let (ir, info) = caught.unwrap_or_else(|_| {
            // It does not say where; the text begins here.
            let at = Some(Location { line: 1, column: 1 });
            Err(Error::Invalid { at, message: "naga gave up on this text".to_owned() })
        })?;
        let entries = (ir.entry_points.iter().enumerate())
            .filter(|(_, entry)| entry.stage == naga::ShaderStage::Compute)
            .map(|(index, entry)| {
                let used = info.get_entry_point(index);
                Entry::of(&ir, &info, used, entry, wgsl)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { source: wgsl.to_owned(), ir, info, entries })
    }

    /// The WGSL this was made from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The compute entry points, in the order of the source. Other stages are not listed.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The compute entry point called `name`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchEntry`], which lists those there are.
    pub fn entry(&self, name: &str) -> Result<&Entry, Error> {
        self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| Error::NoSuchEntry {
            name: name.to_owned(),
            available: self.entries.iter().map(|entry| entry.name.clone()).collect(),
        })
    }

    /// Invocations of a workgroup along x, y and z, with overrides `set` by name or `@id`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchEntry`]; [`Error::Override`] where one is unknown, missing or does not fit.
    pub fn workgroup_size(&self, entry: &str, set: &[(&str, f64)]) -> Result<[u32; 3], Error> {
        let entry = self.entry(entry)?;
        if let [Dim::Fixed(x), Dim::Fixed(y), Dim::Fixed(z)] = entry.workgroup {
            self.constants(set)?;
            return Ok([x, y, z]);
        }
        Ok(self.resolve(&entry.name, set)?.0.entry_points[0].workgroup_size)
    }

    /// Bytes of workgroup memory, with overrides `set` by name or `@id`.
    ///
    /// # Errors
    ///
    /// As [`Module::workgroup_size`].
    pub fn workgroup_bytes(&self, entry: &str, set: &[(&str, f64)]) -> Result<u64, Error> {
        let entry = self.entry(entry)?;
        if let Some(bytes) = entry.workgroup_bytes {
            self.constants(set)?;
            return Ok(bytes);
        }
        let (module, info) = self.resolve(&entry.name, set)?;
        workgroup_bytes(&module, info.get_entry_point(0), true).ok_or_else(|| Error::Override {
            at: front::entry_place(&entry.name, &self.source),
            message: "the length of a workgroup array is still open".to_owned(),
        })
    }

    /// What pipelines know an override by that `set` names by name or `@id`: its id where it has one, else
    /// its name. None where the module has no such override; whether an entry point uses it does not matter.
    pub fn override_key(&self, set: &str) -> Option<String> {
        let found = &self.ir.overrides[self.override_called(set)?];
        found.id.map(|id| id.to_string()).or_else(|| found.name.clone())
    }

    fn override_called(&self, set: &str) -> Option<naga::Handle<naga::Override>> {
        let by_id = set.strip_prefix('@').unwrap_or(set).parse::<u16>().ok();
        let is_it = |o: &naga::Override| o.name.as_deref() == Some(set) || (by_id.is_some() && o.id == by_id);
        self.ir.overrides.iter().find_map(|(handle, found)| is_it(found).then_some(handle))
    }

    /// A copy of the module that holds this entry point alone, with every override replaced by its value.
    pub(crate) fn resolve(&self, entry: &str, set: &[(&str, f64)]) -> Result<(naga::Module, ModuleInfo), Error> {
        let constants = self.constants(set)?;
        front::resolve(&self.ir, &self.info, entry, &constants, &self.source)
    }

    /// The set overrides by the keys that naga looks for.
    fn constants(&self, set: &[(&str, f64)]) -> Result<PipelineConstants, Error> {
        let mut constants = PipelineConstants::default();
        for &(key, value) in set {
            let Some(naga_key) = self.override_key(key) else {
                return Err(Error::Override { at: None, message: format!("there is no `{key}`") });
            };
            if constants.insert(naga_key, value).is_some() {
                let at = self.override_called(key).map(|handle| self.ir.overrides.get_span(handle));
                let at = at.and_then(|span| Location::of(span, &self.source));
                return Err(Error::Override { at, message: format!("`{key}` is set twice") });
            }
        }
        Ok(constants)
    }
}

impl Entry {
    fn of(
        module: &naga::Module,
        info: &ModuleInfo,
        used: &naga::valid::FunctionInfo,
        entry: &naga::EntryPoint,
        source: &str,
    ) -> Result<Self, Error> {
        let mut bindings = Vec::new();
        for (handle, variable) in module.global_variables.iter() {
            let Some(place) = variable.binding.filter(|_| !used[handle].is_empty()) else {
                continue;
            };
            let access = match variable.space {
                naga::AddressSpace::Uniform => Access::Uniform,
                naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                    Access::ReadWrite
                }
                _ => Access::Read,
            };
            let layout = Layout::of(module, variable.ty, false).ok_or_else(|| Error::Refused {
                at: Location::of(module.global_variables.get_span(handle), source),
                what: "a binding without a memory layout".to_owned(),
            })?;
            bindings.push(Slot {
                group: place.group,
                binding: place.binding,
                name: variable.name.clone().unwrap_or_default(),
                access,
                min_bytes: layout.min_bytes(),
                layout,
            });
        }
        bindings.sort_by_key(|slot| (slot.group, slot.binding));
        let open = entry.workgroup_size_overrides.unwrap_or_default();
        let workgroup = [0, 1, 2].map(|axis| match open[axis] {
            Some(_) => Dim::Overridable,
            None => Dim::Fixed(entry.workgroup_size[axis]),
        });
        Ok(Self {
            name: entry.name.clone(),
            workgroup,
            bindings,
            overrides: overrides(module, info, &entry.name, source),
            workgroup_bytes: workgroup_bytes(module, used, false),
        })
    }
}

/// The overrides that are left once all that the entry point does not use is taken out.
fn overrides(module: &naga::Module, info: &ModuleInfo, entry: &str, source: &str) -> Vec<Override> {
    if module.overrides.is_empty() {
        return Vec::new();
    }
    let mut kept = module.clone();
    kept.entry_points.retain(|e| e.stage == naga::ShaderStage::Compute && e.name == entry);
    naga::compact::compact(&mut kept, naga::compact::KeepUnused::No);
    let resolved = front::resolve(module, info, entry, &PipelineConstants::default(), source).ok();
    (kept.overrides.iter())
        .filter(|(_, found)| found.name.is_some() || found.id.is_some())
        .filter_map(|(_, found)| {
            let naga::TypeInner::Scalar(scalar) = kept.types[found.ty].inner else {
                return None;
            };
            let same = |other: &&naga::Override| (&other.name, other.id) == (&found.name, found.id);
            let default = match &resolved {
                Some((resolved, _)) => (resolved.overrides.iter().map(|(_, other)| other))
                    .find(same)
                    .and_then(|other| value(resolved, other.init?)),
                None => found.init.and_then(|init| value(&kept, init)),
            };
            Some(Override { name: found.name.clone(), id: found.id, ty: Scalar::of(scalar)?, default })
        })
        .collect()
}

/// The number a constant expression stands for, where it is a literal or names a constant that is.
fn value(module: &naga::Module, mut init: naga::Handle<naga::Expression>) -> Option<f64> {
    loop {
        match module.global_expressions[init] {
            naga::Expression::Constant(constant) => init = module.constants[constant].init,
            naga::Expression::ZeroValue(_) => return Some(0.0),
            naga::Expression::Literal(literal) => return number(literal),
            _ => return None,
        }
    }
}

fn number(literal: naga::Literal) -> Option<f64> {
    use naga::Literal as L;
    Some(match literal {
        L::F64(v) | L::AbstractFloat(v) => v,
        L::F32(v) => v.into(),
        L::F16(v) => v.to_f64(),
        L::U16(v) => v.into(),
        L::I16(v) => v.into(),
        L::U32(v) => v.into(),
        L::I32(v) => v.into(),
        L::U64(v) => v as f64,
        L::I64(v) | L::AbstractInt(v) => v as f64,
        L::Bool(v) => f64::from(u8::from(v)),
    })
}

/// Bytes of all workgroup variables in use, each aligned to 16; none where an override that is not
/// `resolved` decides a length.
fn workgroup_bytes(module: &naga::Module, used: &naga::valid::FunctionInfo, resolved: bool) -> Option<u64> {
    let mut bytes = 0_u64;
    for (handle, variable) in module.global_variables.iter() {
        if variable.space == naga::AddressSpace::WorkGroup && !used[handle].is_empty() {
            let own = Layout::of(module, variable.ty, resolved)?.bytes(0);
            bytes = bytes.saturating_add(own.checked_next_multiple_of(16)?);
        }
    }
    Some(bytes)
}
