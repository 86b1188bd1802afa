//! Runs cases on devices and compares what comes back with the oracle: for tests, benches and the
//! command line.
//!
//! ```
//! use wharf::Device;
//! use wharf_kernels::{Inputs, conformance, find};
//!
//! let device = Device::open("cpu")?;
//! let spec = find("saxpy").expect("in the library");
//! let case = (spec.case)(1000, Inputs::Exact);
//! let answers = conformance::run(spec, &device, &case)?;
//! conformance::compare(&(spec.oracle)(&case), &answers).expect("the oracle agrees");
//! # Ok::<(), wharf::Error>(())
//! ```

use wharf::{Buffer, Device, Launch, Result, Ticket};

use crate::spec::{Case, Data, Expected, Role, Spec};

/// Runs a case and gives its answers: the written bindings in order, as [`Spec::answer`] reads them.
///
/// # Errors
/// Whatever the device answers.
pub fn run(spec: &Spec, device: &Device, case: &Case) -> Result<Vec<Data>> {
    let placed = Placed::new(device, case)?;
    placed.launch(spec, case)?.wait().ok()?;
    Ok((spec.answer)(placed.outputs()?))
}

/// A case whose buffers are on a device, to be launched once or often.
#[derive(Debug)]
pub struct Placed {
    device: Device,
    buffers: Vec<(Role, Typed)>,
}

#[derive(Debug)]
enum Typed {
    F32(Buffer<f32>),
    U32(Buffer<u32>),
}

impl Placed {
    /// Uploads all bindings of the case, outputs with their poison.
    ///
    /// # Errors
    /// Where the device has no memory for them, or an upload fails.
    pub fn new(device: &Device, case: &Case) -> Result<Self> {
        let place = |data: &Data| -> Result<Typed> {
            Ok(match data {
                Data::F32(v) => Typed::F32(placed(device, v)?),
                Data::U32(v) => Typed::U32(placed(device, v)?),
            })
        };
        let buffers = case.bindings.iter().map(|binding| Ok((binding.role, place(&binding.data)?)));
        Ok(Self { device: device.clone(), buffers: buffers.collect::<Result<_>>()? })
    }

    /// One launch over the buffers as they are now.
    ///
    /// # Errors
    /// As [`wharf::Launch::run`].
    pub fn launch(&self, spec: &Spec, case: &Case) -> Result<Ticket<()>> {
        self.described(spec, case).run()
    }

    /// One launch with so many workgroups.
    ///
    /// # Errors
    /// As [`wharf::Launch::run`].
    pub fn launch_with(&self, spec: &Spec, case: &Case, groups: [u32; 3]) -> Result<Ticket<()>> {
        self.described(spec, case).groups(groups).run()
    }

    fn described<'a>(&'a self, spec: &'a Spec, case: &Case) -> Launch<'a> {
        let mut launch = self.device.launch(&spec.job);
        for (_, buffer) in &self.buffers {
            launch = match buffer {
                Typed::F32(buffer) => launch.bind(buffer),
                Typed::U32(buffer) => launch.bind(buffer),
            };
        }
        for &(name, value) in &case.args {
            launch = launch.arg(name, value);
        }
        launch
    }

    /// What the written bindings hold now.
    ///
    /// # Errors
    /// Where a launch or a download fails.
    pub fn outputs(&self) -> Result<Vec<Data>> {
        let written = self.buffers.iter().filter(|(role, _)| *role != Role::Input);
        let read = written.map(|(_, buffer)| -> Result<Data> {
            Ok(match buffer {
                Typed::F32(buffer) => Data::F32(self.device.download(buffer).wait()?.into_vec()),
                Typed::U32(buffer) => Data::U32(self.device.download(buffer).wait()?.into_vec()),
            })
        });
        read.collect()
    }
}

fn placed<T: wharf::Element>(device: &Device, data: &[T]) -> Result<Buffer<T>> {
    let buffer = device.buffer(data.len())?;
    if !data.is_empty() {
        device.upload(&buffer).send(data.to_vec())?.wait().ok()?;
    }
    Ok(buffer)
}

/// How an answer differs from what is expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// There are more or fewer answers.
    #[error("{got} answers, expected {expected}")]
    Answers {
        /// Answers expected.
        expected: usize,
        /// Answers there.
        got: usize,
    },
    /// An answer has another element type.
    #[error("answer {answer} has elements of another type")]
    Type {
        /// Which answer.
        answer: usize,
    },
    /// An answer is longer or shorter.
    #[error("answer {answer} has {got} elements, expected {expected}")]
    Length {
        /// Which answer.
        answer: usize,
        /// Elements expected.
        expected: usize,
        /// Elements there.
        got: usize,
    },
    /// Elements differ; the worst of them is named.
    #[error("answer {answer}[{index}] is {got}, expected {expected} ({wrong} of {of} elements are wrong)")]
    Element {
        /// Which answer.
        answer: usize,
        /// The element that is farthest off.
        index: usize,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
        /// Elements that are wrong.
        wrong: usize,
        /// Elements there are.
        of: usize,
    },
}

/// Whether the answers are right: numbers and lengths first, then each element. NaN is equal to
/// nothing.
///
/// # Errors
/// The first answer that is wrong, with its worst element.
pub fn compare(expected: &[Expected], got: &[Data]) -> Result<(), Mismatch> {
    if expected.len() != got.len() {
        return Err(Mismatch::Answers { expected: expected.len(), got: got.len() });
    }
    for (answer, (expected, got)) in expected.iter().zip(got).enumerate() {
        match (expected, got) {
            (Expected::U32(expected), Data::U32(got)) => elements(answer, expected, got, |expected, got| {
                (expected != got).then(|| f64::from(expected.abs_diff(*got)))
            })?,
            (Expected::F32(expected), Data::F32(got)) => elements(answer, expected, got, |near, got| {
                let off = (near.value - f64::from(*got)).abs();
                let fine = off <= near.within;
                // How many times its bound an element is off; an exact one by its distance alone.
                (!fine).then(|| if off.is_nan() { f64::INFINITY } else { off / near.within.max(f64::MIN_POSITIVE) })
            })?,
            _ => return Err(Mismatch::Type { answer }),
        }
    }
    Ok(())
}

/// `off` says how far wrong an element is, where it is.
fn elements<E: std::fmt::Display, G: std::fmt::Display>(
    answer: usize,
    expected: &[E],
    got: &[G],
    off: impl Fn(&E, &G) -> Option<f64>,
) -> Result<(), Mismatch> {
    if expected.len() != got.len() {
        return Err(Mismatch::Length { answer, expected: expected.len(), got: got.len() });
    }
    let offs = || expected.iter().zip(got).enumerate().filter_map(|(i, (e, g))| off(e, g).map(|off| (i, off)));
    let Some((index, _)) = offs().max_by(|a, b| a.1.total_cmp(&b.1)) else { return Ok(()) };
    Err(Mismatch::Element {
        answer,
        index,
        expected: expected[index].to_string(),
        got: got[index].to_string(),
        wrong: offs().count(),
        of: got.len(),
    })
}
