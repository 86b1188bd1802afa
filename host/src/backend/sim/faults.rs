//! What goes wrong on a simulated device, as data.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

    /// Its items, each once: operations first, in their order.
    fn items(&self) -> Vec<Item> {
        let mut operations: Vec<_> = self.operations.iter().collect();
        operations.sort_unstable_by_key(|(number, _)| **number);
        let of = |(&number, faults): (&u64, &Vec<Fault>)| {
            faults.iter().map(move |&fault| Item::Operation(number, fault)).collect::<Vec<_>>()
        };
        let mut items: Vec<Item> = operations.into_iter().flat_map(of).collect();
        items.extend(self.lose.map(Item::Lose));
        items.extend(self.out_of_memory.iter().copied().map(Item::OutOfMemory));
        items.extend(self.corrupt.iter().copied().map(Item::Corrupt));
        items.extend(self.block.map(Item::Block));
        items.extend(self.reorder.then_some(Item::Reorder));
        let mut known = HashSet::new();
        items.retain(|item| known.insert(*item));
        items
    }
}

/// One item of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Item {
    Operation(u64, Fault),
    Lose(Time),
    OutOfMemory(u64),
    Corrupt(u64),
    Block(usize),
    Reorder,
}

/// As it stands in a description.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(n, Fault::Fail) => write!(f, "fail={n}"),
            Self::Operation(n, Fault::Exhaust) => write!(f, "exhaust={n}"),
            Self::Operation(n, Fault::Overtaken) => write!(f, "overtaken={n}"),
            Self::Operation(n, Fault::Late(by)) => write!(f, "late={n}:{}", by.spelt()),
            Self::Operation(n, Fault::Never) => write!(f, "never={n}"),
            Self::Operation(n, Fault::Twice(Time::ZERO)) => write!(f, "twice={n}"),
            Self::Operation(n, Fault::Twice(later)) => write!(f, "twice={n}:{}", later.spelt()),
            Self::Lose(at) => write!(f, "lose@{}", at.spelt()),
            Self::OutOfMemory(n) => write!(f, "oom={n}"),
            Self::Corrupt(n) => write!(f, "corrupt={n}"),
            Self::Block(n) => write!(f, "block@{n}"),
            Self::Reorder => f.write_str("reorder"),
        }
    }
}

/// A fault of a simulated device's script, and what has come of it; see
/// [`Device::scripted_faults`](crate::Device::scripted_faults).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScriptedFault {
    /// The item of the script, as a description spells it: `fail=17`, `lose@20ms`.
    pub item: String,
    /// How often it has happened so far: `reorder` to each operation, `block@8` each time that the driver made its
    /// caller wait, the others once at most.
    pub happened: u64,
    /// How often nothing came of it, as the next try for as many bytes found them: of `oom=2` alone. The library
    /// [tries again](crate::Device::buffer) by itself.
    pub absorbed: u64,
}

/// What has come of a script so far.
#[derive(Debug)]
pub(super) struct Outcomes {
    all: Vec<(Item, Outcome)>,
    /// Tries for memory that found none by the script, and none after them of as many bytes that did.
    unanswered: Vec<(Item, Want)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    happened: u64,
    absorbed: u64,
}

/// What an allocation asks for: bytes, and whether of the card or of the host.
pub(super) type Want = (u64, bool);

impl Outcomes {
    pub(super) fn of(faults: &Faults) -> Self {
        let all = faults.items().into_iter().map(|item| (item, Outcome::default())).collect();
        Self { all, unanswered: Vec::new() }
    }

    /// It has happened, once more.
    pub(super) fn note(&mut self, item: Item) {
        self.at(item).happened += 1;
    }

    /// A try for memory has found none, and only the script says so.
    pub(super) fn starve(&mut self, item: Item, want: Want) {
        self.note(item);
        self.unanswered.push((item, want));
    }

    /// A try for memory has found some.
    pub(super) fn feed(&mut self, want: Want) {
        let mut unanswered = std::mem::take(&mut self.unanswered);
        for (item, _) in unanswered.extract_if(.., |(_, known)| *known == want) {
            self.at(item).absorbed += 1;
        }
        self.unanswered = unanswered;
    }

    pub(super) fn report(&self) -> Vec<ScriptedFault> {
        let told = |&(item, Outcome { happened, absorbed }): &(Item, Outcome)| ScriptedFault {
            item: item.to_string(),
            happened,
            absorbed,
        };
        self.all.iter().map(told).collect()
    }

    fn at(&mut self, item: Item) -> &mut Outcome {
        let found = self.all.iter_mut().find(|(known, _)| *known == item);
        &mut found.expect("what happens by the script is one of its items").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_script_is_a_script() {
        let text = "fail=17,late=17:1500us,never=9,twice=4,twice=5:1ms,overtaken=6,exhaust=7,late=3:500ns,lose@20ms,\
                    oom=2,corrupt=5,block@8,reorder";
        let script: Faults = text.parse().expect("a script");
        let items = Outcomes::of(&script).report();
        assert_eq!((items.len(), text.split(',').count()), (13, 13));
        let told: Vec<_> = items.iter().map(|fault| fault.item.as_str()).collect();
        assert_eq!(told.join(",").parse::<Faults>().expect("a script"), script);
        assert!(text.split(',').all(|item| told.contains(&item)), "spelt as it was: {told:?}");
        assert!(items.iter().all(|fault| (fault.happened, fault.absorbed) == (0, 0)));
    }

    #[test]
    fn a_try_for_as_many_bytes_of_the_same_memory_answers() {
        let item = Item::OutOfMemory(2);
        let mut outcomes = Outcomes::of(&Faults::new().out_of_memory(2).out_of_memory(2));
        outcomes.starve(item, (64, true));
        let told = |outcomes: &Outcomes| {
            let told = outcomes.report();
            assert_eq!(told.len(), 1, "an item that is there twice is told of once");
            (told[0].happened, told[0].absorbed)
        };
        outcomes.feed((32, true));
        outcomes.feed((64, false));
        assert_eq!(told(&outcomes), (1, 0));
        outcomes.feed((64, true));
        outcomes.feed((64, true));
        assert_eq!(told(&outcomes), (1, 1));
    }
}
