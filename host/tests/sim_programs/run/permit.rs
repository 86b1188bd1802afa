//! Credits that a program holds before it has a message.

use std::{
    future::Future,
    pin::pin,
    slice,
    task::{Context, Poll, Waker},
};

use wharf::Permit;

use super::{Harness, Way};
use crate::program::{End, Step};

/// What is left of the credits that the program holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reserved {
    /// The queue's own number.
    pub(super) queue: usize,
    pub(super) ops: u32,
    pub(super) bytes: u64,
}

/// What a future has to say at once.
pub(super) fn asked_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

impl Harness<'_> {
    /// Takes credits, if they are there, and runs the next steps with them.
    pub(super) fn reserve(
        &mut self,
        slot: usize,
        (ops, bytes): (u32, u64),
        awaits: bool,
        steps: &mut slice::Iter<'_, Step>,
    ) {
        // The program may close and replace it meanwhile.
        let queue = self.queues[slot].clone();
        if ops > self.bounds[slot].depth {
            assert!(queue.try_reserve(ops, bytes).is_err(), "more than it will ever have");
            return;
        }
        let asked = if awaits {
            let asked = asked_once(queue.reserve_async(ops, bytes));
            self.outcomes.permits_waited += u64::from(asked.is_none());
            asked
        } else {
            Some(queue.try_reserve(ops, bytes))
        };
        match asked {
            Some(Ok(permit)) => {
                self.outcomes.permits += 1;
                self.reserved = Some(Reserved { queue: self.numbers[slot], ops, bytes });
                self.check();
                self.steps(steps, Some(&permit));
                self.outcomes.permits_unspent += u64::from(permit.ops() == ops);
                self.reserved = None;
            }
            Some(Err(error)) => self.refused(slot, ops, &error),
            // It takes nothing, and leaves its place.
            None => {}
        }
    }

    /// A message's way: with the program's own credits, where they are the queue's.
    pub(super) fn way<'w>(&self, queue: usize, permit: Option<&'w Permit<'w>>, ends: End) -> Way<'w> {
        let its = self.reserved.is_some_and(|reserved| reserved.queue == self.numbers[queue]);
        Way { queue, permit: permit.filter(|_| its), ends }
    }

    /// Looks what is left of the credits.
    pub(super) fn left(&mut self, permit: Option<&Permit<'_>>) {
        if let (Some(reserved), Some(permit)) = (&mut self.reserved, permit) {
            (reserved.ops, reserved.bytes) = (permit.ops(), permit.bytes());
        }
    }

    /// Credits of the queue that the program holds.
    pub(super) fn reserved_of(&self, queue: usize) -> (u32, u64) {
        let its = self.reserved.filter(|reserved| reserved.queue == self.numbers[queue]);
        its.map_or((0, 0), |reserved| (reserved.ops, reserved.bytes))
    }
}
