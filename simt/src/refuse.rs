//! The closed list of what valid WGSL does not run here, found before anything else looks at a module.

use naga::{AddressSpace, Expression, Function, Handle, Span, Statement, TypeInner};

use crate::error::{Error, Location};

/// Refuses a compute entry point that uses, itself or through a function, something on the list.
pub(crate) fn entry(
    module: &naga::Module,
    info: &naga::valid::FunctionInfo,
    entry: &naga::EntryPoint,
    source: &str,
) -> Result<(), Error> {
    for (handle, variable) in module.global_variables.iter() {
        if info[handle].is_empty() {
            continue;
        }
        let what = match variable.space {
            AddressSpace::Handle => opaque(module, variable.ty).unwrap_or("an opaque resource"),
            AddressSpace::Immediate => "`var<immediate>`",
            AddressSpace::TaskPayload => "a task payload",
            AddressSpace::RayPayload | AddressSpace::IncomingRayPayload => "a ray payload",
            AddressSpace::Function
            | AddressSpace::Private
            | AddressSpace::WorkGroup
            | AddressSpace::Uniform
            | AddressSpace::Storage { .. } => match opaque(module, variable.ty) {
                Some(what) => what,
                None => continue,
            },
        };
        return Err(refused(module.global_variables.get_span(handle), what, source));
    }
    let mut seen = vec![false; module.functions.len()];
    function(module, &entry.function, source, &mut seen)
}

fn refused(span: Span, what: &str, source: &str) -> Error {
    Error::Refused { at: Location::of(span, source), what: what.to_owned() }
}

/// What a type is called that has no bytes in memory.
fn opaque(module: &naga::Module, ty: Handle<naga::Type>) -> Option<&'static str> {
    match module.types[ty].inner {
        TypeInner::Image { .. } => Some("a texture"),
        TypeInner::Sampler { .. } => Some("a sampler"),
        TypeInner::AccelerationStructure { .. } => Some("an acceleration structure"),
        TypeInner::RayQuery { .. } => Some("a ray query"),
        TypeInner::CooperativeMatrix { .. } => Some("a cooperative matrix"),
        TypeInner::BindingArray { .. } => Some("a binding array"),
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

fn function(module: &naga::Module, function: &Function, source: &str, seen: &mut [bool]) -> Result<(), Error> {
    for (handle, local) in function.local_variables.iter() {
        if let Some(what) = opaque(module, local.ty) {
            return Err(refused(function.local_variables.get_span(handle), what, source));
        }
    }
    for (handle, value) in function.expressions.iter() {
        if let Some(what) = expression(value) {
            return Err(refused(function.expressions.get_span(handle), what, source));
        }
    }
    block(module, &function.body, source, seen)
}

fn block(module: &naga::Module, body: &naga::Block, source: &str, seen: &mut [bool]) -> Result<(), Error> {
    for (item, span) in body.span_iter() {
        if let Some(what) = statement(item) {
            return Err(refused(*span, what, source));
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

/// The name of a refused expression. No wildcard: a new kind of naga's must be placed by hand.
pub(crate) fn expression(value: &Expression) -> Option<&'static str> {
    match value {
        Expression::ImageSample { .. } | Expression::ImageLoad { .. } | Expression::ImageQuery { .. } => {
            Some("a texture")
        }
        Expression::Derivative { .. } => Some("a derivative"),
        Expression::RayQueryVertexPositions { .. }
        | Expression::RayQueryProceedResult
        | Expression::RayQueryGetIntersection { .. } => Some("a ray query"),
        Expression::CooperativeLoad { .. } | Expression::CooperativeMultiplyAdd { .. } => Some("a cooperative matrix"),
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

/// The name of a refused statement. No wildcard, as above.
pub(crate) fn statement(item: &Statement) -> Option<&'static str> {
    match item {
        Statement::ImageStore { .. } | Statement::ImageAtomic { .. } => Some("a texture"),
        Statement::RayQuery { .. } | Statement::RayPipelineFunction(_) => Some("a ray query"),
        Statement::CooperativeStore { .. } => Some("a cooperative matrix"),
        Statement::Kill => Some("`discard`"),
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
