//! naga at the front door: text to a valid module, and overrides to their values.

use naga::back::PipelineConstants;
use naga::back::pipeline_constants::{PipelineConstantError, process_overrides};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use crate::depth;
use crate::error::{Error, Location, chain};
use crate::refuse;

/// Parses, refuses and validates. naga is to accept all that it knows: what does not run here is refused by a list of
/// our own, which says where it stands, and other stages of the module may do what they like.
pub(crate) fn parse(wgsl: &str) -> Result<(naga::Module, ModuleInfo), Error> {
    depth::check(wgsl)?;
    let mut options = naga::front::wgsl::Options::new();
    options.capabilities = Capabilities::all();
    let module = naga::front::wgsl::Frontend::new_with_options(options).parse(wgsl).map_err(|error| Error::Parse {
        at: error.labels().next().and_then(|(span, _)| Location::of(span, wgsl)),
        message: error.message().replace('\n', " "),
        notes: error.notes().map(str::to_owned).collect(),
    })?;
    refuse::module(&module, wgsl)?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| Error::Invalid { at: place(&error, &module, wgsl), message: readable(&error, wgsl) })?;
    Ok((module, info))
}

/// What rule is broken. naga names things by their places in lists of its own; the source says it better.
fn readable(error: &naga::WithSpan<naga::valid::ValidationError>, wgsl: &str) -> String {
    let mut message = chain(error.as_inner());
    if let naga::valid::ValidationError::Layouter(error) = error.as_inner() {
        message = message.replacen(&format!("type {:?}", error.ty), "this type", 1);
    }
    // What has a name is named beside its place.
    while let Some(end) = message.find("] '")
        && let Some(start) = message[..end].rfind(" [")
    {
        message.replace_range(start..=end, "");
    }
    for (span, label) in error.spans() {
        let text = span.to_range().and_then(|range| wgsl.get(range)).unwrap_or_default();
        if let Some((kind, place)) = label.rsplit_once(' ')
            && (kind.ends_with("Expression") || kind.ends_with("GlobalVariable"))
            && (1..=60).contains(&text.len())
            && !text.contains('\n')
        {
            message = message.replacen(place, &format!("`{text}`"), 1);
        }
    }
    message
}

/// Where naga found a rule broken. Of some faults of an entry point it keeps only the name.
fn place(error: &naga::WithSpan<naga::valid::ValidationError>, module: &naga::Module, wgsl: &str) -> Option<Location> {
    if let Some((span, _)) = error.spans().next() {
        return Location::of(*span, wgsl);
    }
    match error.as_inner() {
        naga::valid::ValidationError::EntryPoint { name, .. } => entry_place(name, wgsl),
        naga::valid::ValidationError::Layouter(error) => Location::of(span_of_type(module, error.ty), wgsl),
        _ => None,
    }
}

/// Where a type is declared or, where it has no declaration of its own, a variable of it.
fn span_of_type(module: &naga::Module, ty: naga::Handle<naga::Type>) -> naga::Span {
    let entries = module.entry_points.iter().map(|entry| &entry.function);
    let functions = module.functions.iter().map(|(_, function)| function).chain(entries);
    let mut locals = functions.flat_map(|function| {
        let of_type = function.local_variables.iter().find(|(_, local)| local.ty == ty);
        of_type.map(|(handle, _)| function.local_variables.get_span(handle))
    });
    let mut globals = module.global_variables.iter().filter(|(_, global)| global.ty == ty);
    let declared = Some(module.types.get_span(ty)).filter(|span| span.is_defined());
    let global = || globals.next().map(|(handle, _)| module.global_variables.get_span(handle));
    declared.or_else(global).or_else(|| locals.next()).unwrap_or_default()
}

/// Where the name of an entry point stands, of which naga keeps no span.
pub(crate) fn entry_place(name: &str, wgsl: &str) -> Option<Location> {
    let mut words = wgsl.match_indices("fn").filter_map(|(at, _)| {
        let rest = &wgsl[at + 2..];
        let found = rest.trim_start();
        let start = wgsl.len() - found.len();
        let after = found.strip_prefix(name)?.trim_start();
        (after.starts_with('(') && found.len() < rest.len()).then_some(start)
    });
    Location::of(naga::Span::from(words.next()?..wgsl.len()), wgsl)
}

/// The module with this entry point alone and every override replaced by its value.
pub(crate) fn resolve(
    module: &naga::Module,
    info: &ModuleInfo,
    entry: &str,
    constants: &PipelineConstants,
    source: &str,
) -> Result<(naga::Module, ModuleInfo), Error> {
    let stage = Some((naga::ShaderStage::Compute, entry));
    let run = || {
        process_overrides(module, info, stage, constants)
            .map(|(module, info)| (module.into_owned(), info.into_owned()))
            .map_err(|error| override_error(module, entry, constants, source, &error))
    };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    caught.unwrap_or_else(|_| {
        let message = "naga gave up on these values".to_owned();
        Err(Error::Override { at: entry_place(entry, source), message })
    })
}

/// Which override naga means, which it says for some errors only, and where that stands.
fn override_error(
    module: &naga::Module,
    entry: &str,
    constants: &PipelineConstants,
    source: &str,
    error: &PipelineConstantError,
) -> Error {
    use PipelineConstantError as E;
    let key = |found: &naga::Override| found.id.map(|id| id.to_string()).or_else(|| found.name.clone());
    let mut all = module.overrides.iter();
    let culprit = match error {
        E::MissingValue(missing) => all.find(|(_, found)| key(found).as_ref() == Some(missing)),
        E::SrcNeedsToBeFinite | E::DstRangeTooSmall => all.find(|(_, found)| {
            let value = key(found).and_then(|key| constants.get(&key));
            value.is_some_and(|&value| !holds(&module.types[found.ty].inner, value))
        }),
        _ => None,
    };
    let mut message = chain(error);
    let at = match (culprit, error) {
        (Some((handle, found)), _) => {
            if let (Some(name), false) = (&found.name, matches!(error, E::MissingValue(_))) {
                message = format!("`{name}`: {message}");
            }
            Location::of(module.overrides.get_span(handle), source)
        }
        (None, E::ValidationError(error)) => error.spans().next().and_then(|(span, _)| Location::of(*span, source)),
        _ => None,
    };
    Error::Override { at: at.or_else(|| entry_place(entry, source)), message }
}

/// Whether an override of this type can have this value.
fn holds(ty: &naga::TypeInner, value: f64) -> bool {
    let naga::TypeInner::Scalar(naga::Scalar { kind, width }) = *ty else {
        return false;
    };
    let bits = 8 * i32::from(width);
    match kind {
        naga::ScalarKind::Sint => {
            value.is_finite() && (-2_f64.powi(bits - 1)..2_f64.powi(bits - 1)).contains(&value.trunc())
        }
        naga::ScalarKind::Uint => value.is_finite() && (0.0..2_f64.powi(bits)).contains(&value.trunc()),
        naga::ScalarKind::Float if width == 2 => value.abs() < 65520.0,
        naga::ScalarKind::Float if width == 4 => value.is_finite() && (value as f32).is_finite(),
        naga::ScalarKind::Float => value.is_finite(),
        _ => true,
    }
}
