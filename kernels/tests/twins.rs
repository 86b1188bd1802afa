//! Every kernel x every device x every size, against its oracle; and the tester is tested.
//!
//! A device that is not there is skipped, and said so; `WHARF_REQUIRE=cpu,wgpu` makes that a failure.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use wharf::{Device, Found, Grid, Job, Kernel, Twin, native::Dispatch};
use wharf_kernels::{
    ALL, Case, Data, Expected, Inputs, Near, SAXPY, Spec,
    conformance::{self, Mismatch},
    find,
};

const INPUTS: [Inputs; 3] = [Inputs::Exact, Inputs::Random(1), Inputs::Random(2)];

/// Every device of every backend of this build, the CPU device with native twins (`wgsl.rs` has the other
/// form); panics where a required one is not there.
fn devices() -> Vec<Device> {
    let required = std::env::var("WHARF_REQUIRE").unwrap_or_default();
    let survey = Device::survey();
    // An assembler and a driver in software are no devices.
    let is_device = |name: &&str| !["", "ptxas", "soft_cuda"].contains(name);
    for name in required.split(',').map(str::trim).filter(is_device) {
        let there = survey.iter().any(|found| found.kind.to_string() == name && found.capabilities.is_some());
        assert!(there, "WHARF_REQUIRE asks for {name}: {survey:?}");
    }
    let open = |found: &Found| match &found.why_not {
        None => Some(Device::open_with(&found.id, Twin::Native).unwrap_or_else(|e| panic!("{}: {e}", found.id))),
        Some(why_not) => {
            eprintln!("SKIP {}: {why_not}", found.id);
            None
        }
    };
    survey.iter().filter_map(open).collect()
}

fn check(spec: &Spec, device: &Device, case: &Case) -> Result<(), String> {
    let named =
        |e: &dyn std::fmt::Display| format!("{} on {}, {:?}, n = {}: {e}", spec.name, device.id(), case.inputs, case.n);
    let got = conformance::run(spec, device, case).map_err(|e| named(&e))?;
    conformance::compare(&(spec.oracle)(case), &got).map_err(|e| named(&e))
}

#[test]
fn every_twin_agrees_with_its_oracle() {
    let devices = devices();
    let mut failures = Vec::new();
    for spec in ALL {
        for case in spec.sizes.iter().flat_map(|&n| INPUTS.map(|inputs| (spec.case)(n, inputs))) {
            failures.extend(devices.iter().filter_map(|device| check(spec, device, &case).err()));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn a_sum_that_is_reproducible_anywhere_has_the_same_bits_on_every_device() -> wharf::Result<()> {
    let spec = find("reduce_sum_f32").expect("in the library");
    for n in [2049, 100_003, 3_000_017] {
        let case = (spec.case)(n, Inputs::Random(n as u64));
        let mut answers = Vec::new();
        for device in devices() {
            answers.push((device.id().to_owned(), conformance::run(spec, &device, &case)?[0].f32s()[0].to_bits()));
        }
        assert!(answers.windows(2).all(|pair| pair[0].1 == pair[1].1), "n = {n}: {answers:x?}");
    }
    Ok(())
}

#[test]
fn answers_repeat_to_the_last_bit_on_one_device() -> wharf::Result<()> {
    for device in devices() {
        for spec in ALL {
            let case = (spec.case)(spec.sizes[spec.sizes.len() - 2], Inputs::Random(3));
            let [first, second] = [(); 2].map(|()| conformance::run(spec, &device, &case));
            let bytes = |answers: Vec<Data>| answers.iter().flat_map(|data| data.bytes().to_vec()).collect::<Vec<u8>>();
            assert!(bytes(first?) == bytes(second?), "{} on {}", spec.name, device.id());
        }
    }
    Ok(())
}

/// Fewer workgroups than there is work: a kernel that strides does all of it with any number.
#[test]
fn strided_kernels_do_not_depend_on_the_number_of_workgroups() -> wharf::Result<()> {
    for device in devices() {
        for spec in
            ALL.iter().filter(|spec| matches!(spec.job, Job::Kernel(k) if matches!(k.grid(), Grid::Strided { .. })))
        {
            let case = (spec.case)(10_007, Inputs::Exact);
            for groups in [[1, 1, 1], [3, 1, 1], [5, 2, 1]] {
                let got = conformance::Placed::new(&device, &case)?;
                got.launch_with(spec, &case, groups)?.wait().ok()?;
                let got = (spec.answer)(got.outputs()?);
                conformance::compare(&(spec.oracle)(&case), &got)
                    .unwrap_or_else(|e| panic!("{} on {}, groups {groups:?}: {e}", spec.name, device.id()));
            }
        }
    }
    Ok(())
}

/// A plan's scratch memory outlives a launch: what the last one left there must not matter.
#[test]
fn a_sum_of_nothing_is_zero_after_a_sum_of_something() {
    let spec = find("reduce_sum_u32").expect("in the library");
    for device in devices() {
        for n in [10_007, 0, 3] {
            check(spec, &device, &(spec.case)(n, Inputs::Exact)).unwrap_or_else(|e| panic!("{e}"));
        }
    }
}

static BROKEN: AtomicBool = AtomicBool::new(false);

/// The net has no hole: a twin that is wrong in its last element alone is caught, and the element named.
#[test]
fn a_wrong_twin_is_caught() {
    fn wrong(dispatch: &mut Dispatch<'_>) {
        SAXPY.native().expect("saxpy has a native twin")(dispatch);
        if BROKEN.load(SeqCst) {
            *dispatch.args[1].write::<f32>().last_mut().expect("an element") += 0.25;
        }
    }
    static WRONG: Kernel = Kernel::new("saxpy", wharf_shaders::SAXPY)
        .with_native(wrong)
        .with_grid(Grid::Elements { of: "x", per_group: 1024 });
    let spec = Spec { job: Job::Kernel(&WRONG), ..*find("saxpy").expect("in the library") };
    let device = Device::open_with("cpu", Twin::Native).expect("the CPU device is always there");
    let case = (spec.case)(1025, Inputs::Exact);
    check(&spec, &device, &case).expect("not broken yet");
    BROKEN.store(true, SeqCst);
    let message = check(&spec, &device, &case).expect_err("broken in its last element");
    assert!(message.contains("[1024]") && message.contains("1 of 1025"), "{message}");
}

#[test]
fn a_missing_element_and_a_missing_output_are_caught() {
    let three = [Expected::U32(vec![1, 2, 3])];
    let short = [Data::U32(vec![1, 2])];
    assert_eq!(conformance::compare(&three, &short), Err(Mismatch::Length { answer: 0, expected: 3, got: 2 }));
    assert_eq!(conformance::compare(&three, &[]), Err(Mismatch::Answers { expected: 1, got: 0 }));
    assert_eq!(conformance::compare(&three, &[Data::F32(vec![1.0; 3])]), Err(Mismatch::Type { answer: 0 }));
}

#[test]
fn nan_is_wrong_and_the_bound_is_kept() {
    let near = |value, within| [Expected::F32(vec![Near { value, within }])];
    assert!(conformance::compare(&near(1.0, f64::INFINITY), &[Data::F32(vec![f32::NAN])]).is_err());
    assert!(conformance::compare(&near(1.0, 0.25), &[Data::F32(vec![1.25])]).is_ok());
    assert!(conformance::compare(&near(1.0, 0.24), &[Data::F32(vec![1.25])]).is_err());
    assert!(conformance::compare(&near(0.0, 0.0), &[Data::F32(vec![f32::MIN_POSITIVE])]).is_err());
}

#[test]
fn cases_tell_positions_apart_and_outputs_are_poisoned() {
    for spec in ALL {
        let case = (spec.case)(spec.sizes[5], Inputs::Exact);
        for binding in &case.bindings {
            let words: &[u32] = bytemuck::cast_slice(binding.data.bytes());
            let poison = binding.role == wharf_kernels::Role::Output;
            let same = words.windows(2).all(|pair| pair[0] == pair[1]);
            assert_eq!(same, poison, "{}.{}", spec.name, binding.name);
        }
    }
}
