//! Every device can be given up, with everything in flight: as many completions as messages, in order,
//! and each buffer back or counted.

use std::time::Instant;

use wharf::{Device, Error, FailureKind, Kernel, Refusal};

const MESSAGES: usize = 10_000;

fn devices() -> Vec<Device> {
    Device::discover().iter().map(|found| Device::open(&found.id).expect("it was discovered")).collect()
}

/// Keeps a device busy for longer than this test takes to fill its queues, in [`GROUPS`] workgroups:
/// llvmpipe leaves an invocation's loops after 65,535 rounds.
fn slow() -> Kernel {
    Kernel::from_wgsl(
        "@group(0) @binding(0) var<storage, read_write> x: atomic<u32>;
         @compute @workgroup_size(1) fn slow() {
             for (var i = 0u; i < 60000u; i++) { atomicAdd(&x, i); }
         }",
    )
    .expect("a kernel")
}

const GROUPS: [u32; 3] = [20_000, 1, 1];

#[test]
fn ten_thousand_messages_are_resolved_once_and_in_order_when_a_device_is_given_up() {
    for device in devices() {
        let busy = device.buffer::<u32>(1).expect("memory");
        let first = device.launch(&slow()).bind(&busy).groups(GROUPS).run().expect("sent");
        let queues: Vec<_> = (0..4).map(|i| device.queue(&format!("q{i}")).open()).collect();
        // Behind the launch, so that none can be over before it.
        let tickets: Vec<_> = (0..MESSAGES)
            .map(|i| {
                let download = device.download(&busy).on(&queues[i % queues.len()]).into(vec![i as u32]);
                download.expect("accepted")
            })
            .collect();
        assert!(device.stats().in_flight > MESSAGES as u64);

        let began = Instant::now();
        device.declare_lost("the operator pulled the plug");
        assert_eq!(device.stats().in_flight, device.stats().uncollected, "{}: all are resolved", device.id());
        eprintln!("{}: {} messages resolved in {:?}", device.id(), MESSAGES + 1, began.elapsed());

        let lost = |kind: &FailureKind| matches!(kind, FailureKind::DeviceLost(why) if why.contains("pulled the plug"));
        assert!(lost(&first.wait().result.expect_err("it was running").kind));
        let mut leaked = 0;
        for (i, ticket) in tickets.into_iter().enumerate() {
            let done = ticket.wait();
            assert!(lost(&done.result.expect_err("it was behind").kind), "{} {i}", device.id());
            match done.buffer {
                Some(buffer) => assert_eq!(buffer, [i as u32], "its own buffer, untouched"),
                None => leaked += 1,
            }
        }
        let stats = device.stats();
        assert_eq!((stats.leaked_buffers, stats.in_flight), (leaked, 0));
        assert!(leaked <= 4 * 256, "only what the driver had: {leaked}");

        let refused = device.download(&busy).on(&queues[0]).into(vec![7]).expect_err("lost");
        assert_eq!(refused.buffer, [7], "handed back");
        let Error::Refused { why: Refusal::Failed(why), .. } = refused.error else { panic!("{}", refused.error) };
        assert!(lost(&why.kind));
        device.declare_lost("again");
        device.drain();
    }
}
