//! The shadows of the bound buffers. Bindings that share bytes share a shadow.

use super::name;
use super::shadow::Table;
use crate::memory::Memory;
use crate::reflect::{Access, Slot};

#[derive(Debug)]
pub(super) struct Bindings {
    tables: Vec<Table>,
    /// By binding.
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// Which table.
    table: usize,
    /// Where in it the binding begins.
    start: usize,
    /// Whether one of those that share it may be written.
    racing: bool,
    /// Whether nobody has written there.
    fresh: bool,
}

impl Bindings {
    pub(super) fn new(slots: &[Slot], args: &[Memory<'_>]) -> Self {
        let mut order: Vec<usize> = (0..args.len()).collect();
        order.sort_by_key(|&slot| args[slot].addresses().start);
        let mut tables: Vec<Table> = Vec::new();
        let mut places = vec![Place { table: 0, start: 0, racing: false, fresh: false }; args.len()];
        let overlaps = |from: usize, to: usize| args[from].addresses().start < to;
        for run in chunks(&order, |slot| args[slot].addresses().end, overlaps) {
            let first = args[run[0]].addresses().start;
            let end = run.iter().map(|&slot| args[slot].addresses().end).max().unwrap_or(first);
            let halves = run.iter().any(|&slot| name::has_halves(&slots[slot].layout));
            let racing = run.iter().any(|&slot| slots[slot].access == Access::ReadWrite);
            let fresh = run.iter().all(|&slot| args[slot].is_fresh());
            for &slot in run {
                let start = args[slot].addresses().start - first;
                places[slot] = Place { table: tables.len(), start, racing, fresh };
            }
            tables.push(Table::new(end - first, if halves { 2 } else { 4 }, !fresh));
        }
        Self { tables, places }
    }

    /// A binding's table, where in it the binding begins, and whether races are possible.
    pub(super) fn of(&mut self, slot: u32) -> (&mut Table, usize, bool) {
        let Place { table, start, racing, .. } = self.places[slot as usize];
        (&mut self.tables[table], start, racing)
    }

    /// Whether no access in bounds can be wrong.
    pub(super) fn is_harmless(&self, slot: u32) -> bool {
        let Place { racing, fresh, .. } = self.places[slot as usize];
        !racing && !fresh
    }
}

/// Cuts where the next one begins behind everything so far.
fn chunks(order: &[usize], end: impl Fn(usize) -> usize, overlaps: impl Fn(usize, usize) -> bool) -> Vec<&[usize]> {
    let mut all = Vec::new();
    let mut start = 0;
    let mut reach = 0;
    for (at, &slot) in order.iter().enumerate() {
        if at > start && !overlaps(slot, reach) {
            all.push(&order[start..at]);
            start = at;
            reach = 0;
        }
        reach = reach.max(end(slot));
    }
    if start < order.len() {
        all.push(&order[start..]);
    }
    all
}
