//! Completions of two queues that come in the other order, and operations that end for want of memory.

use std::time::Duration;

use wharf::{Buffer, Completion, CompletionQueue, Device, FailPolicy, FailureKind, Faults, Simulation, Ticket};

fn simulated(faults: Faults) -> wharf::Result<Device> {
    Ok(Simulation::open_with("gen4x16", faults)?.device().clone())
}

/// The keys in the order in which the completions come.
fn order(device: &Device, tickets: Vec<Ticket<Vec<u32>>>) -> Vec<usize> {
    let done = CompletionQueue::new();
    let count = tickets.len();
    for (key, ticket) in tickets.into_iter().enumerate() {
        ticket.forward(&done, key);
    }
    device.drain();
    let done: Vec<(usize, Completion<Vec<u32>>)> = done.receiver().try_iter().collect();
    assert_eq!(done.len(), count);
    assert!(done.iter().all(|(_, done)| done.result.is_ok()));
    done.into_iter().map(|(key, _)| key).collect()
}

fn buffers<const N: usize>(device: &Device) -> wharf::Result<[Buffer<u32>; N]> {
    let buffers = (0..N).map(|_| device.buffer::<u32>(256)).collect::<wharf::Result<Vec<_>>>()?;
    Ok(buffers.try_into().expect("as many"))
}

/// Two queues for uploads: the first upload is over first, and its completion comes last.
#[test]
fn the_completions_of_two_upload_queues_come_in_the_other_order() -> wharf::Result<()> {
    for (faults, expected) in [(Faults::new(), [0, 1]), (Faults::new().overtaken(1), [1, 0])] {
        let device = simulated(faults)?;
        let [x, y] = buffers(&device)?;
        let [first, second] = ["first", "second"].map(|name| device.queue(name).open());
        let tickets =
            vec![device.upload(&x).on(&first).send(vec![1; 256])?, device.upload(&y).on(&second).send(vec![2; 256])?];
        assert_eq!(order(&device, tickets), expected);
        assert_eq!((device.download(&x).wait()?[0], device.download(&y).wait()?[0]), (1, 2));
    }
    Ok(())
}

#[test]
fn one_queue_keeps_its_order_whatever_the_driver_reports() -> wharf::Result<()> {
    let device = simulated(Faults::new().overtaken(1).overtaken(3))?;
    let [a, b, c, d] = buffers(&device)?;
    let queue = device.queue("one").open();
    let send = |buffer: &Buffer<u32>| device.upload(buffer).on(&queue).send(vec![1; 256]);
    let tickets = vec![send(&a)?, send(&b)?, send(&c)?, send(&d)?];
    assert_eq!(order(&device, tickets), [0, 1, 2, 3]);
    Ok(())
}

/// What has read the data of an overtaken operation is told of its failure first.
#[test]
fn a_failure_that_is_overtaken_still_comes_before_those_who_read_its_data() -> wharf::Result<()> {
    let device = simulated(Faults::new().fail(1).overtaken(1))?;
    let [x, y, z] = buffers(&device)?;
    let [one, two, three] = ["one", "two", "three"].map(|name| device.queue(name).policy(FailPolicy::Continue).open());
    let failed = device.upload(&x).on(&one).send(vec![1; 256])?;
    let reads = device.copy(&x, &y).on(&two).send()?;
    let apart = device.upload(&z).on(&three).send(vec![3; 256])?;
    assert!(matches!(&reads.wait().result, Err(error) if matches!(error.kind, FailureKind::Upstream { .. })));
    assert!(failed.wait().result.is_err() && apart.wait().result.is_ok());
    Ok(())
}

/// Nothing else ends: then it is told at once, and late ones are not waited for longer than they take.
#[test]
fn an_overtaken_end_is_told_when_no_other_comes() -> wharf::Result<()> {
    let device = simulated(Faults::new().overtaken(1).overtaken(2).late(4, Duration::from_millis(5)))?;
    let [x, y] = buffers(&device)?;
    for word in [1, 2] {
        device.upload(&x).send(vec![word; 256])?.wait().ok()?;
    }
    assert_eq!(device.download(&x).wait()?[..], [2; 256]);
    device.upload(&y).send(vec![3; 256])?.wait().ok().map(drop)
}

#[test]
fn with_reorder_the_order_of_completions_follows_from_the_seed() -> wharf::Result<()> {
    let of = |seed: u32| {
        let device = Simulation::open(&format!("gen4x16,reorder,seed={seed}"))?.device().clone();
        let buffers: [_; 8] = buffers(&device)?;
        let mut tickets = Vec::new();
        for (number, buffer) in buffers.iter().enumerate() {
            let queue = device.queue(&number.to_string()).open();
            tickets.push(device.upload(buffer).on(&queue).send(vec![1; 256])?);
        }
        Ok::<_, wharf::Error>(order(&device, tickets))
    };
    let orders = (0..8).map(of).collect::<wharf::Result<Vec<_>>>()?;
    assert_eq!(orders, (0..8).map(of).collect::<wharf::Result<Vec<_>>>()?, "the same seeds, the same orders");
    let sorted: Vec<usize> = (0..8).collect();
    assert!(orders.iter().filter(|order| **order != sorted).count() >= 4, "one lane, and yet: {orders:?}");
    Ok(())
}

#[test]
fn an_operation_may_end_for_want_of_memory() -> wharf::Result<()> {
    let device = simulated(Faults::new().exhaust(2))?;
    let [x] = buffers(&device)?;
    device.upload(&x).send(vec![1; 256])?.wait().ok()?;
    let queue = device.queue("short").open();
    let done = device.upload(&x).on(&queue).send(vec![2; 256])?.wait();
    assert!(matches!(&done.result, Err(error) if matches!(error.kind, FailureKind::OutOfMemory(_))), "{done:?}");
    assert_eq!(done.buffer, Some(vec![2; 256]), "the buffer comes back");
    // What an operation was to write is nobody's to read until it is written anew.
    device.upload(&x).send(vec![3; 256])?.wait().ok()?;
    assert_eq!(device.download(&x).wait()?[0], 3);
    Ok(())
}
