//! Messages that touch the same buffer wait for each other by themselves; those that do not, and those
//! that only read, go side by side where the device lets them. A launch that stays shows which is which.

use std::time::Duration;

use wharf::{Buffer, Cause, Result, Ticket, Wait};

use super::rig::{Held, Rig};

/// A device on which a launch reads `x`, which holds 41, writes `y`, and stays.
struct Busy {
    held: Held,
    launch: Ticket<()>,
}

impl Busy {
    fn new(rig: &Rig) -> Result<Self> {
        let held = rig.hold();
        held.device.upload(&held.gate[0]).send(vec![41.0])?.wait().ok()?;
        let launch = held.busy();
        Ok(Self { held, launch })
    }

    fn x(&self) -> &Buffer<f32> {
        &self.held.gate[0]
    }

    fn y(&self) -> &Buffer<f32> {
        &self.held.gate[1]
    }

    /// The launch is still with the device, where others overlap it: on wgpu they come after it.
    fn is_still_there(&self) {
        if self.held.device.capabilities().copy_overlaps_compute {
            assert_eq!(self.launch.explain().expect("unresolved").waits, Wait::Device);
        }
    }

    /// Lets the launch go on, and waits for it.
    fn finish(self) -> Result<Held> {
        self.held.release();
        self.launch.wait().ok()?;
        Ok(self.held)
    }
}

pub(crate) fn readers_go_side_by_side(rig: &Rig) -> Result<()> {
    let busy = Busy::new(rig)?;
    // The launch reads it, too, and is not over.
    for _ in 0..10 {
        assert_eq!(*busy.held.device.download(busy.x()).wait()?, [41.0]);
    }
    busy.is_still_there();
    busy.finish().map(drop)
}

pub(crate) fn what_is_independent_goes_side_by_side(rig: &Rig) -> Result<()> {
    let busy = Busy::new(rig)?;
    let (device, z) = (&busy.held.device, busy.held.device.buffer::<u32>(1)?);
    for round in 0..10 {
        device.upload(&z).send(vec![round])?;
        assert_eq!(*device.download(&z).wait()?, [round]);
    }
    busy.is_still_there();
    busy.finish().map(drop)
}

pub(crate) fn what_depends_waits_and_says_for_what_and_why(rig: &Rig) -> Result<()> {
    let busy = Busy::new(rig)?;
    let (device, first) = (&busy.held.device, busy.launch.id());
    let write = device.upload(busy.x()).send(vec![1.0])?;
    let read = device.download(busy.y()).send()?;
    let over = device.queue("over").open();
    let overwrite = device.upload(busy.y()).on(&over).send(vec![2.0])?;
    let reread = device.download(busy.x()).send()?;

    let edges = |why: wharf::Explanation| -> Vec<_> {
        why.after.into_iter().map(|edge| (edge.on, edge.cause, edge.buffer.expect("a buffer").to_string())).collect()
    };
    let explain = |ticket: &Ticket<Vec<f32>>| edges(ticket.explain().expect("unresolved"));
    assert_eq!(explain(&write), [(first, Cause::WriteAfterRead, "weights".into())]);
    assert_eq!(explain(&read), [(first, Cause::ReadAfterWrite, "sums".into())]);
    let both = [(first, Cause::WriteAfterWrite, "sums".into()), (read.id(), Cause::WriteAfterRead, "sums".into())];
    assert_eq!(explain(&overwrite), both);
    assert_eq!(explain(&reread), [(write.id(), Cause::ReadAfterWrite, "weights".into())]);
    let words = write.explain().expect("unresolved").to_string();
    assert!(words.ends_with(&format!(" {first}: it writes `weights`, which that one reads")), "{words}");

    let held = busy.finish()?;
    assert_eq!(read.wait().ok()?, [41.0 * held.a], "before it was overwritten");
    assert_eq!(reread.wait().ok()?, [1.0], "after it was overwritten");
    write.wait().ok()?;
    overwrite.wait().ok()?;
    held.device.drain();
    Ok(())
}

pub(crate) fn a_queue_that_waits_for_a_fence_says_so(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let (fence, signal) = device.promise_named("the sensor");
    let queue = device.queue("gated").open();
    queue.wait_for(&fence)?;
    let z = device.buffer::<u32>(1)?;
    let gated = device.upload(&z).on(&queue).send(vec![1])?;
    let why = gated.explain().expect("unresolved");
    let Wait::For(edge) = &why.waits else { panic!("{why}") };
    assert_eq!((edge.on, edge.cause, &edge.buffer), (fence.id(), Cause::Fence, &None));
    assert_eq!(why.after, std::slice::from_ref(edge));
    assert_eq!(why.to_string(), format!("message {} of queue `gated` waits for {edge}", gated.id()), "said once");
    signal.signal();
    gated.wait().ok()?;
    Ok(())
}

pub(crate) fn who_waits_for_whom_is_told_to_the_end(rig: &Rig) -> Result<()> {
    let busy = Busy::new(rig)?;
    let device = &busy.held.device;
    let (up, down) = (device.queue("up").open(), device.queue("down").open());
    let z = device.buffer_named::<f32>(1, "totals")?;
    let copy = device.copy(busy.y(), &z).on(&up).label("the copy").send()?;
    // The copy is with the device, behind the launch; the clear is held back by the program.
    busy.held.until(|| copy.explain().is_some_and(|why| why.waits == Wait::Device));
    let (fence, signal) = device.promise_named("the sensor");
    up.wait_for(&fence)?;
    let clear = device.clear(&z).on(&up).send()?;
    let last = device.download(&z).on(&down).send()?;
    let stalls = device.stalled(Duration::ZERO);
    let of = |name: &str| stalls.iter().find(|stall| &*stall.queue == name).expect("it has a message");
    let ids = |name| of(name).chain.iter().map(|why| why.message).collect::<Vec<_>>();
    assert_eq!(ids("down"), [last.id(), clear.id(), fence.id()]);
    assert_eq!(ids("up"), [copy.id()]);
    let chain = &of("down").chain;
    assert_eq!(chain[2].label.as_deref(), Some("the sensor"));
    let words = of("down").to_string();
    let tail = format!(
        "message {} waits for {}: it reads `totals`, which that one writes; message {} waits for {}: its queue waits for that fence; message {} (`the sensor`) waits for its signal",
        last.id(),
        clear.id(),
        clear.id(),
        fence.id(),
        fence.id()
    );
    assert!(words.starts_with("queue `down` for ") && words.ends_with(&tail), "{words}");
    assert!(device.stalled(Duration::MAX).is_empty());
    signal.signal();
    let held = busy.finish()?;
    copy.wait().ok()?;
    clear.wait().ok()?;
    assert_eq!(last.wait().ok()?, [0.0]);
    assert!(held.device.stalled(Duration::ZERO).is_empty());
    Ok(())
}
