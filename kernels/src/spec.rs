//! What is known of a kernel beside its sources: cases, the right answers, cost, and what may be done
//! with it. All data; [`crate::conformance`] runs it.

use std::fmt;

use wharf::{Job, Kernel, Value};

/// A kernel or plan of the library, and how to test and rate it.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The name: of the kernel and its WGSL entry point, or of the plan.
    pub name: &'static str,
    /// What it computes, in one line.
    pub summary: &'static str,
    /// What is launched.
    pub job: Job<'static>,
    /// A case of size `n`. What `n` counts is on the kernel's page; with [`Inputs::Random`] every side
    /// of a matrix is `n`.
    pub case: fn(n: usize, inputs: Inputs) -> Case,
    /// The right answers, serially and in f64 or integers: one for each answer that `answer` gives.
    pub oracle: fn(&Case) -> Vec<Expected>,
    /// What the caller makes of the outputs' contents, where they are not themselves the answer.
    pub answer: fn(Vec<Data>) -> Vec<Data>,
    /// What a random case of size `n` costs.
    pub cost: fn(n: u64) -> Cost,
    /// Sizes at which it might break: none, one, a workgroup and its neighbours, a prime, large.
    pub sizes: &'static [usize],
    /// How far answers repeat.
    pub class: Reproducibility,
    /// Whether the work may be split.
    pub split: Split,
}

impl Spec {
    /// The kernels it launches, in order.
    pub fn kernels(&self) -> Vec<&'static Kernel> {
        match self.job {
            Job::Kernel(kernel) => vec![kernel],
            Job::Plan(plan) => plan.steps.iter().map(|step| step.kernel).collect(),
        }
    }
}

/// What a case is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inputs {
    /// Small integers and quarters, which tell positions apart: the answer is the same to the last bit
    /// in any order and with or without fused multiply-add.
    Exact,
    /// Random numbers of this seed, with a derived bound on the error.
    Random(u64),
}

/// Inputs, parameters, and outputs before the launch.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its size.
    pub n: usize,
    /// What it was made of.
    pub inputs: Inputs,
    /// The storage bindings in order (for a plan, the caller's buffers).
    pub bindings: Vec<Binding>,
    /// The uniform parameters by name.
    pub args: Vec<(&'static str, Value)>,
}

impl Case {
    /// The contents of the binding of this name.
    ///
    /// # Panics
    /// Where there is none.
    pub fn data(&self, name: &str) -> &Data {
        let found = self.bindings.iter().find(|binding| binding.name == name);
        &found.unwrap_or_else(|| panic!("the case has no binding `{name}`")).data
    }

    /// The `u32` parameter of this name.
    ///
    /// # Panics
    /// Where there is none.
    pub fn u32(&self, name: &str) -> u32 {
        match self.args.iter().find(|(arg, _)| *arg == name) {
            Some((_, Value::U32(v))) => *v,
            other => panic!("`{name}` of the case is {other:?}, not a u32"),
        }
    }

    /// The `f32` parameter of this name.
    ///
    /// # Panics
    /// Where there is none.
    pub fn f32(&self, name: &str) -> f32 {
        match self.args.iter().find(|(arg, _)| *arg == name) {
            Some((_, Value::F32(v))) => *v,
            other => panic!("`{name}` of the case is {other:?}, not an f32"),
        }
    }

    /// 1 where rounding is allowed, 0 where the answer is exact: a factor on error bounds.
    pub(crate) fn slack(&self) -> f64 {
        if self.inputs == Inputs::Exact { 0.0 } else { 1.0 }
    }
}

/// One storage binding of a [`Case`].
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// Its name in the WGSL (of a plan, in its first and last step).
    pub name: &'static str,
    /// What is in it before the launch.
    pub data: Data,
    /// Whether it is read or written.
    pub role: Role,
}

/// What a kernel does with a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is only read.
    Input,
    /// It is written, all of it: what is there before must not matter, and is poison.
    Output,
    /// It is read and written.
    InOut,
}

impl Binding {
    /// A binding that is only read.
    pub fn input(name: &'static str, data: impl Into<Data>) -> Self {
        Self { name, data: data.into(), role: Role::Input }
    }

    /// A binding that is read and written.
    pub fn in_out(name: &'static str, data: impl Into<Data>) -> Self {
        Self { name, data: data.into(), role: Role::InOut }
    }

    /// `len` words of poison, to be written.
    pub fn output_u32(name: &'static str, len: usize) -> Self {
        Self { name, data: Data::U32(vec![0xDEAD_BEEF; len]), role: Role::Output }
    }

    /// `len` quiet NaNs, to be written.
    pub fn output_f32(name: &'static str, len: usize) -> Self {
        Self { name, data: Data::F32(vec![f32::NAN; len]), role: Role::Output }
    }
}

/// The elements of a buffer.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `f32`
    F32(Vec<f32>),
    /// `u32`, and atomics of it
    U32(Vec<u32>),
}

impl Data {
    /// Elements.
    pub fn len(&self) -> usize {
        self.bytes().len() / 4
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(v) => bytemuck::cast_slice(v),
            Self::U32(v) => bytemuck::cast_slice(v),
        }
    }

    /// The elements.
    ///
    /// # Panics
    /// Where they are of another type.
    pub fn f32s(&self) -> &[f32] {
        match self {
            Self::F32(v) => v,
            Self::U32(_) => panic!("u32 elements are taken for f32"),
        }
    }

    /// The elements.
    ///
    /// # Panics
    /// Where they are of another type.
    pub fn u32s(&self) -> &[u32] {
        match self {
            Self::U32(v) => v,
            Self::F32(_) => panic!("f32 elements are taken for u32"),
        }
    }
}

impl From<Vec<f32>> for Data {
    fn from(v: Vec<f32>) -> Self {
        Self::F32(v)
    }
}

impl From<Vec<u32>> for Data {
    fn from(v: Vec<u32>) -> Self {
        Self::U32(v)
    }
}

/// What an output must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Exactly these words.
    U32(Vec<u32>),
    /// These numbers, each within its own bound.
    F32(Vec<Near>),
}

/// A number and how far from it an answer may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// The number.
    pub value: f64,
    /// The most that an answer may differ from it.
    pub within: f64,
}

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:e}", self.value)?;
        if self.within > 0.0 { write!(f, " within {:e}", self.within) } else { Ok(()) }
    }
}

/// What a launch must at least do, whoever does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of buffers that are read and written, each counted once.
    pub bytes: u64,
    /// Floating point operations, or integer operations that stand for them.
    pub flops: u64,
    /// Barriers that each workgroup passes.
    pub barriers: u64,
}

/// How far answers repeat. On one device with the same workgroups they always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reproducibility {
    /// The same bits on every device, subnormal numbers apart.
    Anywhere,
    /// The same bits on the same kind of device; between kinds within the derived bound.
    DeviceKind,
}

/// Whether the work may be split into launches of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Element by element: parts of the outputs come from the same parts of the inputs.
    Elementwise,
    /// Parts of the inputs give partial results that are added.
    Reduce,
    /// It may not.
    None,
}
