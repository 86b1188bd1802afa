//! The contract of the queues on the CPU device, on a simulated one, and on the first adapter that wgpu
//! sees.

#[cfg(feature = "wgpu")]
#[path = "../common/adapter.rs"]
mod adapter;
#[path = "all.rs"]
mod contract;
mod kernels;
mod rigs;

use std::time::Duration;

use contract::{contract, loss::everything_in_flight_is_resolved};

/// One test for each body, on one kind of device.
macro_rules! tests {
    ($rig:ident $($module:ident { $($body:ident)* })*) => {
        mod $rig {
            $(mod $module {
                $(#[test]
                fn $body() -> wharf::Result<()> {
                    crate::rigs::$rig().map_or(Ok(()), |rig| crate::contract::$module::$body(&rig))
                })*
            })*
        }
    };
}

contract!(tests! cpu);
contract!(tests! sim);
#[cfg(feature = "wgpu")]
contract!(tests! wgpu);

#[test]
fn a_simulated_device_is_lost_by_its_script_in_good_order() -> wharf::Result<()> {
    let held = rigs::simulated("launch=3600s,lose@60s");
    everything_in_flight_is_resolved(&held, |held| held.pass(Duration::from_secs(61)), "script of faults", false)
}

/// wgpu's own callback says so: `destroy` is the one way to make it.
#[cfg(feature = "wgpu")]
#[test]
fn a_device_that_wgpu_loses_is_lost_in_good_order() -> wharf::Result<()> {
    let Some(rig) = rigs::wgpu() else { return Ok(()) };
    everything_in_flight_is_resolved(&rig.hold(), |held| assert!(held.device.break_down()), "Destroyed", true)
}

#[cfg(feature = "wgpu")]
#[test]
fn nothing_goes_well_on_a_device_that_wgpu_lost_while_it_was_idle() -> wharf::Result<()> {
    let Some(rig) = rigs::wgpu() else { return Ok(()) };
    for small in [true, false] {
        let device = rig.open();
        let x = device.buffer::<f32>(10_000)?;
        device.upload(&x).send(vec![1.0; 10_000])?.wait().ok()?;
        assert!(device.break_down());
        let ticket =
            if small { device.clear(&x).send()? } else { rig.add(&device, &x, &device.buffer(10_000)?, 1.0).run()? };
        let error = ticket.wait().result.expect_err("nobody has done it");
        assert!(matches!(error.kind, wharf::FailureKind::DeviceLost(_)), "{error}");
    }
    Ok(())
}
