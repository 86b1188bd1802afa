//! Loads and stores. An address out of bounds loads zero and stores nothing.

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::exec::Run;
use super::lanes::Row;
use super::state::PAD;
use super::vector;
use crate::half;
use crate::ir::{Lane, NOWHERE, Place, Reg, Root};
use crate::layout::Scalar;

/// Words that can be read and written through a shared reference.
trait Words {
    fn count(&self) -> usize;
    fn read(&self, at: usize) -> u32;
    fn write(&self, at: usize, value: u32);
    /// Reads neighbours, all of which must be there.
    fn read_row(&self, at: usize, to: Row<'_>);
    /// Writes neighbours, all of which must be there.
    fn write_row(&self, at: usize, from: Row<'_>);
}

impl Words for [AtomicU32] {
    fn count(&self) -> usize {
        self.len()
    }
    #[inline(always)]
    fn read(&self, at: usize) -> u32 {
        self[at].load(Ordering::Relaxed)
    }
    #[inline(always)]
    fn write(&self, at: usize, value: u32) {
        self[at].store(value, Ordering::Relaxed);
    }
    #[inline(always)]
    fn read_row(&self, at: usize, to: Row<'_>) {
        for (word, cell) in self[at..at + to.len()].iter().zip(to) {
            cell.set(word.load(Ordering::Relaxed));
        }
    }
    #[inline(always)]
    fn write_row(&self, at: usize, from: Row<'_>) {
        for (word, cell) in self[at..at + from.len()].iter().zip(from) {
            word.store(cell.get(), Ordering::Relaxed);
        }
    }
}

impl Words for [Cell<u32>] {
    fn count(&self) -> usize {
        self.len()
    }
    #[inline(always)]
    fn read(&self, at: usize) -> u32 {
        self[at].get()
    }
    #[inline(always)]
    fn write(&self, at: usize, value: u32) {
        self[at].set(value);
    }
    #[inline(always)]
    fn read_row(&self, at: usize, to: Row<'_>) {
        for (word, cell) in self[at..at + to.len()].iter().zip(to) {
            cell.set(word.get());
        }
    }
    #[inline(always)]
    fn write_row(&self, at: usize, from: Row<'_>) {
        for (word, cell) in self[at..at + from.len()].iter().zip(from) {
            word.set(cell.get());
        }
    }
}

/// Lanes whose loads are looked at together; rows are padded to a multiple.
const BLOCK: usize = PAD as usize;

/// How the addresses of some neighbours lie.
enum Pattern {
    /// One word for all.
    Same(usize),
    /// Neighbouring lanes, neighbouring words.
    Row(usize),
    /// Anything.
    Scattered,
}

/// Addresses of the lanes, in units of `1 / 2^shift` words, to words.
#[derive(Clone, Copy)]
struct Addresses<'a> {
    row: Option<Row<'a>>,
    offset: u64,
    shift: u32,
}

impl Addresses<'_> {
    #[inline(always)]
    fn word(&self, lane: usize) -> usize {
        let addr = self.row.map_or(0, |row| row[lane].get());
        ((u64::from(addr) + self.offset) >> self.shift) as usize
    }

    #[inline(always)]
    fn pattern(&self, lanes: Range<usize>) -> Pattern {
        let Some(row) = self.row else {
            return Pattern::Same(self.word(0));
        };
        let (start, row) = (lanes.start, &row[lanes]);
        let (first, shift) = (row[0].get(), self.shift);
        let (mut same, mut in_row) = (0, 0);
        for (lane, cell) in row.iter().enumerate() {
            let offset = cell.get().wrapping_sub(first);
            same |= offset;
            in_row |= offset ^ ((lane as u32) << shift);
        }
        match (same, in_row) {
            (0, _) => Pattern::Same(self.word(start)),
            (_, 0) => Pattern::Row(self.word(start)),
            _ => Pattern::Scattered,
        }
    }
}

impl Run<'_> {
    pub(super) fn load(&self, dst: Reg, ty: Scalar, place: &Place) {
        match place.root {
            Root::Local => self.load_local(dst, Lane::of(ty).words(), place),
            Root::Workgroup => {
                for word in 0..Lane::of(ty).words() {
                    self.load_words(dst + word, self.state.workgroup.as_slice(), place, word, 0);
                }
            }
            Root::Binding(slot) => {
                let memory = &self.context.args[slot as usize];
                if ty.bytes() == 2 {
                    return self.load_halves(dst, ty, place);
                }
                if place.atomic && ty.bytes() == 8 {
                    return self.load_whole(dst, ty, place, memory.long_words());
                }
                for word in 0..Lane::of(ty).words() {
                    self.load_words(dst + word, memory.words(), place, 4 * word, 2);
                }
            }
        }
    }

    fn addresses(&self, place: &Place, extra: u32, shift: u32) -> Addresses<'_> {
        let row = place.addr.map(|addr| self.state.file.row(addr));
        Addresses { row, offset: u64::from(place.offset) + u64::from(extra), shift }
    }

    fn load_words<W: Words + ?Sized>(&self, dst: Reg, words: &W, place: &Place, extra: u32, shift: u32) {
        let addresses = self.addresses(place, extra, shift);
        let to = self.state.file.row(dst);
        let count = words.count();
        if addresses.row.is_none() {
            let at = addresses.word(0);
            let value = if at < count { words.read(at) } else { 0 };
            return to.iter().for_each(|cell| cell.set(value));
        }
        // Rows and columns of a tile follow each other in blocks of lanes.
        vector::run(self.state.file.vector, move || {
            for start in (0..to.len()).step_by(BLOCK) {
                let lanes = start..start + BLOCK;
                let to = &to[lanes.clone()];
                match addresses.pattern(lanes) {
                    Pattern::Same(at) => {
                        let value = if at < count { words.read(at) } else { 0 };
                        to.iter().for_each(|cell| cell.set(value));
                    }
                    Pattern::Row(at) if at.saturating_add(BLOCK) <= count => words.read_row(at, to),
                    _ => {
                        for (lane, cell) in (start..).zip(to) {
                            let at = addresses.word(lane);
                            cell.set(if at < count { words.read(at) } else { 0 });
                        }
                    }
                }
            }
        });
    }

    fn load_halves(&self, dst: Reg, ty: Scalar, place: &Place) {
        let Root::Binding(slot) = place.root else {
            return;
        };
        let memory = &self.context.args[slot as usize];
        let addresses = self.addresses(place, 0, 0);
        for (lane, cell) in self.state.file.row(dst)[..self.lanes as usize].iter().enumerate() {
            let bits = memory.half(addresses.word(lane)).unwrap_or(0);
            cell.set(match ty {
                Scalar::F16 => half::to_f32(bits).to_bits(),
                Scalar::I16 => i32::from(bits as i16) as u32,
                _ => bits.into(),
            });
        }
    }

    /// 64-bit atomics of a buffer: other threads must not see, nor leave, half of one.
    fn load_whole(&self, dst: Reg, ty: Scalar, place: &Place, words: &[AtomicU64]) {
        let addresses = self.addresses(place, 0, 3);
        for lane in 0..self.lanes as usize {
            let word = words.get(addresses.word(lane));
            self.set_bits(dst, Lane::of(ty), lane, word.map_or(0, |word| word.load(Ordering::Relaxed)));
        }
    }

    fn store_whole(&self, src: Reg, ty: Scalar, place: &Place, words: &[AtomicU64]) {
        let addresses = self.addresses(place, 0, 3);
        for lane in self.active_lanes() {
            if let Some(word) = words.get(addresses.word(lane)) {
                word.store(self.bits(src, Lane::of(ty), lane), Ordering::Relaxed);
            }
        }
    }

    /// The lane's own registers: every lane may mean another one.
    fn load_local(&self, dst: Reg, words: u32, place: &Place) {
        let file = &self.state.file;
        let addr = place.addr.map(|addr| file.row(addr));
        for word in 0..words {
            for (lane, cell) in file.row(dst + word)[..self.lanes as usize].iter().enumerate() {
                let addr = addr.map_or(0, |row| row[lane].get());
                let value = if addr == NOWHERE { 0 } else { file.row(place.offset + addr + word)[lane].get() };
                cell.set(value);
            }
        }
    }

    pub(super) fn store(&self, src: Reg, ty: Scalar, place: &Place) {
        let file = &self.state.file;
        match place.root {
            Root::Local => {
                let addr = place.addr.map(|addr| file.row(addr));
                for word in 0..Lane::of(ty).words() {
                    let from = file.row(src + word);
                    for lane in self.active_lanes() {
                        let addr = addr.map_or(0, |row| row[lane].get());
                        if addr != NOWHERE {
                            file.row(place.offset + addr + word)[lane].set(from[lane].get());
                        }
                    }
                }
            }
            Root::Workgroup => {
                for word in 0..Lane::of(ty).words() {
                    self.store_words(src + word, self.state.workgroup.as_slice(), place, word, 0);
                }
            }
            Root::Binding(slot) => {
                let memory = &self.context.args[slot as usize];
                if place.atomic && ty.bytes() == 8 {
                    return self.store_whole(src, ty, place, memory.long_words());
                }
                if ty.bytes() != 2 {
                    for word in 0..Lane::of(ty).words() {
                        self.store_words(src + word, memory.words(), place, 4 * word, 2);
                    }
                    return;
                }
                let (from, addresses) = (file.row(src), self.addresses(place, 0, 0));
                for lane in self.active_lanes() {
                    let bits = from[lane].get();
                    let half = match ty {
                        Scalar::F16 => half::from_f32(f32::from_bits(bits)),
                        _ => bits as u16,
                    };
                    memory.set_half(addresses.word(lane), half);
                }
            }
        }
    }

    fn store_words<W: Words + ?Sized>(&self, src: Reg, words: &W, place: &Place, extra: u32, shift: u32) {
        let addresses = self.addresses(place, extra, shift);
        let from = &self.state.file.row(src)[..self.lanes as usize];
        let count = words.count();
        if let Pattern::Row(at) = vector::run(self.state.file.vector, || addresses.pattern(0..from.len()))
            && self.full()
            && at.saturating_add(from.len()) <= count
        {
            words.write_row(at, from);
            return;
        }
        for lane in self.active_lanes() {
            let at = addresses.word(lane);
            if at < count {
                words.write(at, from[lane].get());
            }
        }
    }
}
