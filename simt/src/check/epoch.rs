//! Workgroup memory between two barriers.
//!
//! Most accesses need no look at single words: those that only read cannot race with each other, nor can
//! atomic ones, nor one write of neighbours by neighbours. So accesses are noted as they come and looked
//! into at the next barrier, if then they may conflict.

use std::cell::Cell;

use naga::Span;

use super::How;
use crate::ir::{Lane, NOWHERE, Place};
use crate::layout::Scalar;

/// Words of addresses after which accesses are looked into at once.
const MOST_WORDS: usize = 1 << 16;

/// One instruction's accesses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub at: Span,
    pub place: Place,
    pub ty: Scalar,
    pub how: How,
    pub who: Who,
}

/// Which lanes, and where.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who {
    /// Several read the same address; any two of them stand for all.
    Same { lanes: [u32; 2], address: u32 },
    /// A row of addresses begins here; those who do nothing are nowhere.
    Row(usize),
}

/// The accesses to one variable since the last barrier.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    pub entries: Vec<Entry>,
    /// Addresses by lane, row after row.
    pub rows: Vec<u32>,
    /// Whether some were looked into already, so that all have to be.
    pub begun: bool,
    writes: bool,
    reads: bool,
    atomics: bool,
    combines: bool,
    /// Atomic loads and stores.
    moves: bool,
    /// Which words hold something, and how many do not.
    written: Vec<bool>,
    unwritten: usize,
    /// By word, who wrote it last: the number of the look, and the lane.
    writers: Vec<(u32, u32)>,
    looks: u32,
}

impl Epoch {
    /// Begins a workgroup with a variable of so many words.
    pub(super) fn start(&mut self, words: usize) {
        self.clear();
        self.written.clear();
        self.written.resize(words, false);
        self.unwritten = words;
    }

    /// Begins behind a barrier.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.rows.clear();
        (self.begun, self.writes, self.reads, self.atomics) = (false, false, false, false);
        (self.combines, self.moves) = (false, false);
    }

    /// Whether every word holds something.
    pub(super) fn is_written(&self) -> bool {
        self.unwritten == 0
    }

    /// Notes that something is put into words; answers whether they all held something before.
    pub(super) fn write(&mut self, words: std::ops::Range<usize>) -> bool {
        let mut before = true;
        for word in self.written.get_mut(words).into_iter().flatten() {
            before &= *word;
            self.unwritten -= usize::from(!*word);
            *word = true;
        }
        before
    }

    /// Whether words all hold something.
    pub(super) fn holds(&self, words: std::ops::Range<usize>) -> bool {
        self.written.get(words).is_none_or(|words| words.iter().all(|&written| written))
    }

    /// Notes accesses; `row` has addresses and `mask` all ones for each lane that is there, `same` says
    /// that all lanes are and mean one address.
    pub(super) fn note(&mut self, entry: Entry, row: Option<&[Cell<u32>]>, mask: &[Cell<u32>], same: bool) {
        let who = match row {
            _ if same && entry.how == How::Read => {
                let last = mask.len() as u32 - 1;
                Who::Same { lanes: [0, last], address: row.map_or(0, |row| row[0].get()) }
            }
            _ => {
                let start = self.rows.len();
                match row {
                    Some(row) => self.rows.extend(row.iter().zip(mask).map(|(addr, mask)| addr.get() | !mask.get())),
                    None => self.rows.extend(mask.iter().map(|mask| !mask.get())),
                }
                Who::Row(start)
            }
        };
        match entry.how {
            How::Read => self.reads = true,
            How::Write => self.writes = true,
            _ => self.atomics = true,
        }
        self.combines |= entry.how == How::AtomicCombine;
        self.moves |= matches!(entry.how, How::AtomicLoad | How::AtomicStore);
        self.entries.push(Entry { who, ..entry });
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= MOST_WORDS || self.entries.len() >= MOST_WORDS
    }

    /// Whether some combine what others load or store.
    pub(super) fn mixes_atomics(&self) -> bool {
        self.combines && self.moves
    }

    /// Whether any two of the accesses may conflict, to a variable that begins at `base`.
    pub(super) fn may_race(&mut self, base: u32, lanes: usize) -> bool {
        match (self.writes, self.reads, self.atomics) {
            (false, false, _) | (false, true, false) => false,
            (true, false, false) => match &self.entries[..] {
                [Entry { who: Who::Row(start), .. }] if !self.begun => {
                    !are_distinct(&self.rows[*start..*start + lanes])
                }
                _ => self.begun || self.writes_meet(base, lanes),
            },
            _ => true,
        }
    }

    /// Whether two lanes write the same word, where all accesses are writes.
    fn writes_meet(&mut self, base: u32, lanes: usize) -> bool {
        self.writers.resize(self.written.len(), (0, 0));
        self.looks += 1;
        for entry in &self.entries {
            let Who::Row(start) = entry.who else { return true };
            let words = Lane::of(entry.ty).words() as usize;
            for (lane, &addr) in self.rows[start..start + lanes].iter().enumerate() {
                if addr == NOWHERE {
                    continue;
                }
                let word = (addr + entry.place.offset - base) as usize;
                for writer in self.writers.get_mut(word..word + words).into_iter().flatten() {
                    let own = (self.looks, lane as u32);
                    if writer.0 == self.looks && *writer != own {
                        return true;
                    }
                    *writer = own;
                }
            }
        }
        false
    }
}

/// Whether all lanes have an address, each as far from the one before.
fn are_distinct(row: &[u32]) -> bool {
    let stride = match row {
        [first, second, ..] => second.wrapping_sub(*first),
        _ => return true,
    };
    // So many steps of a small stride do not come round.
    let small = stride != 0 && (stride as i32).unsigned_abs() < 1 << 16 && row.len() < 1 << 15;
    small && !row.contains(&NOWHERE) && row.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == stride)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Root;

    #[test]
    fn only_a_line_of_addresses_is_known_to_be_distinct() {
        assert!(are_distinct(&[4, 5, 6, 7]));
        assert!(are_distinct(&[9, 6, 3, 0]));
        assert!(are_distinct(&[4]));
        assert!(!are_distinct(&[4, 4, 4]));
        assert!(!are_distinct(&[4, 5, 7]));
        assert!(!are_distinct(&[NOWHERE - 1, NOWHERE]));
        assert!(!are_distinct(&[0, 1 << 31, 0]));
    }

    #[test]
    fn words_are_written_once() {
        let mut epoch = Epoch::default();
        epoch.start(3);
        assert!(!epoch.write(0..2) && epoch.write(1..2) && !epoch.is_written());
        assert!(epoch.holds(0..2) && !epoch.holds(1..3));
        assert!(!epoch.write(2..3) && epoch.is_written());
    }

    #[test]
    fn writes_meet_where_two_lanes_have_one_word() {
        let write = |offset: u32| Entry {
            at: Span::default(),
            place: Place { root: Root::Workgroup, addr: Some(0), offset, var: 0, atomic: false },
            ty: Scalar::U32,
            how: How::Write,
            who: Who::Row(0),
        };
        let mask = [const { Cell::new(u32::MAX) }; 3];
        let may_race = |rows: &[([u32; 3], u32)]| {
            let mut epoch = Epoch::default();
            epoch.start(16);
            for &(row, offset) in rows {
                epoch.note(write(10 + offset), Some(&row.map(Cell::new)), &mask, false);
            }
            epoch.may_race(10, 3)
        };
        assert!(!may_race(&[([0, 9, 3], 0), ([0, 9, 3], 1)]));
        assert!(!may_race(&[([0, 9, 3], 0), ([0, 9, 3], 0)]), "each lane its own word, twice");
        assert!(may_race(&[([0, 9, 3], 0), ([2, 9, 1], 1)]), "lanes 2 and 0 at 3");
        assert!(may_race(&[([0, 9, 0], 0)]));
        assert!(!may_race(&[([0, NOWHERE, NOWHERE], 0), ([5, NOWHERE, 7], 0)]));
    }
}
