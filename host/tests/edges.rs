//! Promises at their edges, on the CPU device.

use std::{sync::Arc, time::Duration};

use wharf::{CompletionQueue, Device, Error};

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

#[test]
fn who_has_seen_a_fence_has_the_completions_before_it() -> wharf::Result<()> {
    let device = device();
    let queue = device.queue("q").open();
    let buffer = device.buffer::<u32>(4)?;
    let done = CompletionQueue::new();
    for i in 0..20_000_u32 {
        device.upload(&buffer).on(&queue).send(vec![i; 4])?.forward(&done, i);
        queue.fence()?.wait().expect("nothing fails");
        assert_eq!(done.receiver().try_recv().map(|(key, _)| key), Ok(i));
    }
    Ok(())
}

#[test]
fn a_timeout_may_be_for_ever() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(4)?;
    let ticket = device.upload(&buffer).or_refuse_after(Duration::MAX).send(vec![7; 4])?;
    let done = ticket.wait_timeout(Duration::MAX).expect("it comes before the end of time");
    assert_eq!(done.ok()?, [7; 4]);
    Ok(())
}
