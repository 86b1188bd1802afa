//! The driver's books: the machine, what it does not know of its messages, and who is to be told.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::{
    behind::Served,
    cell::{Cell, Ledger, ReceiverOf, Waiter, Wake},
    dead::Ring,
    machine::Machine,
    model::{Action, CancelOutcome, Event, Limits, QueueId, Submit},
    permit::Waiting,
    promise::Promises,
    receipt::Address,
    shared::Shared,
    slab::Slab,
    slip::Slip,
};
use crate::{
    backend::{Command, Done, HostBlock, MemId, Op, Pool, Token},
    error::TransferError,
    trace,
};

mod accept;

/// Bytes that a link moves in a nanosecond, at most: those of PCIe 5.0 x16 (`sim`'s `gen5x16`).
const FASTEST: u128 = 64;

/// Everything that is under the lock.
pub(crate) struct Core {
    pub(super) machine: Machine,
    pub(super) cells: Slab<Cell>,
    /// The cell of each of the machine's messages, by slot.
    pub(super) cell_of: Vec<Token>,
    /// Where messages to each of the machine's queues are sent.
    addresses: Vec<Arc<Address>>,
    /// The device memory of each of the machine's buffers, by slot.
    pub(super) mem_of: Vec<MemId>,
    pub(crate) dead: Ring,
    pub(crate) ledger: Ledger,
    pub(super) promises: Promises,
    /// Tasks that wait for credits.
    pub(super) tasks: Waiting,
    pub(super) actions: Vec<Action>,
    /// Lists of operations that travel in one command.
    joined: Pool<Vec<Op>>,
    pub(super) effects: Effects,
    pub(super) unresolved: u64,
    /// What each lane has done.
    served: [Served; 3],
    /// There may be something to submit.
    pub(super) dirty: bool,
    pub(super) ending: bool,
    /// A helping thread has left work to the device's own.
    pub(super) left: bool,
    /// The submitting thread sleeps.
    pub(super) asleep: bool,
    /// When it gets up by itself.
    pub(super) alarm: Option<Instant>,
    /// Threads that wait for a credit, or for the last message.
    pub(super) waiting: u32,
}

/// What is done when the lock has been released, in the order in which it came about.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) wakes: Vec<Wake>,
    pub(super) blocks: Vec<HostBlock>,
    pub(super) mems: Vec<MemId>,
    /// Messages that a subscriber of `tracing` is told of, and whether they are dead letters.
    pub(super) traced: Vec<(trace::Span, bool)>,
    /// What nobody asks for any more: the user's values are dropped outside the lock.
    pub(super) graves: Vec<Slip>,
    pub(super) settled: bool,
    /// Everything is resolved, and nothing more will be accepted.
    pub(super) ended: bool,
}

impl Effects {
    pub(super) fn is_empty(&self) -> bool {
        let Self { wakes, blocks, mems, traced, graves, settled, ended } = self;
        wakes.is_empty()
            && blocks.is_empty()
            && mems.is_empty()
            && traced.is_empty()
            && graves.is_empty()
            && !settled
            && !ended
    }
}

/// The time, read once for what happens together: a reading costs as much as the rest of a step.
#[derive(Debug, Default)]
pub(crate) struct Clock(Option<Instant>);

impl Clock {
    pub(super) fn at(time: Option<Instant>) -> Self {
        Self(time)
    }

    /// The time, if it was read.
    pub(super) fn known(&self) -> Option<Instant> {
        self.0
    }

    pub(super) fn read(&mut self, shared: &Shared) -> Instant {
        *self.0.get_or_insert_with(|| shared.backend.now())
    }
}

impl Core {
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            machine,
            cells: Slab::new(),
            cell_of: Vec::new(),
            addresses: Vec::new(),
            mem_of: Vec::new(),
            dead: Ring::default(),
            ledger: Ledger::default(),
            promises: Promises::default(),
            tasks: Waiting::default(),
            actions: Vec::new(),
            joined: Pool::default(),
            effects: Effects::default(),
            unresolved: 0,
            served: Default::default(),
            dirty: false,
            ending: false,
            left: false,
            asleep: false,
            alarm: None,
            waiting: 0,
        }
    }

    pub(super) fn open_queue(&mut self, device: &Arc<str>, name: Arc<str>, limits: Limits) -> QueueId {
        let address = Arc::new(Address { device: device.clone(), queue: name.clone() });
        let id = self.machine.open_queue(name, limits);
        match self.addresses.get_mut(id) {
            Some(old) => *old = address,
            None => self.addresses.push(address),
        }
        id
    }

    /// Takes one event. What is to be submitted goes to `batch`, the rest to `effects`.
    pub(super) fn step(&mut self, event: Event, batch: &mut Vec<Command>, clock: &mut Clock, shared: &Shared) {
        self.take(event);
        self.act(batch, clock, shared);
    }

    /// Takes one event of several; [`Core::act`] follows the last.
    pub(super) fn take(&mut self, event: Event) {
        if matches!(event, Event::Lost(_)) {
            // Who waits for credits is told that there will be none, also where no message gives any back.
            self.effects.settled |= self.waiting > 0;
            self.call_waiting();
        }
        self.machine.step(event, &mut self.actions);
    }

    /// Does what events have led to.
    pub(super) fn act(&mut self, batch: &mut Vec<Command>, clock: &mut Clock, shared: &Shared) {
        let mut actions = std::mem::take(&mut self.actions);
        let mut resolved = 0;
        for action in actions.drain(..) {
            match action {
                Action::Submit(submit) => {
                    let now = clock.read(shared);
                    match batch.last_mut() {
                        Some(before) if before.token == submit.command => self.join(before, &submit, now),
                        _ => batch.push(self.command(submit, now)),
                    }
                }
                Action::Free(resource) => self.effects.mems.push(self.mem_of[resource.index as usize]),
                Action::Kept { token, result } => {
                    let fence = self.promises.remove(&token).expect("an open promise has a fence");
                    self.effects.wakes.push(Wake::Fence(fence, result));
                }
                Action::Resolve { token, result, in_driver } => {
                    resolved += 1;
                    let name = self.cell_of[token.index as usize];
                    let cell = self.cells.get_mut(name).expect("an unresolved message has a cell");
                    match cell.slip.take_block() {
                        // What a lost device may still read is nobody's from here on.
                        Some(_) if in_driver => self.ledger.leaked_buffers += 1,
                        block => self.effects.blocks.extend(block),
                    }
                    if cell.slip.staging > 0 {
                        shared.staging.remove(std::mem::take(&mut cell.slip.staging));
                    }
                    cell.leaked = in_driver && cell.lent;
                    self.ledger.leaked_buffers += u64::from(cell.leaked);
                    cell.slip.put_down(result.is_ok(), in_driver);
                    self.deliver(name, result, clock.read(shared));
                }
            }
        }
        self.actions = actions;
        if resolved > 0 {
            self.unresolved -= resolved;
            self.count(resolved, shared);
        }
    }

    /// The message in this cell has this outcome: whoever waits for it is told.
    fn deliver(&mut self, name: Token, result: Result<(), Arc<TransferError>>, now: Instant) {
        let cell = self.cells.get_mut(name).expect("a message that comes out has a cell");
        let log = &mut cell.slip.log;
        log.delivered = Some(now).max(log.accepted);
        trace::record(|| cell.slip.receipt(), result.as_ref().err());
        let failed = result.as_ref().is_err_and(|error| !error.is_folded());
        let is_dead = failed && matches!(cell.waiter, Waiter::Detached);
        cell.outcome = Some(result);
        if trace::events::are_wanted(is_dead) {
            self.effects.traced.extend(cell.span().map(|span| (span, is_dead)));
        }
        self.tell(name);
    }

    /// So many messages are resolved: credits came back.
    fn count(&mut self, resolved: u64, shared: &Shared) {
        self.effects.settled |= self.waiting > 0;
        self.effects.ended |= self.ending && self.unresolved == 0;
        self.call_waiting();
        // Written under the lock only.
        shared.resolved.store(shared.resolved.load(Relaxed) + resolved, Relaxed);
    }

    fn command(&mut self, submit: Submit, now: Instant) -> Command {
        let cell = self.cells.get_mut(self.cell_of[submit.message.index as usize]).expect("alive");
        let work = &mut *cell.slip;
        let op = match submit.part {
            None => work.whole(now),
            Some(part) => work.part(part, now),
        };
        Command {
            token: submit.command,
            lane: work.lane(),
            after: self.machine.after(submit.command),
            op,
            quiet: matches!(cell.waiter, Waiter::Detached),
            given: now,
            label: work.label.of_user(),
        }
    }

    /// The command takes in what another message does.
    fn join(&mut self, command: &mut Command, other: &Submit, now: Instant) {
        if !matches!(command.op, Op::Joined(_)) {
            let mut ops = self.joined.take();
            ops.clear();
            ops.push(std::mem::replace(&mut command.op, Op::Nothing));
            command.op = Op::Joined(ops);
        }
        let Op::Joined(ops) = &mut command.op else { unreachable!("just made") };
        let cell = self.cells.get_mut(self.cell_of[other.message.index as usize]).expect("alive");
        command.quiet &= matches!(cell.waiter, Waiter::Detached);
        ops.push(cell.slip.whole(now));
    }

    /// Nobody asks for the message in this cell any more. Where it is unresolved, gives who waited for it; else it is
    /// buried.
    pub(super) fn let_go(&mut self, name: Token) -> Option<Waiter> {
        let cell = self.cells.get_mut(name).expect("an uncollected message has a cell");
        if cell.outcome.is_none() {
            return Some(std::mem::replace(&mut cell.waiter, Waiter::Detached));
        }
        self.ledger.uncollected -= 1;
        if matches!(&cell.outcome, Some(Err(error)) if !error.is_folded()) && trace::events::are_wanted(true) {
            self.effects.traced.extend(cell.span().map(|span| (span, true)));
        }
        cell.bury(&mut self.ledger, &mut self.dead, &mut self.effects.graves);
        self.cells.free(name);
        None
    }

    /// Tells whoever waits that the message in this cell is resolved.
    pub(super) fn tell(&mut self, name: Token) {
        let cell = self.cells.get_mut(name).expect("alive");
        let wake = match std::mem::take(&mut cell.waiter) {
            Waiter::Nobody => return self.ledger.uncollected += 1,
            Waiter::Task(waker) => {
                self.ledger.uncollected += 1;
                return self.effects.wakes.push(Wake::Task(waker));
            }
            Waiter::Thread(thread) => {
                self.ledger.uncollected += 1;
                return self.effects.wakes.push(Wake::Thread(thread));
            }
            Waiter::Detached => {
                cell.bury(&mut self.ledger, &mut self.dead, &mut self.effects.graves);
                return self.cells.free(name);
            }
            Waiter::Callback(f) => Wake::Callback(ReceiverOf(f, cell.take().expect("resolved"))),
            Waiter::Forward(f) => Wake::Forward(ReceiverOf(f, cell.take().expect("resolved"))),
            Waiter::Fence(state) => Wake::Fence(state, cell.take().expect("resolved").result),
        };
        self.ledger.deliver();
        self.cells.free(name);
        self.effects.wakes.push(wake);
    }
}

impl Core {
    /// When [`Core::tick`] is due, at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.machine.next_deadline().into_iter().chain(self.tasks.due()).min()
    }

    /// Ends what was to end by now.
    pub(super) fn tick(&mut self, now: Instant, clock: &mut Clock, shared: &Shared) {
        if self.tasks.due().is_some_and(|due| due <= now) {
            self.effects.wakes.extend(self.tasks.take_due(now).map(Wake::Task));
        }
        self.stage_at(Event::Tick(now), clock, shared);
    }

    /// A deadline comes before the submitting thread gets up.
    pub(super) fn sleeps_too_long(&self) -> bool {
        let due = self.next_deadline();
        self.asleep && due.is_some_and(|due| self.alarm.is_none_or(|alarm| due < alarm))
    }

    /// Tasks that wait for credits are to look again.
    pub(super) fn call_waiting(&mut self) {
        if !self.tasks.is_empty() {
            self.effects.wakes.extend(self.tasks.take().map(Wake::Task));
        }
    }

    /// Whether the message in this cell may be over after so long, by the bytes that its lane has to move before.
    pub(super) fn may_end_within(&self, time: Duration, cell: Token) -> bool {
        let bytes = self.cells.get(cell).map_or(0, |cell| self.machine.bytes_to_move(cell.message));
        u128::from(bytes) <= time.as_nanos() * FASTEST
    }

    /// When this unresolved message was accepted.
    pub(super) fn accepted(&mut self, token: Token) -> Instant {
        let cell = self.cells.get_mut(self.cell_of[token.index as usize]).expect("an unresolved message has a cell");
        cell.slip.log.accepted.expect("it was accepted")
    }

    /// Writes down what the backend says of a command. A late report is of no message: the machine ignores it,
    /// so must this.
    pub(super) fn write_down(&mut self, done: &Done) {
        let mut tally = None;
        for message in self.machine.messages_of(done.token) {
            let Some(cell) = self.cells.get_mut(self.cell_of[message.index as usize]) else { continue };
            let (own, all) = *tally.get_or_insert_with(|| self.served[cell.slip.lane() as usize].add(done));
            cell.slip.log.add(done, own, all);
        }
    }

    /// Cancels the message in this cell, as far as it can be; the next pump does the rest.
    pub(super) fn cancel(&mut self, cell: Token) -> CancelOutcome {
        let message = self.cells.get(cell).expect("an uncollected message has a cell").message;
        self.machine.cancel(message)
    }

    /// Takes an event that submits nothing.
    pub(crate) fn stage(&mut self, event: Event, shared: &Shared) {
        self.stage_at(event, &mut Clock::default(), shared);
    }

    pub(super) fn stage_at(&mut self, event: Event, clock: &mut Clock, shared: &Shared) {
        self.take(event);
        self.act_only(clock, shared);
    }

    /// Does what events have led to that submit nothing.
    pub(super) fn act_only(&mut self, clock: &mut Clock, shared: &Shared) {
        let mut batch = Vec::new();
        self.act(&mut batch, clock, shared);
        debug_assert!(batch.is_empty(), "only `Event::Pump` submits");
    }
}
