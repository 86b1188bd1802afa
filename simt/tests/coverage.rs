//! Every kind of expression, statement and function that naga has is in the corpus, refused, or has no
//! spelling in WGSL. The matches are exhaustive: a new kind of naga's does not compile before it is placed.

use std::collections::BTreeSet;

use naga::{
    AtomicFunction, BinaryOperator, CollectiveOperation, Expression, GatherMode, MathFunction, RelationalFunction,
    Statement, SubgroupOperation, UnaryOperator,
};

/// Where a kind is accounted for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Some program of the corpus uses it.
    Corpus,
    /// It is on the closed list of refusals, and some program of `refused` has it.
    Refused,
    /// No compute program in WGSL leads to it: naga has it for other languages or earlier steps.
    NotInWgsl,
}
use Place::{Corpus, NotInWgsl, Refused};

/// From one table the match that names a kind, and the list of all names.
macro_rules! kinds {
    ($name:ident, $all:ident, $type:ty, $($pattern:pat => $label:literal $place:ident),* $(,)?) => {
        fn $name(kind: &$type) -> &'static str {
            match kind { $($pattern => $label),* }
        }
        const $all: &[(&str, Place)] = &[$(($label, $place)),*];
    };
}

kinds!(expression, EXPRESSIONS, Expression,
    Expression::Literal(_) => "Literal" Corpus,
    Expression::Constant(_) => "Constant" Corpus,
    // Replaced by its value before anything is compiled; the corpus has overrides.
    Expression::Override(_) => "Override" Corpus,
    Expression::ZeroValue(_) => "ZeroValue" Corpus,
    Expression::Compose { .. } => "Compose" Corpus,
    Expression::Access { .. } => "Access" Corpus,
    Expression::AccessIndex { .. } => "AccessIndex" Corpus,
    Expression::Splat { .. } => "Splat" Corpus,
    Expression::Swizzle { .. } => "Swizzle" Corpus,
    Expression::FunctionArgument(_) => "FunctionArgument" Corpus,
    Expression::GlobalVariable(_) => "GlobalVariable" Corpus,
    Expression::LocalVariable(_) => "LocalVariable" Corpus,
    Expression::Load { .. } => "Load" Corpus,
    Expression::ImageSample { .. } => "ImageSample" Refused,
    Expression::ImageLoad { .. } => "ImageLoad" Refused,
    Expression::ImageQuery { .. } => "ImageQuery" Refused,
    Expression::Unary { .. } => "Unary" Corpus,
    Expression::Binary { .. } => "Binary" Corpus,
    Expression::Select { .. } => "Select" Corpus,
    Expression::Derivative { .. } => "Derivative" Refused,
    Expression::Relational { .. } => "Relational" Corpus,
    Expression::Math { .. } => "Math" Corpus,
    Expression::As { .. } => "As" Corpus,
    Expression::CallResult(_) => "CallResult" Corpus,
    Expression::AtomicResult { .. } => "AtomicResult" Corpus,
    Expression::WorkGroupUniformLoadResult { .. } => "WorkGroupUniformLoadResult" Corpus,
    Expression::ArrayLength(_) => "ArrayLength" Corpus,
    Expression::RayQueryVertexPositions { .. } => "RayQueryVertexPositions" Refused,
    Expression::RayQueryProceedResult => "RayQueryProceedResult" Refused,
    Expression::RayQueryGetIntersection { .. } => "RayQueryGetIntersection" Refused,
    Expression::SubgroupBallotResult => "SubgroupBallotResult" Corpus,
    Expression::SubgroupOperationResult { .. } => "SubgroupOperationResult" Corpus,
    Expression::CooperativeLoad { .. } => "CooperativeLoad" Refused,
    Expression::CooperativeMultiplyAdd { .. } => "CooperativeMultiplyAdd" Refused,
);

kinds!(statement, STATEMENTS, Statement,
    Statement::Emit(_) => "Emit" Corpus,
    Statement::Block(_) => "Block" Corpus,
    Statement::If { .. } => "If" Corpus,
    Statement::Switch { .. } => "Switch" Corpus,
    Statement::Loop { .. } => "Loop" Corpus,
    Statement::Break => "Break" Corpus,
    Statement::Continue => "Continue" Corpus,
    Statement::Return { .. } => "Return" Corpus,
    Statement::Kill => "Kill" Refused,
    Statement::ControlBarrier(_) => "ControlBarrier" Corpus,
    Statement::MemoryBarrier(_) => "MemoryBarrier" NotInWgsl,
    Statement::Store { .. } => "Store" Corpus,
    Statement::ImageStore { .. } => "ImageStore" Refused,
    Statement::Atomic { .. } => "Atomic" Corpus,
    Statement::ImageAtomic { .. } => "ImageAtomic" Refused,
    Statement::WorkGroupUniformLoad { .. } => "WorkGroupUniformLoad" Corpus,
    Statement::Call { .. } => "Call" Corpus,
    Statement::RayQuery { .. } => "RayQuery" Refused,
    Statement::RayPipelineFunction(_) => "RayPipelineFunction" Refused,
    Statement::SubgroupBallot { .. } => "SubgroupBallot" Corpus,
    Statement::SubgroupGather { .. } => "SubgroupGather" Corpus,
    Statement::SubgroupCollectiveOperation { .. } => "SubgroupCollectiveOperation" Corpus,
    Statement::CooperativeStore { .. } => "CooperativeStore" Refused,
);

kinds!(unary, UNARY, UnaryOperator,
    UnaryOperator::Negate => "Negate" Corpus,
    UnaryOperator::LogicalNot => "LogicalNot" Corpus,
    UnaryOperator::BitwiseNot => "BitwiseNot" Corpus,
);

kinds!(binary, BINARY, BinaryOperator,
    BinaryOperator::Add => "Add" Corpus,
    BinaryOperator::Subtract => "Subtract" Corpus,
    BinaryOperator::Multiply => "Multiply" Corpus,
    BinaryOperator::Divide => "Divide" Corpus,
    BinaryOperator::Modulo => "Modulo" Corpus,
    BinaryOperator::Equal => "Equal" Corpus,
    BinaryOperator::NotEqual => "NotEqual" Corpus,
    BinaryOperator::Less => "Less" Corpus,
    BinaryOperator::LessEqual => "LessEqual" Corpus,
    BinaryOperator::Greater => "Greater" Corpus,
    BinaryOperator::GreaterEqual => "GreaterEqual" Corpus,
    BinaryOperator::And => "And" Corpus,
    BinaryOperator::ExclusiveOr => "ExclusiveOr" Corpus,
    BinaryOperator::InclusiveOr => "InclusiveOr" Corpus,
    // In functions WGSL's short circuits arrive as `if` statements; overrides are computed from them.
    BinaryOperator::LogicalAnd => "LogicalAnd" Corpus,
    BinaryOperator::LogicalOr => "LogicalOr" Corpus,
    BinaryOperator::ShiftLeft => "ShiftLeft" Corpus,
    BinaryOperator::ShiftRight => "ShiftRight" Corpus,
);

kinds!(relational, RELATIONAL, RelationalFunction,
    RelationalFunction::All => "All" Corpus,
    RelationalFunction::Any => "Any" Corpus,
    RelationalFunction::IsNan => "IsNan" NotInWgsl,
    RelationalFunction::IsInf => "IsInf" NotInWgsl,
);

kinds!(atomic, ATOMIC, AtomicFunction,
    AtomicFunction::Add => "Add" Corpus,
    AtomicFunction::Subtract => "Subtract" Corpus,
    AtomicFunction::And => "And" Corpus,
    AtomicFunction::ExclusiveOr => "ExclusiveOr" Corpus,
    AtomicFunction::InclusiveOr => "InclusiveOr" Corpus,
    AtomicFunction::Min => "Min" Corpus,
    AtomicFunction::Max => "Max" Corpus,
    AtomicFunction::Exchange { compare: None } => "Exchange" Corpus,
    AtomicFunction::Exchange { compare: Some(_) } => "CompareExchange" Corpus,
);

kinds!(gather, GATHER, GatherMode,
    GatherMode::BroadcastFirst => "BroadcastFirst" Corpus,
    GatherMode::Broadcast(_) => "Broadcast" Corpus,
    GatherMode::Shuffle(_) => "Shuffle" Corpus,
    GatherMode::ShuffleDown(_) => "ShuffleDown" Corpus,
    GatherMode::ShuffleUp(_) => "ShuffleUp" Corpus,
    GatherMode::ShuffleXor(_) => "ShuffleXor" Corpus,
    GatherMode::QuadBroadcast(_) => "QuadBroadcast" Corpus,
    GatherMode::QuadSwap(_) => "QuadSwap" Corpus,
);

kinds!(subgroup, SUBGROUP, SubgroupOperation,
    SubgroupOperation::All => "All" Corpus,
    SubgroupOperation::Any => "Any" Corpus,
    SubgroupOperation::Add => "Add" Corpus,
    SubgroupOperation::Mul => "Mul" Corpus,
    SubgroupOperation::Min => "Min" Corpus,
    SubgroupOperation::Max => "Max" Corpus,
    SubgroupOperation::And => "And" Corpus,
    SubgroupOperation::Or => "Or" Corpus,
    SubgroupOperation::Xor => "Xor" Corpus,
);

kinds!(collective, COLLECTIVE, CollectiveOperation,
    CollectiveOperation::Reduce => "Reduce" Corpus,
    CollectiveOperation::InclusiveScan => "InclusiveScan" Corpus,
    CollectiveOperation::ExclusiveScan => "ExclusiveScan" Corpus,
);

/// A table for an enum whose variants have no fields: the label is the variant.
macro_rules! functions {
    ($($name:ident $place:ident),* $(,)?) => {
        fn math(function: &MathFunction) -> &'static str {
            match function { $(MathFunction::$name => stringify!($name)),* }
        }
        const MATH: &[(&str, Place)] = &[$((stringify!($name), $place)),*];
    };
}

functions!(
    Abs Corpus, Min Corpus, Max Corpus, Clamp Corpus, Saturate Corpus, Cos Corpus, Cosh Corpus, Sin Corpus,
    Sinh Corpus, Tan Corpus, Tanh Corpus, Acos Corpus, Asin Corpus, Atan Corpus, Atan2 Corpus, Asinh Corpus,
    Acosh Corpus, Atanh Corpus, Radians Corpus, Degrees Corpus, Ceil Corpus, Floor Corpus, Round Corpus,
    Fract Corpus, Trunc Corpus, Modf Corpus, Frexp Corpus, Ldexp Corpus, Exp Corpus, Exp2 Corpus, Log Corpus,
    Log2 Corpus, Pow Corpus, Dot Corpus, Dot4I8Packed Corpus, Dot4U8Packed Corpus, Outer NotInWgsl,
    Cross Corpus, Distance Corpus, Length Corpus, Normalize Corpus, FaceForward Corpus, Reflect Corpus,
    Refract Corpus, Sign Corpus, Fma Corpus, Mix Corpus, Step Corpus, SmoothStep Corpus, Sqrt Corpus,
    InverseSqrt Corpus, Inverse NotInWgsl, Transpose Corpus, Determinant Corpus, QuantizeToF16 Corpus,
    CountTrailingZeros Corpus, CountLeadingZeros Corpus, CountOneBits Corpus, ReverseBits Corpus,
    ExtractBits Corpus, InsertBits Corpus, FirstTrailingBit Corpus, FirstLeadingBit Corpus,
    Pack4x8snorm Corpus, Pack4x8unorm Corpus, Pack2x16snorm Corpus, Pack2x16unorm Corpus,
    Pack2x16float Corpus, Pack4xI8 Corpus, Pack4xU8 Corpus, Pack4xI8Clamp Corpus, Pack4xU8Clamp Corpus,
    Unpack4x8snorm Corpus, Unpack4x8unorm Corpus, Unpack2x16snorm Corpus, Unpack2x16unorm Corpus,
    Unpack2x16float Corpus, Unpack4xI8 Corpus, Unpack4xU8 Corpus,
);

/// The kinds that were met, as `table.name`.
#[derive(Default)]
struct Met(BTreeSet<String>);

impl Met {
    /// What the programs of a folder have. Those that are no WGSL at all have nothing.
    fn of(folder: &str) -> Self {
        let mut met = Self::default();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let mut options = naga::front::wgsl::Options::new();
            options.capabilities = naga::valid::Capabilities::all();
            let Ok(module) = naga::front::wgsl::Frontend::new_with_options(options).parse(&text) else {
                assert!(path.to_string_lossy().contains("refused"), "{} is no WGSL", path.display());
                continue;
            };
            module.global_expressions.iter().for_each(|(_, value)| met.expression(value));
            let functions = module.functions.iter().map(|(_, function)| function);
            for function in functions.chain(module.entry_points.iter().map(|entry| &entry.function)) {
                function.expressions.iter().for_each(|(_, value)| met.expression(value));
                met.block(&function.body);
            }
        }
        met
    }

    fn add(&mut self, table: &str, name: &str) {
        self.0.insert(format!("{table}.{name}"));
    }

    fn expression(&mut self, value: &Expression) {
        self.add("expression", expression(value));
        match value {
            Expression::Unary { op, .. } => self.add("unary", unary(op)),
            Expression::Binary { op, .. } => self.add("binary", binary(op)),
            Expression::Relational { fun, .. } => self.add("relational", relational(fun)),
            Expression::Math { fun, .. } => self.add("math", math(fun)),
            _ => {}
        }
    }

    fn block(&mut self, block: &naga::Block) {
        for item in block {
            self.add("statement", statement(item));
            match item {
                Statement::Block(inner) => self.block(inner),
                Statement::If { accept, reject, .. } => {
                    self.block(accept);
                    self.block(reject);
                }
                Statement::Switch { cases, .. } => cases.iter().for_each(|case| self.block(&case.body)),
                Statement::Loop { body, continuing, .. } => {
                    self.block(body);
                    self.block(continuing);
                }
                Statement::Atomic { fun, .. } => self.add("atomic", atomic(fun)),
                Statement::SubgroupGather { mode, .. } => self.add("gather", gather(mode)),
                Statement::SubgroupCollectiveOperation { op, collective_op, .. } => {
                    self.add("subgroup", subgroup(op));
                    self.add("collective", collective(collective_op));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn every_kind_that_naga_has_is_in_the_corpus_or_refused() {
    let (corpus, refused) = (Met::of("tests/corpus"), Met::of("tests/refused"));
    let tables = [
        ("expression", EXPRESSIONS),
        ("statement", STATEMENTS),
        ("unary", UNARY),
        ("binary", BINARY),
        ("relational", RELATIONAL),
        ("math", MATH),
        ("atomic", ATOMIC),
        ("gather", GATHER),
        ("subgroup", SUBGROUP),
        ("collective", COLLECTIVE),
    ];
    let mut wrong = Vec::new();
    for (table, kinds) in tables {
        for &(name, place) in kinds {
            let kind = format!("{table}.{name}");
            let (runs, is_refused) = (corpus.0.contains(&kind), refused.0.contains(&kind));
            if runs != (place == Corpus) || place == Refused && !is_refused {
                wrong.push(format!("{kind} is listed as {place:?}; in the corpus: {runs}, refused: {is_refused}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
