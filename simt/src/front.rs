//! naga at the front door: text to a valid module, and overrides to their values.

use naga::back::PipelineConstants;
use naga::back::pipeline_constants::process_overrides;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use crate::depth;
use crate::error::{Error, Location, chain};

/// What naga must accept for compute, and for the other stages of a module that holds both. Binding
/// arrays, immediates, mesh and ray tracing stages are left out, so naga rejects them.
fn capabilities() -> Capabilities {
    Capabilities::FLOAT64
        | Capabilities::SHADER_INT16
        | Capabilities::SHADER_INT64
        | Capabilities::SHADER_INT64_ATOMIC_MIN_MAX
        | Capabilities::SHADER_INT64_ATOMIC_ALL_OPS
        | Capabilities::SHADER_FLOAT32_ATOMIC
        | Capabilities::SHADER_FLOAT16
        | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::SUBGROUP
        | Capabilities::SUBGROUP_BARRIER
        | Capabilities::MEMORY_DECORATION_COHERENT
        | Capabilities::MEMORY_DECORATION_VOLATILE
        | Capabilities::CUBE_ARRAY_TEXTURES
        | Capabilities::STORAGE_TEXTURE_16BIT_NORM_FORMATS
        | Capabilities::TEXTURE_ATOMIC
        | Capabilities::TEXTURE_INT64_ATOMIC
        | Capabilities::MULTISAMPLED_SHADING
        | Capabilities::PRIMITIVE_INDEX
        | Capabilities::CLIP_DISTANCES
        | Capabilities::DUAL_SOURCE_BLENDING
        | Capabilities::EARLY_DEPTH_TEST
        | Capabilities::RAY_QUERY
        | Capabilities::COOPERATIVE_MATRIX
}

/// Parses and validates.
pub(crate) fn parse(wgsl: &str) -> Result<(naga::Module, ModuleInfo), Error> {
    depth::check(wgsl)?;
    let mut options = naga::front::wgsl::Options::new();
    options.capabilities = capabilities();
    let module = naga::front::wgsl::Frontend::new_with_options(options).parse(wgsl).map_err(|error| Error::Parse {
        at: error.labels().next().and_then(|(span, _)| Location::of(span, wgsl)),
        message: error.message().replace('\n', " "),
        notes: error.notes().map(str::to_owned).collect(),
    })?;
    let info = Validator::new(ValidationFlags::all(), capabilities())
        .validate(&module)
        .map_err(|error| Error::Invalid { at: place(&error, wgsl), message: readable(&error, wgsl) })?;
    Ok((module, info))
}

/// What rule is broken. naga names things by their places in lists of its own; the source says it better.
fn readable(error: &naga::WithSpan<naga::valid::ValidationError>, wgsl: &str) -> String {
    let mut message = chain(error.as_inner());
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
fn place(error: &naga::WithSpan<naga::valid::ValidationError>, wgsl: &str) -> Option<Location> {
    if let Some((span, _)) = error.spans().next() {
        return Location::of(*span, wgsl);
    }
    let naga::valid::ValidationError::EntryPoint { name, .. } = error.as_inner() else {
        return None;
    };
    entry_place(name, wgsl)
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
) -> Result<(naga::Module, ModuleInfo), Error> {
    let stage = Some((naga::ShaderStage::Compute, entry));
    let run = || {
        process_overrides(module, info, stage, constants)
            .map(|(module, info)| (module.into_owned(), info.into_owned()))
            .map_err(|error| Error::Override { message: chain(&error) })
    };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    caught.unwrap_or_else(|_| Err(Error::Override { message: "naga gave up on these values".to_owned() }))
}
