//! The driver over a backend that breaks its promises.

use std::{sync::Arc, thread, time::Duration};

use super::{
    Engine, FailPolicy, Patience,
    model::{Kind, Limits},
    parcel::Parcel,
    slip::Slip,
    ticket::Ticket,
    work::Accepted,
};
use crate::{
    backend::{Backend, Capabilities, Command, Event, HostBlock, Lane, MemId, More, Op, PipelineId, cpu},
    error::{FailureKind, Refusal, Result},
    kernel::Kernel,
    options::Options,
};

/// Panics where it should submit.
#[derive(Debug)]
struct Broken(Capabilities);

impl Backend for Broken {
    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    fn alloc(&self, _: u64, _: Option<&str>) -> Result<MemId> {
        unreachable!("not asked for memory")
    }

    fn free(&self, _: MemId) {}

    fn host_alloc(&self, _: u64) -> Result<HostBlock> {
        unreachable!("not asked for memory")
    }

    fn host_free(&self, _: HostBlock) {}

    fn prepare(&self, _: &Kernel, _: &[(String, f64)]) -> Result<PipelineId> {
        unreachable!("not asked for a kernel")
    }

    fn submit(&self, _: &mut Vec<Command>, _: &mut More<'_>) -> bool {
        panic!("a bug of the backend");
    }

    fn reap(&self, _: &mut Vec<Event>, timeout: Duration) {
        thread::sleep(timeout.min(Duration::from_millis(1)));
    }

    fn wake(&self) {}
}

#[test]
fn a_backend_that_panics_is_a_lost_device_and_no_ticket_hangs() {
    let engine =
        Engine::new("broken".into(), Arc::new(Broken(cpu::capabilities(1))), &Options::new()).expect("by threads");
    let limits = Limits { policy: FailPolicy::Continue, ..Limits::DEFAULT };
    let queue = engine.open_queue("work".into(), limits);
    let send = || {
        let mut slip = Slip::blank();
        (slip.kind, slip.op) = (Kind::Work(Lane::Compute), Some(Op::Nothing));
        slip.parcel = Some(Parcel::new(vec![7_u8]));
        let Accepted { cell, id, .. } = engine.send(queue, slip, Patience::Never).map_err(|(refusal, _)| refusal)?;
        Ok::<_, Refusal>(Ticket::<Vec<u8>>::new(engine.shared.clone(), cell, id))
    };
    let ticket = send().expect("accepted before the first panic");
    let done = ticket.wait_timeout(Duration::from_secs(10)).expect("it resolves");
    let kind = &done.result.expect_err("it did not do its work").kind;
    assert!(matches!(kind, FailureKind::DeviceLost(cause) if cause.contains("panicked")), "{kind}");
    assert_eq!(done.buffer, Some(vec![7]), "the device never had its address");
    assert!(matches!(send(), Err(Refusal::Failed(_))), "later messages are refused at once");
}
