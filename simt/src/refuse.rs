//! The closed list of what valid WGSL does not run here, and of how much of what does run is too much.
//!
//! What is on the list is refused before anything else looks at a module. [`Refusal::ALL`] and [`limits`] are
//! what the crate's documentation shows as `REFUSALS.md`.

use naga::{AddressSpace, Expression, Function, Handle, Span, Statement, TypeInner};

use crate::error::{Error, Location};

/// Something that WGSL has and compute on the CPU does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Texture,
    Sampler,
    Derivative,
    Discard,
    AccelerationStructure,
    RayQuery,
    RayTracing,
    RayPayload,
    TaskPayload,
    CooperativeMatrix,
    BindingArray,
    Immediate,
}

impl Refusal {
    /// All of them, in the order of the documentation.
    #[cfg(test)]
    const ALL: [Self; 12] = [
        Self::Texture,
        Self::Sampler,
        Self::Derivative,
        Self::Discard,
        Self::AccelerationStructure,
        Self::RayQuery,
        Self::RayTracing,
        Self::RayPayload,
        Self::TaskPayload,
        Self::CooperativeMatrix,
        Self::BindingArray,
        Self::Immediate,
    ];

    /// What the error calls it, and which WGSL leads to it.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Texture => {
                ("a texture", "`texture_*`, `textureSample*`, `textureLoad`, `textureStore`, `textureAtomic*`")
            }
            Self::Sampler => ("a sampler", "`sampler`, `sampler_comparison`"),
            Self::Derivative => ("a derivative", "`dpdx*`, `dpdy*`, `fwidth*`"),
            Self::Discard => ("`discard`", "`discard`"),
            Self::AccelerationStructure => ("an acceleration structure", "`acceleration_structure`"),
            Self::RayQuery => ("a ray query", "`ray_query`, `rayQuery*`, `getCommittedHitVertexPositions`"),
            Self::RayTracing => ("a ray tracing pipeline", "`traceRay`"),
            Self::RayPayload => ("a ray payload", "`var<ray_payload>`, `var<incoming_ray_payload>`"),
            Self::TaskPayload => ("a task payload", "`var<task_payload>`"),
            Self::CooperativeMatrix => {
                ("a cooperative matrix", "`coop_mat*`, `coopLoad*`, `coopMultiplyAdd`, `coopStore*`")
            }
            Self::BindingArray => ("a binding array", "`binding_array`"),
            Self::Immediate => ("`var<immediate>`", "`var<immediate>`"),
        }
    }

    /// What the error calls it.
    pub(crate) fn name(self) -> &'static str {
        self.words().0
    }

    fn at(self, span: Span, source: &str) -> Error {
        Error::Refused { at: Location::of(span, source), what: self.name().to_owned() }
    }
}

/// Why a variable of a module is refused to whoever uses it.
fn global(module: &naga::Module, variable: &naga::GlobalVariable) -> Option<Refusal> {
    match variable.space {
        // What has no bytes and is not known below is a texture of some new kind.
        AddressSpace::Handle => Some(opaque(module, variable.ty).unwrap_or(Refusal::Texture)),
        AddressSpace::Immediate => Some(Refusal::Immediate),
        AddressSpace::TaskPayload => Some(Refusal::TaskPayload),
        AddressSpace::RayPayload | AddressSpace::IncomingRayPayload => Some(Refusal::RayPayload),
        AddressSpace::Function
        | AddressSpace::Private
        | AddressSpace::WorkGroup
        | AddressSpace::Uniform
        | AddressSpace::Storage { .. } => opaque(module, variable.ty),
    }
}

/// What a type is that has no bytes in memory.
fn opaque(module: &naga::Module, ty: Handle<naga::Type>) -> Option<Refusal> {
    match module.types[ty].inner {
        TypeInner::Image { .. } => Some(Refusal::Texture),
        TypeInner::Sampler { .. } => Some(Refusal::Sampler),
        TypeInner::AccelerationStructure { .. } => Some(Refusal::AccelerationStructure),
        TypeInner::RayQuery { .. } => Some(Refusal::RayQuery),
        TypeInner::CooperativeMatrix { .. } => Some(Refusal::CooperativeMatrix),
        TypeInner::BindingArray { .. } => Some(Refusal::BindingArray),
        TypeInner::Scalar(_)
        | TypeInner::Vector { .. }
        | TypeInner::Matrix { .. }
        | TypeInner::Atomic(_)
        | TypeInner::Pointer { .. }
        | TypeInner::ValuePointer { .. }
        | TypeInner::Array { .. }
        | TypeInner::Struct { .. } => None,
    }
}

/// Refuses compute entry points that use something on the list, themselves or through a function. The module need
/// not be valid: of some of this naga says only that an entry point does it, and not where.
pub(crate) fn module(module: &naga::Module, source: &str) -> Result<(), Error> {
    let mut seen = vec![false; module.functions.len()];
    let compute = module.entry_points.iter().filter(|entry| entry.stage == naga::ShaderStage::Compute);
    for entry in compute {
        function(module, &entry.function, source, &mut seen)?;
    }
    Ok(())
}

fn function(module: &naga::Module, function: &Function, source: &str, seen: &mut [bool]) -> Result<(), Error> {
    for (handle, local) in function.local_variables.iter() {
        if let Some(what) = opaque(module, local.ty) {
            return Err(what.at(function.local_variables.get_span(handle), source));
        }
    }
    for (handle, value) in function.expressions.iter() {
        if let Expression::GlobalVariable(used) = *value
            && let Some(what) = global(module, &module.global_variables[used])
        {
            return Err(what.at(module.global_variables.get_span(used), source));
        }
        if let Some(what) = expression(value) {
            return Err(what.at(function.expressions.get_span(handle), source));
        }
    }
    block(module, &function.body, source, seen)
}

fn block(module: &naga::Module, body: &naga::Block, source: &str, seen: &mut [bool]) -> Result<(), Error> {
    for (item, span) in body.span_iter() {
        if let Some(what) = statement(item) {
            return Err(what.at(*span, source));
        }
        match item {
            Statement::Block(inner) => block(module, inner, source, seen)?,
            Statement::If { accept, reject, .. } => {
                block(module, accept, source, seen)?;
                block(module, reject, source, seen)?;
            }
            Statement::Switch { cases, .. } => {
                for case in cases {
                    block(module, &case.body, source, seen)?;
                }
            }
            Statement::Loop { body, continuing, .. } => {
                block(module, body, source, seen)?;
                block(module, continuing, source, seen)?;
            }
            Statement::Call { function: callee, .. } => {
                if std::mem::replace(&mut seen[callee.index()], true) {
                    continue;
                }
                function(module, &module.functions[*callee], source, seen)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Why an expression is refused. No wildcard: a new kind of naga's must be placed by hand.
pub(crate) fn expression(value: &Expression) -> Option<Refusal> {
    match value {
        Expression::ImageSample { .. } | Expression::ImageLoad { .. } | Expression::ImageQuery { .. } => {
            Some(Refusal::Texture)
        }
        Expression::Derivative { .. } => Some(Refusal::Derivative),
        Expression::RayQueryVertexPositions { .. }
        | Expression::RayQueryProceedResult
        | Expression::RayQueryGetIntersection { .. } => Some(Refusal::RayQuery),
        Expression::CooperativeLoad { .. } | Expression::CooperativeMultiplyAdd { .. } => {
            Some(Refusal::CooperativeMatrix)
        }
        Expression::Literal(_)
        | Expression::Constant(_)
        | Expression::Override(_)
        | Expression::ZeroValue(_)
        | Expression::Compose { .. }
        | Expression::Access { .. }
        | Expression::AccessIndex { .. }
        | Expression::Splat { .. }
        | Expression::Swizzle { .. }
        | Expression::FunctionArgument(_)
        | Expression::GlobalVariable(_)
        | Expression::LocalVariable(_)
        | Expression::Load { .. }
        | Expression::Unary { .. }
        | Expression::Binary { .. }
        | Expression::Select { .. }
        | Expression::Relational { .. }
        | Expression::Math { .. }
        | Expression::As { .. }
        | Expression::CallResult(_)
        | Expression::AtomicResult { .. }
        | Expression::WorkGroupUniformLoadResult { .. }
        | Expression::ArrayLength(_)
        | Expression::SubgroupBallotResult
        | Expression::SubgroupOperationResult { .. } => None,
    }
}

/// Why a statement is refused. No wildcard, as above.
pub(crate) fn statement(item: &Statement) -> Option<Refusal> {
    match item {
        Statement::ImageStore { .. } | Statement::ImageAtomic { .. } => Some(Refusal::Texture),
        Statement::RayQuery { .. } => Some(Refusal::RayQuery),
        Statement::RayPipelineFunction(_) => Some(Refusal::RayTracing),
        Statement::CooperativeStore { .. } => Some(Refusal::CooperativeMatrix),
        Statement::Kill => Some(Refusal::Discard),
        Statement::Emit(_)
        | Statement::Block(_)
        | Statement::If { .. }
        | Statement::Switch { .. }
        | Statement::Loop { .. }
        | Statement::Break
        | Statement::Continue
        | Statement::Return { .. }
        | Statement::ControlBarrier(_)
        | Statement::MemoryBarrier(_)
        | Statement::Store { .. }
        | Statement::Atomic { .. }
        | Statement::WorkGroupUniformLoad { .. }
        | Statement::Call { .. }
        | Statement::SubgroupBallot { .. }
        | Statement::SubgroupGather { .. }
        | Statement::SubgroupCollectiveOperation { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is too much, by what it is counted in; the code that refuses it names the constants.
    fn limits() -> Vec<(String, &'static str)> {
        let mut all =
            vec![(crate::depth::MOST.to_string(), "levels of brackets, blocks and operators that text nests")];
        #[cfg(feature = "interp")]
        all.extend([
            (crate::lower::MOST_LANES.to_string(), "invocations of a workgroup"),
            (crate::lower::MOST.to_string(), "instructions of an entry point, its calls inlined"),
            (crate::lower::DEEPEST.to_string(), "blocks and calls nested in one another"),
            (format!("{} MiB", crate::lower::MOST_WORKGROUP_WORDS >> 18), "of workgroup memory"),
            (crate::lower::MOST_LOCAL_WORDS.to_string(), "words of one variable of an invocation"),
            (format!("{} MiB", crate::interp::MOST_BYTES >> 20), "of registers of a workgroup that is interpreted"),
        ]);
        all
    }

    #[test]
    #[cfg_attr(not(feature = "interp"), ignore = "knows the limits only of what runs")]
    fn the_documentation_shows_the_list() {
        let mut text = "| refused | what leads to it |\n|---|---|\n".to_owned();
        for refusal in Refusal::ALL {
            let (name, wgsl) = refusal.words();
            text += &format!("| {name} | {wgsl} |\n");
        }
        text += "\n| at most | |\n|---|---|\n";
        for (most, what) in limits() {
            text += &format!("| {most} | {what} |\n");
        }
        assert_eq!(text, include_str!("../REFUSALS.md"), "REFUSALS.md should be:\n{text}");
    }
}
