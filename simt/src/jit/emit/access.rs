//! Loads and stores.

use super::place::Where;
use super::value::{Kind, Val};
use super::*;
use crate::ir::{Inst, Lane, Op, Place, Reg, Root};
use crate::layout::Scalar;

/// Bytes to the second word of a 64-bit scalar.
fn second_word(e: &Emit<'_, '_>, root: Root) -> u32 {
    if root == Root::Local { e.input.padded * 4 } else { 4 }
}

/// Half words, and 64 bits that nobody may see by halves, have no code of their own in buffers.
fn is_for_the_interpreter(ty: Scalar, place: &Place) -> bool {
    matches!(place.root, Root::Binding(_)) && (ty.bytes() == 2 || place.atomic && ty.bytes() == 8)
}

/// Whether other threads may write there between two accesses of this one, so that each must be done.
fn is_shared(place: &Place) -> bool {
    place.atomic && matches!(place.root, Root::Binding(_))
}

impl Emit<'_, '_> {
    pub(super) fn load(&mut self, inst: &Inst, dst: Reg, ty: Scalar, place: &Place) {
        if is_for_the_interpreter(ty, place) {
            return self.call(inst);
        }
        for word in 0..Lane::of(ty).words() {
            let extra = word * second_word(self, place.root);
            let value = self.load_word(ty, place, extra);
            self.set(dst + word, value, false);
        }
    }

    fn load_word(&mut self, ty: Scalar, place: &Place, extra: u32) -> Val {
        let kind = if Lane::of(ty) == Lane::F32 { Kind::Float } else { Kind::Bits };
        let (one, four) = if kind == Kind::Float { (F32, F32X4) } else { (I32, I32X4) };
        match self.place(place, extra) {
            Where::One(at) if is_shared(place) => {
                let word = self.word_at(place, at);
                Val::One(self.cast_one(word, kind))
            }
            _ if is_shared(place) => Val::Lanes(self.gather(place, extra, kind)),
            Where::One(at) => Val::One(self.b.ins().load(one, PLAIN, at, 0)),
            Where::Line { at, step, all } => {
                let near = |e: &mut Self| match step {
                    4 => e.each(|e, i| e.b.ins().load(four, PLAIN, at, 16 * i as i32)),
                    _ => e.each(|e, i| {
                        let lane = |lane: u32| (step * (4 * i as u32 + lane)) as i32;
                        let first = e.b.ins().load(one, PLAIN, at, lane(0));
                        let first = e.b.ins().splat(four, first);
                        (1..4_u8).fold(first, |quad, i| {
                            let next = e.b.ins().load(one, PLAIN, at, lane(i.into()));
                            e.b.ins().insertlane(quad, next, i)
                        })
                    }),
                };
                // So far apart that the offsets do not fit into an instruction.
                if step >= 1 << 24 {
                    return Val::Lanes(self.gather(place, extra, kind));
                }
                let Some(all) = all else {
                    return Val::Lanes(near(self));
                };
                let (fast, slow, done) = (self.block(), self.block(), self.block());
                self.b.set_cold_block(slow);
                let vars = [(); 4].map(|()| self.b.declare_var(four));
                self.b.ins().brif(all, fast, &[], slow, &[]);
                self.start(fast);
                let lanes = near(self);
                self.define(vars, lanes);
                self.b.ins().jump(done, &[]);
                self.start(slow);
                let lanes = self.rarely(|e| e.gather_one_by_one(place, extra, kind));
                self.define(vars, lanes);
                self.b.ins().jump(done, &[]);
                self.start(done);
                Val::Lanes(self.each(|e, i| e.b.use_var(vars[i])))
            }
            Where::Each => Val::Lanes(self.gather(place, extra, kind)),
        }
    }

    /// The word at an address of a place. An atomic one is read anew each time: the compiler would otherwise
    /// take it for what was last read or written there.
    fn word_at(&mut self, place: &Place, at: Value) -> Value {
        if is_shared(place) { self.b.ins().atomic_load(I32, PLAIN, at) } else { self.b.ins().load(I32, PLAIN, at, 0) }
    }

    /// Reads lane by lane; zero where a lane is outside.
    fn gather(&mut self, place: &Place, extra: u32, kind: Kind) -> Lanes {
        let (origin, bytes, inside) = self.each_place(place, extra, false);
        let lanes = self.each(|e, i| {
            let at = e.lane_address(origin, bytes, 4 * i);
            let first = e.word_at(place, at);
            let first = e.b.ins().splat(I32X4, first);
            (1..4).fold(first, |quad, lane| {
                let at = e.lane_address(origin, bytes, 4 * i + lane);
                let next = e.word_at(place, at);
                e.b.ins().insertlane(quad, next, lane as u8)
            })
        });
        // Stored, or each word would wait in a register for the one place where all of them are needed.
        self.spill(2, lanes);
        let lanes = match inside {
            Some(inside) => self.each(|e, i| e.b.ins().band(lanes[i], inside[i])),
            None => lanes,
        };
        self.each(|e, i| e.cast_quad(lanes[i], kind))
    }

    /// The same in less code, where it is rare.
    fn gather_one_by_one(&mut self, place: &Place, extra: u32, kind: Kind) -> Lanes {
        let zero = self.quad([0; 4]);
        self.spill(2, [zero; 4]);
        let body = |e: &mut Self, at: Value, lane: Value| {
            let word = e.b.ins().load(I32, PLAIN, at, 0);
            e.set_spilled(2, lane, word);
        };
        if !self.each_on_line(place, extra, false, body) {
            let places = self.each_place(place, extra, false);
            let nothing = Val::Lanes([zero; 4]);
            self.each_lane(places, &nothing, true, |e, at, _, lane| body(e, at, lane));
        }
        let lanes = self.unspill(2);
        self.each(|e, i| e.cast_quad(lanes[i], kind))
    }

    pub(super) fn store(&mut self, inst: &Inst, src: Reg, ty: Scalar, place: &Place) {
        if is_for_the_interpreter(ty, place) {
            return self.call(inst);
        }
        for word in 0..Lane::of(ty).words() {
            let extra = word * second_word(self, place.root);
            self.store_word(src + word, place, extra);
        }
    }

    fn store_word(&mut self, src: Reg, place: &Place, extra: u32) {
        let kind = self.lane_kind(src);
        let value = self.get(src);
        if is_shared(place) {
            return self.scatter(place, extra, &value, false);
        }
        let Where::Line { at, step: 4, all } = self.place(place, extra) else {
            return self.scatter(place, extra, &value, false);
        };
        if self.ragged && self.mask == flow::Mask::Kept {
            return self.scatter(place, extra, &value, true);
        }
        let lanes = self.lanes_of(&value, kind);
        let all = match (all, self.mask_lanes()) {
            (all, None) => all,
            (None, Some(mask)) => Some(self.every(mask)),
            (Some(all), Some(mask)) => {
                let every = self.every(mask);
                Some(self.b.ins().band(all, every))
            }
        };
        let near = |e: &mut Self| {
            e.store_lanes(lanes, at, 0);
        };
        let Some(all) = all else {
            return near(self);
        };
        let (fast, slow, done) = (self.block(), self.block(), self.block());
        self.b.set_cold_block(slow);
        self.b.ins().brif(all, fast, &[], slow, &[]);
        self.start(fast);
        near(self);
        self.b.ins().jump(done, &[]);
        self.start(slow);
        self.rarely(|e| e.scatter(place, extra, &value, true));
        self.b.ins().jump(done, &[]);
        self.start(done);
    }

    /// Writes lane by lane, in the active ones that are inside.
    fn scatter(&mut self, place: &Place, extra: u32, value: &Val, rare: bool) {
        if rare {
            let lanes = self.lanes_of(value, Kind::Bits);
            self.spill(1, lanes);
            let on_line = self.each_on_line(place, extra, true, |e, at, lane| {
                let word = e.spilled(1, lane);
                e.b.ins().store(PLAIN, word, at, 0);
            });
            if on_line {
                return;
            }
        }
        let places = self.each_place(place, extra, true);
        self.each_lane(places, value, rare, |e, at, word, _| {
            if is_shared(place) {
                e.b.ins().atomic_store(PLAIN, word, at);
            } else {
                e.b.ins().store(PLAIN, word, at, 0);
            }
        });
    }

    /// Does something at each lane's address, where that is inside, with a word and the number of the lane.
    /// What is `rare` gets little code.
    pub(super) fn each_lane(
        &mut self,
        (origin, bytes, inside): (Value, Lanes, Option<Lanes>),
        words: &Val,
        rare: bool,
        body: impl Fn(&mut Self, Value, Value, Value),
    ) {
        // One word for all stays where it is.
        let one = match words {
            Val::One(one) => Some(self.cast_one(*one, Kind::Bits)),
            _ => None,
        };
        let words = if one.is_some() { [origin; 4] } else { self.lanes_of(words, Kind::Bits) };
        let in_a_row = |e: &mut Self| {
            for lane in 0..e.width() as usize {
                let at = e.lane_address(origin, bytes, lane);
                let word = one.unwrap_or_else(|| e.b.ins().extractlane(words[lane / 4], (lane % 4) as u8));
                let lane = e.b.ins().iconst(I64, lane as i64);
                body(e, at, word, lane);
            }
        };
        let Some(inside) = inside else {
            return in_a_row(self);
        };
        let done = self.block();
        // Most often all are inside, but not where some are idle.
        if !rare && self.mask == flow::Mask::Full {
            let all = self.every(inside);
            let (fast, slow) = (self.block(), self.block());
            self.b.ins().brif(all, fast, &[], slow, &[]);
            self.start(fast);
            in_a_row(self);
            self.b.ins().jump(done, &[]);
            self.start(slow);
        }
        let bits = self.bits(inside);
        self.spill(0, bytes);
        if one.is_none() {
            self.spill(1, words);
        }
        self.each_bit(bits, |e, lane| {
            let at = e.spilled_address(origin, lane);
            let word = one.unwrap_or_else(|| e.spilled(1, lane));
            body(e, at, word, lane);
        });
        self.b.ins().jump(done, &[]);
        self.start(done);
    }

    /// One bit for each lane that has the condition.
    pub(super) fn bits(&mut self, lanes: Lanes) -> Value {
        let mut all = None;
        for (i, lanes) in lanes.into_iter().enumerate().take(self.vectors) {
            let bits = self.b.ins().vhigh_bits(I32, lanes);
            let bits = self.b.ins().ishl_imm_u(bits, 4 * i as i64);
            all = Some(match all {
                Some(all) => self.b.ins().bor(all, bits),
                None => bits,
            });
        }
        all.unwrap_or(bits_of_nobody(self))
    }

    /// Runs `body` for each lane whose bit is set, in order.
    pub(super) fn each_bit(&mut self, bits: Value, body: impl FnOnce(&mut Self, Value)) {
        let left = self.b.declare_var(I32);
        self.b.def_var(left, bits);
        let (head, round, done) = (self.block(), self.block(), self.block());
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(head);
        let rest = self.b.use_var(left);
        self.b.ins().brif(rest, round, &[], done, &[]);
        self.start(round);
        let lane = self.b.ins().ctz(rest);
        let lane = self.b.ins().uextend(I64, lane);
        body(self, lane);
        let less = self.b.ins().iadd_imm_s(rest, -1);
        let next = self.b.ins().band(rest, less);
        self.b.def_var(left, next);
        self.b.ins().jump(head, &[]);
        self.b.seal_block(head);
        self.start(done);
    }

    /// Puts lanes where a single one can be picked at run time.
    pub(super) fn spill(&mut self, slot: usize, lanes: Lanes) {
        let at = self.b.ins().stack_addr(I64, self.scratch[slot], 0);
        self.store_lanes(lanes, at, 0);
    }

    fn spilled_at(&mut self, slot: usize, lane: Value) -> Value {
        let at = self.b.ins().stack_addr(I64, self.scratch[slot], 0);
        let bytes = self.b.ins().ishl_imm_u(lane, 2);
        self.b.ins().iadd(at, bytes)
    }

    pub(super) fn spilled(&mut self, slot: usize, lane: Value) -> Value {
        let at = self.spilled_at(slot, lane);
        self.b.ins().load(I32, PLAIN, at, 0)
    }

    pub(super) fn set_spilled(&mut self, slot: usize, lane: Value, word: Value) {
        let at = self.spilled_at(slot, lane);
        self.b.ins().store(PLAIN, word, at, 0);
    }

    pub(super) fn unspill(&mut self, slot: usize) -> Lanes {
        let at = self.b.ins().stack_addr(I64, self.scratch[slot], 0);
        self.each(|e, i| e.b.ins().load(I32X4, PLAIN, at, 16 * i as i32))
    }

    /// The address of a lane whose offset was spilled to slot 0.
    pub(super) fn spilled_address(&mut self, origin: Value, lane: Value) -> Value {
        let offset = self.spilled(0, lane);
        let offset = self.b.ins().uextend(I64, offset);
        self.b.ins().iadd(origin, offset)
    }

    pub(super) fn inst(&mut self, inst: &Inst) {
        match &inst.op {
            Op::Copy { dst, src, words } => {
                for word in 0..*words {
                    let value = self.get(src + word);
                    self.set(dst + word, value, false);
                }
            }
            Op::Set { dst, src, words } => {
                let values: Vec<Val> = (0..*words).map(|word| self.get(src + word)).collect();
                for (word, value) in (0..).zip(values) {
                    self.set(dst + word, value, true);
                }
            }
            Op::Unary { op, ty, dst, a } => self.unary(inst, *op, *ty, *dst, *a),
            Op::Convert { from, to, dst, a } => self.convert(inst, *from, *to, *dst, *a),
            Op::Binary { op, ty, dst, a, b } => self.binary(inst, *op, *ty, *dst, *a, *b),
            Op::Select { ty, dst, cond, yes, no } => self.select(*ty, *dst, *cond, *yes, *no),
            Op::Index { dst, base, index, stride, len } => self.index(*dst, *base, *index, *stride, *len),
            Op::Load { dst, ty, place } | Op::LoadUniform { dst, ty, place } => self.load(inst, *dst, *ty, place),
            Op::Store { src, ty, place } => self.store(inst, *src, *ty, place),
            Op::Atomic { op, ty, dst, place, value } => self.atomic(inst, *op, *ty, *dst, place, *value),
            Op::CompareExchange { .. } | Op::Ballot { .. } | Op::Gather { .. } | Op::Collective { .. } => {
                self.call(inst);
            }
        }
    }
}

fn bits_of_nobody(e: &mut Emit<'_, '_>) -> Value {
    e.word(0)
}
