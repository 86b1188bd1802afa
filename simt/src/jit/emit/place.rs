//! Addresses: where the lanes of a block read and write, and whether they may.

use std::rc::Rc;

use super::value::{Kind, Val};
use super::*;
use crate::ir::{Len, NOWHERE, Place, Reg, Root};

/// An address in each lane, and what must hold for it to be inside.
#[derive(Debug)]
pub(super) struct Addr {
    /// In the unit of its memory.
    offset: Val,
    inside: Vec<Check>,
}

/// Something that must hold.
#[derive(Clone, Debug)]
enum Check {
    /// For all lanes at once; an `i8`.
    One(Value),
    /// `index < len` in each lane; `all` says whether it holds in every one.
    Line { index: Val, len: Value, all: Value },
    /// In each lane.
    Lanes(Lanes),
}

/// Where the lanes of a block go, as addresses of the machine.
pub(super) enum Where {
    /// To one scalar, which reads as zero if it is outside.
    One(Value),
    /// To scalars so many bytes apart, if `all` holds.
    Line { at: Value, step: u32, all: Option<Value> },
    /// Anywhere.
    Each,
}

impl Emit<'_, '_> {
    pub(super) fn index(&mut self, dst: Reg, base: Option<Reg>, index: Reg, stride: u32, len: Len) {
        let index = self.get(index);
        let len = match len {
            Len::Fixed(len) => self.word(len),
            Len::Runtime(slot) => self.buffers[slot as usize].1,
        };
        let mut inside = Vec::new();
        let mut offset = None;
        if let Some(base) = base {
            let base = self.address_of(base);
            inside.extend_from_slice(&base.inside);
            offset = Some(base.offset.clone());
        }
        let index = match index {
            Val::Line { base, step } if step > 0 && step < 1 << 16 => Val::Line { base, step },
            Val::One(index) => Val::One(self.cast_one(index, Kind::Bits)),
            other => Val::Lanes(self.lanes_of(&other, Kind::Bits)),
        };
        // What pads the last block may hold anything.
        let whole = self.lane.is_none() || self.lane_count().is_multiple_of(self.width());
        let known = whole && self.input.plan.shapes.is_inside(dst, self.mask == flow::Mask::Full);
        let check = (!known).then(|| match &index {
            Val::One(index) => Check::One(self.b.ins().icmp(IntCC::UnsignedLessThan, *index, len)),
            Val::Line { base, step } => {
                // The last lane is inside, and none wraps: `base < len - reach`.
                let reach = self.word(step * (self.width() - 1));
                let above = self.b.ins().icmp(IntCC::UnsignedGreaterThan, len, reach);
                let room = self.b.ins().isub(len, reach);
                let none = self.word(0);
                let room = self.b.ins().select(above, room, none);
                let all = self.b.ins().icmp(IntCC::UnsignedLessThan, *base, room);
                Check::Line { index: index.clone(), len, all }
            }
            other => {
                let lanes = self.lanes_of(other, Kind::Bits);
                let len = self.b.ins().splat(I32X4, len);
                Check::Lanes(self.each(|e, i| e.b.ins().icmp(IntCC::UnsignedLessThan, lanes[i], len)))
            }
        });
        inside.extend(check);
        let scaled = self.scaled(&index, stride);
        let offset = match offset {
            Some(base) => self.sum(&base, &scaled),
            None => scaled,
        };
        let value = Val::Addr(Rc::new(Addr { offset, inside }));
        self.set(dst, value, false);
    }

    /// An address register; one that was kept as words has lost all but them.
    fn address_of(&mut self, reg: Reg) -> Rc<Addr> {
        match self.get(reg) {
            Val::Addr(addr) => addr,
            Val::One(at) => {
                let at = self.cast_one(at, Kind::Bits);
                let inside = self.b.ins().icmp_imm_u(IntCC::NotEqual, at, i64::from(NOWHERE));
                Rc::new(Addr { offset: Val::One(at), inside: vec![Check::One(inside)] })
            }
            value => {
                let lanes = self.lanes_of(&value, Kind::Bits);
                let nowhere = self.quad([NOWHERE; 4]);
                let inside = self.each(|e, i| e.b.ins().icmp(IntCC::NotEqual, lanes[i], nowhere));
                Rc::new(Addr { offset: Val::Lanes(lanes), inside: vec![Check::Lanes(inside)] })
            }
        }
    }

    /// The address as one word, [`NOWHERE`] where it is outside.
    pub(super) fn address_lanes(&mut self, addr: &Addr) -> Lanes {
        let offset = self.lanes_of(&addr.offset, Kind::Bits);
        let Some(inside) = self.inside_lanes(addr) else {
            return offset;
        };
        self.each(|e, i| e.b.ins().bor_not(offset[i], inside[i]))
    }

    /// The address as one word, if it is the same in all lanes.
    pub(super) fn address_one(&mut self, addr: &Addr) -> Option<Value> {
        let Val::One(offset) = addr.offset else {
            return None;
        };
        let offset = self.cast_one(offset, Kind::Bits);
        let nowhere = self.word(NOWHERE);
        Some(match self.all_inside(addr) {
            Some(inside) => self.b.ins().select(inside, offset, nowhere),
            None => offset,
        })
    }

    /// Where each lane's address is inside; none if they all are.
    fn inside_lanes(&mut self, addr: &Addr) -> Option<Lanes> {
        let mut all: Option<Lanes> = None;
        for check in &addr.inside {
            let lanes = match check {
                Check::One(one) => self.lanes_of(&Val::One(*one), Kind::Truth),
                Check::Line { index, len, .. } => {
                    let index = self.lanes_of(index, Kind::Bits);
                    let len = self.b.ins().splat(I32X4, *len);
                    self.each(|e, i| e.b.ins().icmp(IntCC::UnsignedLessThan, index[i], len))
                }
                Check::Lanes(lanes) => *lanes,
            };
            all = Some(match all {
                Some(all) => self.each(|e, i| e.b.ins().band(all[i], lanes[i])),
                None => lanes,
            });
        }
        all
    }

    /// Whether every lane's address is inside; none if that is sure.
    fn all_inside(&mut self, addr: &Addr) -> Option<Value> {
        let mut all: Option<Value> = None;
        for check in &addr.inside {
            let one = match check {
                Check::One(one) | Check::Line { all: one, .. } => *one,
                Check::Lanes(lanes) => self.every(*lanes),
            };
            all = Some(match all {
                Some(all) => self.b.ins().band(all, one),
                None => one,
            });
        }
        all
    }

    /// Whether a condition holds in every lane of the block.
    pub(super) fn every(&mut self, lanes: Lanes) -> Value {
        let all = (1..self.vectors).fold(lanes[0], |all, i| self.b.ins().band(all, lanes[i]));
        self.b.ins().vall_true(all)
    }

    fn scaled(&mut self, value: &Val, by: u32) -> Val {
        match value {
            Val::One(value) => Val::One(self.b.ins().imul_imm_u(*value, i64::from(by))),
            Val::Line { base, step } => {
                Val::Line { base: self.b.ins().imul_imm_u(*base, i64::from(by)), step: step.wrapping_mul(by) }
            }
            other => {
                let lanes = self.lanes_of(other, Kind::Bits);
                Val::Lanes(self.times(lanes, by))
            }
        }
    }

    fn times(&mut self, lanes: Lanes, by: u32) -> Lanes {
        if by == 1 {
            return lanes;
        }
        let shift = self.word(by.trailing_zeros());
        let factor = self.quad([by; 4]);
        self.each(
            |e, i| {
                if by.is_power_of_two() { e.b.ins().ishl(lanes[i], shift) } else { e.b.ins().imul(lanes[i], factor) }
            },
        )
    }

    /// `a + b` in the cheapest form.
    pub(super) fn sum(&mut self, a: &Val, b: &Val) -> Val {
        match (a, b) {
            (Val::One(a), Val::One(b)) => {
                let [a, b] = [*a, *b].map(|value| self.cast_one(value, Kind::Bits));
                Val::One(self.b.ins().iadd(a, b))
            }
            (Val::Line { base, step }, Val::One(one)) | (Val::One(one), Val::Line { base, step }) => {
                let one = self.cast_one(*one, Kind::Bits);
                Val::Line { base: self.b.ins().iadd(*base, one), step: *step }
            }
            (Val::Line { base: a, step: s }, Val::Line { base: b, step: t }) => {
                Val::Line { base: self.b.ins().iadd(*a, *b), step: s.wrapping_add(*t) }
            }
            (a, b) => {
                let (a, b) = (self.lanes_of(a, Kind::Bits), self.lanes_of(b, Kind::Bits));
                Val::Lanes(self.each(|e, i| e.b.ins().iadd(a[i], b[i])))
            }
        }
    }

    /// Where a memory begins, and how many bytes its unit has.
    fn memory(&mut self, root: Root) -> (Value, u32) {
        match root {
            Root::Binding(slot) => (self.buffers[slot as usize].0, 1),
            Root::Workgroup => (self.shared, 4),
            Root::Local => {
                let (at, _) = self.row_address(0);
                (at, self.input.padded * 4)
            }
        }
    }

    /// The byte where the variable of a place begins, as an address.
    fn origin(&mut self, place: &Place, extra: u32) -> Value {
        let (start, unit) = self.memory(place.root);
        let offset = match place.root {
            Root::Local => self.local_row(place.offset),
            _ => place.offset,
        };
        let bytes = i64::from(offset) * i64::from(unit) + i64::from(extra);
        self.b.ins().iadd_imm_s(start, bytes)
    }

    /// The row of a register that is indexed at run time.
    fn local_row(&self, reg: Reg) -> u32 {
        match self.home(reg) {
            Home::Memory(row) => row,
            _ => 0,
        }
    }

    /// Where the word `extra` bytes behind a place lies.
    pub(super) fn place(&mut self, place: &Place, extra: u32) -> Where {
        let origin = self.origin(place, extra);
        let (_, unit) = self.memory(place.root);
        let addr = match place.addr {
            None => Rc::new(Addr { offset: Val::One(self.word(0)), inside: Vec::new() }),
            Some(addr) => self.address_of(addr),
        };
        let all = self.all_inside(&addr);
        match &addr.offset {
            Val::One(offset) => {
                let offset = self.cast_one(*offset, Kind::Bits);
                let at = self.advance(origin, offset, unit);
                if place.root == Root::Local {
                    return Where::Line { at, step: 4, all };
                }
                let nowhere = self.b.ins().iconst(I64, super::super::frame::ZEROS.0.as_ptr().addr() as i64);
                let at = match all {
                    Some(inside) => self.b.ins().select(inside, at, nowhere),
                    None => at,
                };
                Where::One(at)
            }
            Val::Line { base, step } if place.root != Root::Local => {
                let at = self.advance(origin, *base, unit);
                Where::Line { at, step: step.wrapping_mul(unit), all }
            }
            _ => Where::Each,
        }
    }

    fn advance(&mut self, origin: Value, offset: Value, unit: u32) -> Value {
        let offset = self.b.ins().uextend(I64, offset);
        let bytes = self.b.ins().imul_imm_u(offset, i64::from(unit));
        self.b.ins().iadd(origin, bytes)
    }

    /// Offsets in bytes from the address that comes first, which are zero where a lane is outside or, if
    /// asked for, idle; and which lanes are not.
    pub(super) fn each_place(&mut self, place: &Place, extra: u32, active_only: bool) -> (Value, Lanes, Option<Lanes>) {
        let origin = self.origin(place, extra);
        let (_, unit) = self.memory(place.root);
        let Some(addr) = place.addr else {
            let zero = self.quad([0; 4]);
            let mask = if active_only { self.mask_lanes() } else { None };
            return (origin, [zero; 4], mask);
        };
        let addr = self.address_of(addr);
        let offset = self.lanes_of(&addr.offset, Kind::Bits);
        let mut inside = self.inside_lanes(&addr);
        if active_only && let Some(mask) = self.mask_lanes() {
            inside = Some(match inside {
                Some(inside) => self.each(|e, i| e.b.ins().band(inside[i], mask[i])),
                None => mask,
            });
        }
        let mut bytes = self.times(offset, unit);
        if let Some(inside) = inside {
            bytes = self.each(|e, i| e.b.ins().band(bytes[i], inside[i]));
        }
        if place.root == Root::Local {
            bytes = self.each(|e, i| {
                let own = e.quad([0, 1, 2, 3].map(|lane| 4 * (4 * i as u32 + lane)));
                e.b.ins().iadd(bytes[i], own)
            });
        }
        (origin, bytes, inside)
    }

    /// Does something at the address of each lane that lies on a line, where that is inside and, if asked for,
    /// the lane is active: little code and few registers, for what is rare. Answers whether this is such a
    /// place.
    pub(super) fn each_on_line(
        &mut self,
        place: &Place,
        extra: u32,
        active_only: bool,
        body: impl FnOnce(&mut Self, Value, Value),
    ) -> bool {
        let Some(addr) = place.addr.filter(|_| place.root != Root::Local) else {
            return false;
        };
        let addr = self.address_of(addr);
        let Val::Line { base: start, step: stride } = addr.offset else {
            return false;
        };
        let on_line = |check: &Check| matches!(check, Check::One(_) | Check::Line { index: Val::Line { .. }, .. });
        if !addr.inside.iter().all(on_line) {
            return false;
        }
        let origin = self.origin(place, extra);
        let (_, unit) = self.memory(place.root);
        let mask = if active_only { self.mask_lanes() } else { None };
        let mut left = match mask {
            Some(mask) => self.bits(mask),
            None => self.word(((1_u64 << self.width()) - 1) as u32),
        };
        for check in &addr.inside {
            if let Check::One(one) = check {
                let none = self.word(0);
                left = self.b.ins().select(*one, left, none);
            }
        }
        self.each_bit(left, |e, wide| {
            let lane = e.b.ins().ireduce(I32, wide);
            let (run, next) = (e.block(), e.block());
            let mut inside = None;
            for check in &addr.inside {
                if let Check::Line { index: Val::Line { base, step }, len, .. } = check {
                    let index = e.b.ins().imul_imm_u(lane, i64::from(*step));
                    let index = e.b.ins().iadd(*base, index);
                    let one = e.b.ins().icmp(IntCC::UnsignedLessThan, index, *len);
                    inside = Some(match inside {
                        Some(inside) => e.b.ins().band(inside, one),
                        None => one,
                    });
                }
            }
            match inside {
                Some(inside) => e.b.ins().brif(inside, run, &[], next, &[]),
                None => e.b.ins().jump(run, &[]),
            };
            e.start(run);
            let offset = e.b.ins().imul_imm_u(lane, i64::from(stride));
            let offset = e.b.ins().iadd(start, offset);
            let at = e.advance(origin, offset, unit);
            body(e, at, wide);
            e.b.ins().jump(next, &[]);
            e.start(next);
        });
        true
    }

    /// The address in one lane of what [`Emit::each_place`] gave.
    pub(super) fn lane_address(&mut self, origin: Value, bytes: Lanes, lane: usize) -> Value {
        let offset = self.b.ins().extractlane(bytes[lane / 4], (lane % 4) as u8);
        let offset = self.b.ins().uextend(I64, offset);
        self.b.ins().iadd(origin, offset)
    }
}
