//! Atomics: real ones on buffers, plain ones on workgroup memory, which one thread owns.

use std::sync::atomic::Ordering::Relaxed;

use super::exec::Run;
use crate::ir::{Atomic, Lane, NOWHERE, Place, Reg, Root};
use crate::layout::Scalar;

impl Run<'_> {
    pub(super) fn atomic(&self, op: Atomic, ty: Scalar, dst: Reg, place: &Place, value: Reg) {
        let lane = Lane::of(ty);
        for at in self.active_lanes() {
            let value = self.bits(value, lane, at);
            let old = self.update(ty, place, at, |old| Some(combine(op, ty, old, value)));
            self.set_bits(dst, lane, at, old.unwrap_or(0));
        }
    }

    pub(super) fn compare_exchange(
        &self,
        ty: Scalar,
        old: Reg,
        exchanged: Reg,
        place: &Place,
        compare: Reg,
        value: Reg,
    ) {
        let lane = Lane::of(ty);
        for at in self.active_lanes() {
            let (compare, value) = (self.bits(compare, lane, at), self.bits(value, lane, at));
            let found = self.update(ty, place, at, |old| (old == compare).then_some(value));
            self.set_bits(old, lane, at, found.unwrap_or(0));
            let done = found == Some(compare);
            self.state.file.row(exchanged)[at].set(if done { u32::MAX } else { 0 });
        }
    }

    /// Replaces what lies at a lane's place by `f` of it, if `f` has a value; answers what lay there, or
    /// none where the place is out of bounds.
    fn update(&self, ty: Scalar, place: &Place, lane: usize, f: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let addr = place.addr.map_or(0, |addr| self.state.file.row(addr)[lane].get());
        if addr == NOWHERE {
            return None;
        }
        let at = addr as usize + place.offset as usize;
        let wide = Lane::of(ty).words() == 2;
        match place.root {
            Root::Binding(slot) if wide => {
                let word = self.context.args[slot as usize].long_words().get(at / 8)?;
                Some(word.fetch_update(Relaxed, Relaxed, f).unwrap_or_else(|old| old))
            }
            Root::Binding(slot) => {
                let word = self.context.args[slot as usize].words().get(at / 4)?;
                let narrow = |old: u32| f(old.into()).map(|new| new as u32);
                Some(word.fetch_update(Relaxed, Relaxed, narrow).unwrap_or_else(|old| old).into())
            }
            Root::Workgroup => {
                let low = self.state.workgroup.get(at)?;
                let high = if wide { Some(self.state.workgroup.get(at + 1)?) } else { None };
                let old = u64::from(low.get()) | high.map_or(0, |high| u64::from(high.get()) << 32);
                if let Some(new) = f(old) {
                    low.set(new as u32);
                    if let Some(high) = high {
                        high.set((new >> 32) as u32);
                    }
                }
                Some(old)
            }
            Root::Local => None,
        }
    }

    /// The bits of a register in one lane.
    pub(super) fn bits(&self, reg: Reg, ty: Lane, lane: usize) -> u64 {
        let low = u64::from(self.state.file.row(reg)[lane].get());
        match ty.words() {
            2 => low | u64::from(self.state.file.row(reg + 1)[lane].get()) << 32,
            _ => low,
        }
    }

    pub(super) fn set_bits(&self, reg: Reg, ty: Lane, lane: usize, bits: u64) {
        self.state.file.row(reg)[lane].set(bits as u32);
        if ty.words() == 2 {
            self.state.file.row(reg + 1)[lane].set((bits >> 32) as u32);
        }
    }
}

fn combine(op: Atomic, ty: Scalar, old: u64, value: u64) -> u64 {
    if ty == Scalar::F32 {
        let [a, b] = [old, value].map(|bits| f32::from_bits(bits as u32));
        let result = match op {
            Atomic::Sub => a - b,
            Atomic::Exchange => b,
            // naga allows no more than these three.
            _ => a + b,
        };
        return result.to_bits().into();
    }
    // Sign extension makes one comparison do for both widths.
    let signed = |bits: u64| {
        if ty == Scalar::I32 { i64::from(bits as u32 as i32) } else { bits as i64 }
    };
    let less = match ty {
        Scalar::I32 | Scalar::I64 => signed(value) < signed(old),
        _ => value < old,
    };
    match op {
        Atomic::Add => old.wrapping_add(value),
        Atomic::Sub => old.wrapping_sub(value),
        Atomic::And => old & value,
        Atomic::Or => old | value,
        Atomic::Xor => old ^ value,
        Atomic::Min => {
            if less {
                value
            } else {
                old
            }
        }
        Atomic::Max => {
            if less {
                old
            } else {
                value
            }
        }
        Atomic::Exchange => value,
    }
}
