//! A stream of floats that goes on with another device when its own is lost: each batch's answer counts
//! once, and is what the kernel's reproducibility class says.

use wharf::{Device, Error, FailureKind};
use wharf_kernels::{Data, Inputs, Reproducibility, Spec, conformance, find};

const BATCHES: u64 = 40;
const N: usize = 3000;

/// What became of a stream.
struct Stream {
    /// The answer of each batch, and the place of the device that gave it.
    answers: Vec<Option<(Vec<Data>, usize)>>,
}

fn is_lost(error: &Error) -> bool {
    match error {
        Error::Transfer(error) => match &error.kind {
            FailureKind::Upstream { root } => matches!(root.kind, FailureKind::DeviceLost(_)),
            kind => matches!(kind, FailureKind::DeviceLost(_)),
        },
        Error::Refused { why: wharf::Refusal::Failed(error), .. } => matches!(error.kind, FailureKind::DeviceLost(_)),
        Error::Device { .. } => true,
        _ => false,
    }
}

/// Runs all batches, each on the first of the devices that is not lost; `between` is told how many are done.
fn stream(spec: &Spec, devices: &[Device], between: impl Fn(u64)) -> Stream {
    let mut answers = vec![None; BATCHES as usize];
    let mut place = 0;
    for batch in 0..BATCHES {
        between(batch);
        let case = (spec.case)(N, Inputs::Random(batch));
        let answer = loop {
            match conformance::run(spec, &devices[place], &case) {
                Ok(answer) => break answer,
                Err(error) => assert!(is_lost(&error) && place + 1 < devices.len(), "{error}"),
            }
            place += 1;
        };
        let before = answers[batch as usize].replace((answer, place));
        assert!(before.is_none(), "each batch once");
    }
    Stream { answers }
}

fn bits(answer: &[Data]) -> Vec<u32> {
    let bits = |data: &Data| match data {
        Data::F32(floats) => floats.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
        Data::U32(words) => words.clone(),
    };
    answer.iter().flat_map(bits).collect()
}

fn check(spec: &Spec, devices: &[Device], between: impl Fn(u64)) {
    let got = stream(spec, devices, between);
    // One device of each kind that nobody loses.
    let whole: Vec<_> = devices.iter().map(|device| Device::open(fresh(device.id())).expect("it was there")).collect();
    let mut of = vec![0; devices.len()];
    for (batch, answer) in (0..).zip(got.answers) {
        let (answer, place) = answer.expect("every batch has one");
        of[place] += 1;
        let case = (spec.case)(N, Inputs::Random(batch));
        let compared = conformance::compare(&(spec.oracle)(&case), &answer);
        compared.unwrap_or_else(|mismatch| panic!("{} batch {batch}: {mismatch}", spec.name));
        let same = match spec.class {
            Reproducibility::Anywhere => 0,
            Reproducibility::DeviceKind => place,
        };
        let expected = conformance::run(spec, &whole[same], &case).expect("an answer");
        assert_eq!(bits(&answer), bits(&expected), "{} batch {batch} on {}", spec.name, devices[place].id());
    }
    assert!(of.iter().all(|&batches| batches > 0), "each device had a part: {of:?}");
}

/// The device without its script of faults.
fn fresh(id: &str) -> &str {
    if id.starts_with("sim") { "sim" } else { id }
}

const FLOATS: [&str; 2] = ["saxpy", "reduce_sum_f32"];

#[test]
fn from_a_simulated_device_to_a_fresh_one() {
    for name in FLOATS {
        let spec = find(name).expect("in the library");
        let devices = ["sim:lose@400us", "sim"].map(|name| Device::open(name).expect("it needs nothing"));
        check(spec, &devices, |_| ());
    }
}

#[test]
fn from_one_handle_of_the_cpu_to_another() {
    for name in FLOATS {
        let spec = find(name).expect("in the library");
        let devices = ["cpu", "cpu"].map(|name| Device::open(name).expect("always there"));
        check(spec, &devices, |batch| {
            if batch == BATCHES / 2 {
                devices[0].declare_lost("given up");
            }
        });
    }
}

#[test]
fn from_wgpu_to_the_cpu() {
    let gpu = match Device::open("wgpu") {
        Ok(device) => device,
        Err(e) if e.is_unavailable() && !std::env::var("WHARF_REQUIRE").unwrap_or_default().contains("wgpu") => {
            eprintln!("SKIP {e}");
            return;
        }
        Err(e) => panic!("{e}"),
    };
    let devices = [gpu, Device::open("cpu").expect("always there")];
    for name in &FLOATS[..1] {
        let spec = find(name).expect("in the library");
        check(spec, &devices, |batch| {
            if batch == BATCHES / 2 {
                devices[0].declare_lost("given up");
            }
        });
    }
}
