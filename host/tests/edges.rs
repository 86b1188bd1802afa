//! Promises at their edges, on the CPU device.

use std::sync::Arc;

use wharf::{Device, Error};

fn device() -> Device {
    Device::open("cpu").expect("the CPU device is always there")
}

#[test]
fn imported_bytes_of_no_whole_grain_are_copied_rather_than_read_beyond_their_end() -> wharf::Result<()> {
    let device = device();
    for n in [1_usize, 5, 7, 401] {
        let data: Arc<[u8]> = (0..n).map(|i| i as u8).collect();
        let buffer = device.import(data.clone())?;
        assert_eq!(*device.download(&buffer).wait()?, *data);
        assert_eq!(device.stats().buffer_bytes, n.next_multiple_of(16) as u64, "a copy, with room for its last grain");
    }
    Ok(())
}

#[test]
fn a_fence_of_another_device_of_the_same_name_is_refused() -> wharf::Result<()> {
    let (here, there) = (device(), device());
    let fence = there.queue("there").open().fence()?;
    let refused = here.queue("here").open().wait_for(&fence);
    assert!(matches!(refused, Err(Error::Argument { .. })), "{refused:?}");
    Ok(())
}
