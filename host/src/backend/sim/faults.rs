//! What goes wrong on a simulated device, as data.

use std::{collections::HashMap, time::Duration};

use super::time::Time;

/// A script of faults. Operations, allocations and downloads are counted from 1, in the order in which
/// the device is given them.
///
/// ```
/// use std::time::Duration;
/// use wharf::Faults;
///
/// let faults = Faults::new().fail(17).late(3, Duration::from_millis(5)).lose_at(Duration::from_millis(20));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    pub(super) operations: HashMap<u64, Vec<Fault>>,
    pub(super) out_of_memory: Vec<u64>,
    pub(super) corrupt: Vec<u64>,
    pub(super) lose: Option<Time>,
    pub(super) reorder: bool,
    pub(super) block: Option<usize>,
}

/// What goes wrong with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails and does nothing.
    Fail,
    /// It finds no memory and does nothing.
    Exhaust,
    /// Its end is reported behind another's.
    Overtaken,
    /// Its end comes so much later.
    Late(Time),
    /// Its end never comes.
    Never,
    /// Its end is reported again, so much later.
    Twice(Time),
}

impl Faults {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Operation `number` fails and does nothing. In text: `fail=17`.
    #[must_use]
    pub fn fail(self, number: u64) -> Self {
        self.on(number, Fault::Fail)
    }

    /// Operation `number` ends for want of memory, as
    /// [`FailureKind::OutOfMemory`](crate::FailureKind::OutOfMemory), and does nothing: `exhaust=7`. What
    /// allocations find is [`Faults::out_of_memory`].
    #[must_use]
    pub fn exhaust(self, number: u64) -> Self {
        self.on(number, Fault::Exhaust)
    }

    /// The end of operation `number` is reported behind that of the next one that has nothing to do with it,
    /// be it of the same lane: completions of two queues come in the other order. Where none will end any
    /// more, it is reported then. In text: `overtaken=6`.
    #[must_use]
    pub fn overtaken(self, number: u64) -> Self {
        self.on(number, Fault::Overtaken)
    }

    /// The end of operation `number` comes so much later, and what is behind it in its lane waits:
    /// `late=3:5ms`.
    #[must_use]
    pub fn late(self, number: u64, by: Duration) -> Self {
        self.on(number, Fault::Late(by.into()))
    }

    /// The end of operation `number` never comes: `never=9`. What waits for it waits until the device
    /// is lost, to a watchdog for example (`watchdog=1s`).
    #[must_use]
    pub fn never(self, number: u64) -> Self {
        self.on(number, Fault::Never)
    }

    /// The end of operation `number` is reported again, so much later: `twice=4` or `twice=4:1ms`.
    #[must_use]
    pub fn twice(self, number: u64, later: Duration) -> Self {
        self.on(number, Fault::Twice(later.into()))
    }

    fn on(mut self, number: u64, fault: Fault) -> Self {
        self.operations.entry(number).or_default().push(fault);
        self
    }

    /// The device is lost at this time: `lose@0.02s`.
    #[must_use]
    pub fn lose_at(mut self, time: Duration) -> Self {
        self.lose = Some(time.into());
        self
    }

    /// Operations take one to four times as long, and every other end is reported behind that of the next
    /// operation that has nothing to do with it, both at random from the seed, so that those of different
    /// lanes and of different queues end in any order: `reorder`.
    #[must_use]
    pub fn reorder(mut self) -> Self {
        self.reorder = true;
        self
    }

    /// The driver makes its caller wait while so many operations are unfinished: `block@8`.
    #[must_use]
    pub fn block_at(mut self, operations: usize) -> Self {
        self.block = Some(operations.max(1));
        self
    }

    /// Allocation `number`, of device or staging memory, finds no more: `oom=2`.
    #[must_use]
    pub fn out_of_memory(mut self, number: u64) -> Self {
        self.out_of_memory.push(number);
        self
    }

    /// One bit of download `number` arrives changed, and nobody is told: `corrupt=5`.
    #[must_use]
    pub fn corrupt(mut self, number: u64) -> Self {
        self.corrupt.push(number);
        self
    }

    /// What goes wrong with this operation.
    pub(super) fn of(&self, number: u64) -> &[Fault] {
        self.operations.get(&number).map_or(&[], Vec::as_slice)
    }
}
