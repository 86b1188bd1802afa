//! What is known of all registers at one place, and the way back to an earlier one.

use std::collections::{BTreeMap, BTreeSet};

use super::Known;
use crate::ir::Reg;

/// Registers that changed, and what became known of them.
pub(super) type Changes = BTreeMap<Reg, Fact>;

/// What is known of a register at one place.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Fact {
    pub known: Known,
    pub tells: Tells,
}

/// What the value of a variable tells of others.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Tells {
    Nothing,
    /// It was copied from this register, at this time.
    Source(Reg, u64),
    /// When it has the value `when`, both parts had these, at this time.
    Parts {
        when: bool,
        parts: [(Reg, bool); 2],
        at: u64,
    },
}

impl Fact {
    fn or(self, other: Self) -> Self {
        let tells = if self.tells == other.tells { self.tells } else { Tells::Nothing };
        Self { known: self.known.or(other.known), tells }
    }
}

/// Facts, and the times that tell whether they still hold.
pub(super) struct State {
    facts: Vec<Fact>,
    /// What to put back to return to an earlier state.
    log: Vec<(Reg, Fact)>,
    /// Time, to tell whether a variable still has the value that somebody read.
    clock: u64,
    made_at: Vec<u64>,
    set_at: Vec<u64>,
}

impl State {
    /// Nothing is known of so many registers.
    pub(super) fn new(count: usize) -> Self {
        Self {
            facts: vec![Fact { known: Known::ANY, tells: Tells::Nothing }; count],
            log: Vec::new(),
            clock: 0,
            made_at: vec![0; count],
            set_at: vec![0; count],
        }
    }

    /// What is known of a register from the beginning.
    pub(super) fn begin(&mut self, reg: Reg, known: Known) {
        self.facts[reg as usize].known = known;
    }

    /// A place to [come back](Self::back_to) to.
    pub(super) fn mark(&self) -> usize {
        self.log.len()
    }

    pub(super) fn now(&self) -> u64 {
        self.clock
    }

    /// A temporary is made. Nobody reads it on ways that do not come through here.
    pub(super) fn make(&mut self, reg: Reg, known: Known) {
        self.made_at[reg as usize] = self.tick();
        self.facts[reg as usize].known = known;
    }

    /// When a temporary was last made; 0 before.
    pub(super) fn made_at(&self, reg: Reg) -> u64 {
        self.made_at[reg as usize]
    }

    /// A variable takes the value of a register.
    pub(super) fn assign(&mut self, reg: Reg, src: Reg, known: Known) {
        let now = self.tick();
        self.set_at[reg as usize] = now;
        self.put_fact(reg, Fact { known, tells: Tells::Source(src, now) });
    }

    /// Variables may be assigned from here on, again and again.
    pub(super) fn unsettle(&mut self, regs: &[Reg]) {
        let now = self.tick();
        for &reg in regs {
            self.set_at[reg as usize] = now;
            self.put_fact(reg, Fact { known: self.known(reg), tells: Tells::Nothing });
        }
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn known(&self, reg: Reg) -> Known {
        self.facts[reg as usize].known
    }

    /// Changes what is known of a register, so that it can be changed back.
    pub(super) fn put(&mut self, reg: Reg, known: Known) {
        let tells = self.facts[reg as usize].tells;
        self.put_fact(reg, Fact { known, tells });
    }

    pub(super) fn put_fact(&mut self, reg: Reg, fact: Fact) {
        self.log.push((reg, self.facts[reg as usize]));
        self.facts[reg as usize] = fact;
    }

    /// What changed since the log had this length.
    pub(super) fn changes(&self, mark: usize) -> Changes {
        self.log[mark..].iter().map(|&(reg, _)| (reg, self.facts[reg as usize])).collect()
    }

    pub(super) fn back_to(&mut self, mark: usize) {
        while self.log.len() > mark {
            if let Some((reg, fact)) = self.log.pop() {
                self.facts[reg as usize] = fact;
            }
        }
    }

    /// Goes on from the ends of several ways that began here.
    pub(super) fn join(&mut self, ways: &[Changes]) {
        let regs: BTreeSet<Reg> = ways.iter().flat_map(|way| way.keys().copied()).collect();
        for reg in regs {
            let before = self.facts[reg as usize];
            let ends = ways.iter().map(|way| way.get(&reg).copied().unwrap_or(before));
            if let Some(fact) = ends.reduce(Fact::or) {
                self.put_fact(reg, fact);
            }
        }
    }

    /// Whether a register still has the value it had at this time.
    pub(super) fn unchanged(&self, reg: Reg, since: u64) -> bool {
        self.set_at[reg as usize] <= since
    }

    /// What else has a value that this variable's value tells.
    pub(super) fn told_by(&self, reg: Reg, value: bool) -> [Option<(Reg, bool)>; 2] {
        let intact = |part: (Reg, bool), at: u64| Some(part).filter(|&(part, _)| self.unchanged(part, at));
        match self.facts[reg as usize].tells {
            Tells::Source(from, at) => [intact((from, value), at), None],
            Tells::Parts { when, parts, at } if when == value => parts.map(|part| intact(part, at)),
            _ => [None; 2],
        }
    }
}
