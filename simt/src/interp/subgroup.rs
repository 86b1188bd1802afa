//! Subgroup operations: among the active ones of so many lanes in a row.

use super::exec::Run;
use crate::ir::{Collective, Combine, Gather, Lane, Reg, SUBGROUP};

impl Run<'_> {
    /// Calls `f` for each active lane with the active lanes of its subgroup, in order.
    fn by_subgroup(&self, f: impl Fn(usize, &[usize])) {
        let lanes: Vec<usize> = self.active_lanes().collect();
        for group in lanes.chunk_by(|a, b| a / SUBGROUP as usize == b / SUBGROUP as usize) {
            for &lane in group {
                f(lane, group);
            }
        }
    }

    pub(super) fn ballot(&self, dst: Reg, cond: Option<Reg>) {
        let file = &self.state.file;
        self.by_subgroup(|lane, group| {
            let voted = |&&lane: &&usize| cond.is_none_or(|cond| file.row(cond)[lane].get() != 0);
            let bits = group.iter().filter(voted).map(|lane| 1 << (lane % SUBGROUP as usize)).sum();
            file.row(dst)[lane].set(bits);
            (1..4).for_each(|word| file.row(dst + word)[lane].set(0));
        });
    }

    /// From an inactive lane, or one outside the subgroup, comes zero.
    pub(super) fn gather(&self, mode: Gather, ty: Lane, dst: Reg, value: Reg, index: Option<Reg>) {
        self.by_subgroup(|lane, group| {
            let own = lane as u32 % SUBGROUP;
            let index = index.map_or(0, |index| self.state.file.row(index)[lane].get());
            let from = match mode {
                Gather::BroadcastFirst => group[0] as u32 % SUBGROUP,
                Gather::Broadcast | Gather::Shuffle => index,
                Gather::ShuffleDown => own.saturating_add(index),
                Gather::ShuffleUp => own.wrapping_sub(index),
                Gather::ShuffleXor => own ^ index,
                Gather::QuadBroadcast => own & !3 | index & 3,
                Gather::QuadSwap(bits) => own ^ u32::from(bits),
            };
            let start = lane - own as usize;
            let found = group.iter().find(|&&other| (other - start) as u32 == from);
            let bits = found.map_or(0, |&other| self.bits(value, ty, other));
            self.set_bits(dst, ty, lane, bits);
        });
    }

    pub(super) fn collective(&self, op: Combine, how: Collective, ty: Lane, dst: Reg, value: Reg) {
        self.by_subgroup(|lane, group| {
            let reached = |&&other: &&usize| match how {
                Collective::Reduce => true,
                Collective::Inclusive => other <= lane,
                Collective::Exclusive => other < lane,
            };
            let values = group.iter().filter(reached).map(|&other| self.bits(value, ty, other));
            let result = values.fold(identity(op, ty), |all, next| combine(op, ty, all, next));
            self.set_bits(dst, ty, lane, result);
        });
    }
}

/// What changes nothing when combined with.
fn identity(op: Combine, ty: Lane) -> u64 {
    match (op, ty) {
        (Combine::All | Combine::And, _) => u64::MAX,
        (Combine::Any | Combine::Or | Combine::Xor | Combine::Add, _) => 0,
        (Combine::Mul, Lane::F32) => 1.0_f32.to_bits().into(),
        (Combine::Mul, Lane::F64) => 1.0_f64.to_bits(),
        (Combine::Mul, _) => 1,
        (Combine::Min, Lane::F32) => f32::INFINITY.to_bits().into(),
        (Combine::Min, Lane::F64) => f64::INFINITY.to_bits(),
        (Combine::Min, Lane::I32) => i32::MAX as u64,
        (Combine::Min, Lane::I64) => i64::MAX as u64,
        (Combine::Min, _) => u64::MAX,
        (Combine::Max, Lane::F32) => f32::NEG_INFINITY.to_bits().into(),
        (Combine::Max, Lane::F64) => f64::NEG_INFINITY.to_bits(),
        (Combine::Max, Lane::I32) => i32::MIN as u64,
        (Combine::Max, Lane::I64) => i64::MIN as u64,
        (Combine::Max, _) => 0,
    }
}

fn combine(op: Combine, ty: Lane, a: u64, b: u64) -> u64 {
    macro_rules! number {
        ($from:expr, $to:expr, $add:expr, $mul:expr) => {{
            let (x, y) = ($from(a), $from(b));
            let result = match op {
                Combine::Add => $add(x, y),
                Combine::Mul => $mul(x, y),
                Combine::Min => {
                    if y < x {
                        y
                    } else {
                        x
                    }
                }
                _ => {
                    if x < y {
                        y
                    } else {
                        x
                    }
                }
            };
            $to(result)
        }};
    }
    match (op, ty) {
        (Combine::All | Combine::And, _) => a & b,
        (Combine::Any | Combine::Or, _) => a | b,
        (Combine::Xor, _) => a ^ b,
        (_, Lane::I32) => {
            number!(|v| v as u32 as i32, |v| v as u32 as u64, i32::wrapping_add, i32::wrapping_mul)
        }
        (_, Lane::U32 | Lane::Bool) => {
            number!(|v| v as u32, u64::from, u32::wrapping_add, u32::wrapping_mul)
        }
        (_, Lane::I64) => number!(|v| v as i64, |v| v as u64, i64::wrapping_add, i64::wrapping_mul),
        (_, Lane::U64) => number!(|v: u64| v, |v: u64| v, u64::wrapping_add, u64::wrapping_mul),
        (_, Lane::F32) => number!(
            |v| f32::from_bits(v as u32),
            |v: f32| u64::from(v.to_bits()),
            |x: f32, y: f32| x + y,
            |x: f32, y: f32| x * y
        ),
        (_, Lane::F64) => number!(f64::from_bits, f64::to_bits, |x: f64, y: f64| x + y, |x: f64, y: f64| x * y),
    }
}
