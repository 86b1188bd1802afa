//! The contract of the queues on the CPU device, on a simulated one, and on the first adapter that wgpu
//! sees.

#[path = "all.rs"]
mod contract;
mod kernels;
mod rigs;

use contract::contract;

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
