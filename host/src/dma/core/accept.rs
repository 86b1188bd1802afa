//! A message comes in: into the machine, or past it where nothing is before it.

use super::{Clock, Core};
use crate::{
    backend::{Done, Op, Path, Source, Token},
    dma::{
        MessageId,
        behind::Waited,
        model::{Offer, QueueId},
        shared::{Mode, Shared},
        slip::Slip,
        work::Accepted,
    },
};

/// A message's queue, its name in the machine, and its number.
type Named = (QueueId, Token, MessageId);

impl Core {
    /// Accepts a message whose credits were taken from a queue that accepts messages.
    pub(in crate::dma) fn put(
        &mut self,
        queue: QueueId,
        mut slip: Slip,
        clock: &mut Clock,
        shared: &Shared,
    ) -> Accepted {
        let work = &mut *slip;
        let offer = Offer {
            queue,
            kind: work.kind,
            bytes: work.bytes,
            moves: work.moves,
            accesses: &work.accesses,
            label: &work.label,
            deadline: work.deadline,
            unsignaled: work.unsignaled,
            joins: work.carries(),
        };
        let now = clock.read(shared);
        if self.unresolved == 0
            && shared.mode == Mode::Helped
            && let Some(Op::Upload { src: Source::Carried(src), dst }) = work.op
            && self.machine.is_clear_for(&offer)
            && shared.backend.write_now(src, dst)
        {
            let (token, id) = self.machine.pass(&offer);
            return self.pass(slip, (queue, token, id), clock, shared);
        }
        let (token, id) = self.machine.accept_paid(&offer);
        self.machine.hold(token, queue, now);
        let (name, cell) = self.cells.take();
        let slot = token.index as usize;
        if self.cell_of.len() <= slot {
            self.cell_of.resize(slot + 1, name);
        }
        self.cell_of[slot] = name;
        let waited =
            work.kind.lane().map_or_else(Waited::default, |lane| Waited::since(self.served[lane as usize].tally));
        work.accept(id, now, &self.addresses[queue], waited);
        cell.fill(token, slip);
        self.ledger.accept();
        self.unresolved += 1;
        Accepted { cell: name, token, id }
    }

    /// Accepts a message that was done just now, as nothing was before it: it has its outcome at once.
    fn pass(&mut self, mut slip: Slip, (queue, token, id): Named, clock: &mut Clock, shared: &Shared) -> Accepted {
        let (began, ended) = (clock.read(shared), shared.backend.now());
        // For the next one, which begins only now.
        *clock = Clock::at(Some(ended));
        let done = Done {
            token,
            result: Ok(()),
            started: Some(began),
            finished: ended,
            device_seconds: None,
            path: Path::Inline,
            why: None,
            together: 1,
            form: None,
        };
        let served = &mut self.served[slip.lane() as usize];
        let waited = Waited::since(served.tally);
        let (own, all) = served.add(&done);
        slip.accept(id, began, &self.addresses[queue], waited);
        slip.log.submit(began);
        slip.log.add(&done, own, all);
        slip.put_down(true, false);
        let (name, cell) = self.cells.take();
        cell.fill(token, slip);
        self.ledger.accept();
        self.deliver(name, Ok(()), ended);
        self.count(1, shared);
        Accepted { cell: name, token, id }
    }
}
