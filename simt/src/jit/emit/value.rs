//! Registers as values of the code, in the cheapest form that holds them.

use std::rc::Rc;

use super::*;
use crate::ir::{Input as Given, Reg, SUBGROUP};

/// What a register holds in the lanes of a block.
#[derive(Clone, Debug)]
pub(super) enum Val {
    /// The same in all of them: an `i32`, an `f32`, or an `i8` that is 0 or 1.
    One(Value),
    /// An `i32` that grows by `step` from lane to lane.
    Line { base: Value, step: u32 },
    /// A condition on such.
    Compare(super::compare::Compare),
    /// A vector of `i32` or `f32` for every four.
    Lanes(Lanes),
    /// An address, not yet made one word.
    Addr(Rc<super::place::Addr>),
}

/// How bits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `i32`
    Bits,
    /// `f32`
    Float,
    /// A condition: an `i8` that is 0 or 1, or lanes of all ones or zero.
    Truth,
}

impl Kind {
    fn scalar(self) -> Type {
        match self {
            Self::Bits => I32,
            Self::Float => F32,
            Self::Truth => I8,
        }
    }

    pub(super) fn vector(self) -> Type {
        if self == Self::Float { F32X4 } else { I32X4 }
    }
}

impl Emit<'_, '_> {
    /// `f` for each vector of the block.
    pub(super) fn each(&mut self, mut f: impl FnMut(&mut Self, usize) -> Value) -> Lanes {
        let first = f(self, 0);
        let mut lanes = [first; 4];
        for (i, lanes) in lanes.iter_mut().enumerate().take(self.vectors).skip(1) {
            *lanes = f(self, i);
        }
        lanes
    }

    /// Gives each vector's variable its value.
    pub(super) fn define(&mut self, vars: [Variable; 4], lanes: Lanes) {
        for (var, lanes) in vars.into_iter().zip(lanes).take(self.vectors) {
            self.b.def_var(var, lanes);
        }
    }

    pub(super) fn store_lanes(&mut self, lanes: Lanes, at: Value, offset: i32) {
        for (i, lanes) in (0..).zip(lanes).take(self.vectors) {
            self.b.ins().store(PLAIN, lanes, at, offset + 16 * i);
        }
    }

    pub(super) fn word(&mut self, bits: u32) -> Value {
        self.b.ins().iconst(I32, i64::from(bits))
    }

    /// A vector of four words.
    pub(super) fn quad(&mut self, words: [u32; 4]) -> Value {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let constant = self.b.func.dfg.constants.insert(bytes.into());
        self.b.ins().vconst(I32X4, constant)
    }

    pub(super) fn cast_one(&mut self, value: Value, kind: Kind) -> Value {
        match (self.b.func.dfg.value_type(value), kind) {
            (from, kind) if from == kind.scalar() => value,
            (I8, Kind::Bits) => self.b.ins().bmask(I32, value),
            (I8, Kind::Float) => {
                let bits = self.b.ins().bmask(I32, value);
                self.b.ins().bitcast(F32, MemFlagsData::new(), bits)
            }
            (F32, Kind::Bits) => self.b.ins().bitcast(I32, MemFlagsData::new(), value),
            (F32, Kind::Truth) => {
                let bits = self.b.ins().bitcast(I32, MemFlagsData::new(), value);
                self.b.ins().icmp_imm_u(IntCC::NotEqual, bits, 0)
            }
            (_, Kind::Float) => self.b.ins().bitcast(F32, MemFlagsData::new(), value),
            (_, _) => self.b.ins().icmp_imm_u(IntCC::NotEqual, value, 0),
        }
    }

    pub(super) fn cast_quad(&mut self, value: Value, kind: Kind) -> Value {
        let to = kind.vector();
        if self.b.func.dfg.value_type(value) == to {
            return value;
        }
        let flags = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
        self.b.ins().bitcast(to, flags, value)
    }

    pub(super) fn lanes_of(&mut self, value: &Val, kind: Kind) -> Lanes {
        match value {
            Val::One(value) => {
                let kind = if kind == Kind::Truth { Kind::Bits } else { kind };
                let value = self.cast_one(*value, kind);
                let quad = self.b.ins().splat(kind.vector(), value);
                [quad; 4]
            }
            Val::Line { base, step } => {
                let (step, start) = (*step, self.b.ins().splat(I32X4, *base));
                self.each(|e, i| {
                    let offsets = [0, 1, 2, 3].map(|lane| step.wrapping_mul(4 * i as u32 + lane));
                    let offsets = e.quad(offsets);
                    let lanes = e.b.ins().iadd(start, offsets);
                    e.cast_quad(lanes, kind)
                })
            }
            Val::Compare(compare) => {
                let lanes = self.compare_lanes(*compare);
                self.each(|e, i| e.cast_quad(lanes[i], kind))
            }
            Val::Lanes(lanes) => {
                let lanes = *lanes;
                self.each(|e, i| e.cast_quad(lanes[i], kind))
            }
            Val::Addr(addr) => {
                let lanes = self.address_lanes(addr);
                self.each(|e, i| e.cast_quad(lanes[i], kind))
            }
        }
    }

    /// The value of a register that is the same in all active lanes; of a line, that of the first lane.
    pub(super) fn one_of(&mut self, value: &Val, kind: Kind) -> Value {
        let value = match value {
            Val::One(value) | Val::Line { base: value, .. } => *value,
            Val::Addr(addr) if let Some(word) = self.address_one(addr) => word,
            Val::Compare(_) | Val::Lanes(_) | Val::Addr(_) => {
                let lanes = self.lanes_of(value, Kind::Bits);
                let Some(mask) = self.mask_lanes() else {
                    let first = self.b.ins().extractlane(lanes[0], 0);
                    return self.cast_one(first, kind);
                };
                // An idle lane may hold something else.
                let bits = self.bits(mask);
                let first = self.b.ins().ctz(bits);
                let first = self.b.ins().band_imm_u(first, 15);
                let first = self.b.ins().uextend(I64, first);
                self.spill(2, lanes);
                self.spilled(2, first)
            }
        };
        self.cast_one(value, kind)
    }

    /// What the first lane of a block has, or would have, of a value that grows by `step` in the active ones.
    fn base_of(&mut self, value: &Val, step: u32, kind: Kind) -> Value {
        match value {
            Val::Lanes(_) | Val::Addr(_) if step != 0 => {
                let line = self.word(0);
                let line = self.lanes_of(&Val::Line { base: line, step }, Kind::Bits);
                let lanes = self.lanes_of(value, Kind::Bits);
                let bases = self.each(|e, i| e.b.ins().isub(lanes[i], line[i]));
                self.one_of(&Val::Lanes(bases), kind)
            }
            value => self.one_of(value, kind),
        }
    }

    /// The address of a row of the context, at the block's first lane.
    pub(super) fn row_address(&mut self, row: u32) -> (Value, i32) {
        let bytes = i64::from(row) * i64::from(self.input.padded) * 4;
        let mut at = self.context;
        if let Some((_, offset)) = self.lane {
            at = self.b.ins().iadd(at, offset);
        }
        match i32::try_from(bytes).ok().filter(|&bytes| bytes < i32::MAX - 64) {
            Some(bytes) => (at, bytes),
            None => (self.b.ins().iadd_imm_s(at, bytes), 0),
        }
    }

    pub(super) fn load_row(&mut self, row: u32) -> Lanes {
        let (at, offset) = self.row_address(row);
        self.each(|e, i| e.b.ins().load(I32X4, PLAIN, at, offset + 16 * i as i32))
    }

    pub(super) fn store_row(&mut self, row: u32, lanes: Lanes) {
        let (at, offset) = self.row_address(row);
        self.store_lanes(lanes, at, offset);
    }

    pub(super) fn get(&mut self, reg: Reg) -> Val {
        if let Some((agreed, value)) = self.agreed
            && agreed == reg
        {
            return Val::One(value);
        }
        match self.home(reg) {
            Home::Const(bits) => Val::One(self.word(bits)),
            Home::Input(input) => self.given(input),
            Home::Temp => match self.temps[reg as usize].clone() {
                Some(value) => value,
                None => Val::One(self.word(0)),
            },
            Home::Scalar => {
                let var = self.scalar_var(reg);
                Val::One(self.b.use_var(var))
            }
            Home::Line { step, .. } => {
                let var = self.scalar_var(reg);
                let base = self.b.use_var(var);
                if step == 0 { Val::One(base) } else { Val::Line { base, step } }
            }
            Home::Lanes(_) => {
                let vars = self.lane_vars(reg);
                Val::Lanes(self.each(|e, i| e.b.use_var(vars[i])))
            }
            Home::Row(row) | Home::Memory(row) => Val::Lanes(self.load_row(row)),
        }
    }

    pub(super) fn get_one(&mut self, reg: Reg, kind: Kind) -> Value {
        if let (Home::Const(bits), Kind::Float) = (self.home(reg), kind) {
            return self.b.ins().f32const(f32::from_bits(bits));
        }
        let value = self.get(reg);
        self.one_of(&value, kind)
    }

    pub(super) fn scalar_var(&mut self, reg: Reg) -> Variable {
        if let Some(var) = self.scalars[reg as usize] {
            return var;
        }
        let ty = self.line_kind(reg).scalar();
        *self.scalars[reg as usize].insert(self.b.declare_var(ty))
    }

    pub(super) fn lane_vars(&mut self, reg: Reg) -> [Variable; 4] {
        if let Some(vars) = self.lanes[reg as usize] {
            return vars;
        }
        let ty = self.lane_kind(reg).vector();
        let vars = [(); 4].map(|()| self.b.declare_var(ty));
        *self.lanes[reg as usize].insert(vars)
    }

    /// The kind of the one value of a line.
    pub(super) fn line_kind(&self, reg: Reg) -> Kind {
        match self.home(reg) {
            Home::Line { step: 1.., .. } => Kind::Bits,
            _ => self.lane_kind(reg),
        }
    }

    pub(super) fn lane_kind(&self, reg: Reg) -> Kind {
        if self.input.plan.floats[reg as usize] { Kind::Float } else { Kind::Bits }
    }

    /// Gives a register a value: in every lane, or (of a variable) in the active ones.
    pub(super) fn set(&mut self, reg: Reg, value: Val, active_only: bool) {
        match self.home(reg) {
            Home::Const(_) | Home::Input(_) => {}
            Home::Temp => {
                let step = self.input.plan.shapes.step(reg);
                let value = match value {
                    Val::Compare(_) | Val::Lanes(_) if step == Some(0) => Val::One(self.one_of(&value, Kind::Bits)),
                    value => value,
                };
                self.temps[reg as usize] = Some(value);
            }
            Home::Scalar => {
                let kind = self.lane_kind(reg);
                let value = self.one_of(&value, kind);
                let var = self.scalar_var(reg);
                self.b.def_var(var, value);
            }
            Home::Lanes(_) => {
                let kind = self.lane_kind(reg);
                let new = self.lanes_of(&value, kind);
                let vars = self.lane_vars(reg);
                for i in 0..self.vectors {
                    let mut lanes = new[i];
                    if active_only && let Some(mask) = self.mask_quad(i) {
                        let old = self.b.use_var(vars[i]);
                        lanes = self.blend(mask, lanes, old);
                    }
                    self.b.def_var(vars[i], lanes);
                }
            }
            Home::Line { step, .. } => {
                let kind = self.line_kind(reg);
                let base = self.base_of(&value, step, kind);
                let var = self.scalar_var(reg);
                self.b.def_var(var, base);
            }
            Home::Row(row) | Home::Memory(row) => {
                let mut lanes = self.lanes_of(&value, Kind::Bits);
                if active_only && self.mask_quad(0).is_some() {
                    let old = self.load_row(row);
                    lanes = self.each(|e, i| {
                        let mask = e.mask_quad(i).unwrap_or(old[i]);
                        e.blend(mask, lanes[i], old[i])
                    });
                }
                self.store_row(row, lanes);
            }
        }
    }

    /// What the dispatch, the workgroup or the invocation gives.
    fn given(&mut self, input: Given) -> Val {
        match input {
            Given::GlobalId(axis) => {
                let axis = usize::from(axis);
                let start = self.b.ins().imul_imm_u(self.group[axis], i64::from(self.input.kernel.workgroup[axis]));
                match self.local(axis) {
                    Val::One(local) => Val::One(self.b.ins().iadd(start, local)),
                    Val::Line { base, step } => Val::Line { base: self.b.ins().iadd(start, base), step },
                    local => {
                        let lanes = self.lanes_of(&local, Kind::Bits);
                        let start = self.b.ins().splat(I32X4, start);
                        Val::Lanes(self.each(|e, i| e.b.ins().iadd(start, lanes[i])))
                    }
                }
            }
            Given::LocalId(axis) => self.local(usize::from(axis)),
            Given::LocalIndex => Val::Line { base: self.first_lane(), step: 1 },
            Given::WorkgroupId(axis) => Val::One(self.group[usize::from(axis)]),
            Given::NumWorkgroups(axis) => Val::One(self.groups[usize::from(axis)]),
            Given::SubgroupInvocationId => {
                let first = self.first_lane();
                Val::Line { base: self.b.ins().band_imm_u(first, i64::from(SUBGROUP - 1)), step: 1 }
            }
            Given::SubgroupId => {
                let first = self.first_lane();
                Val::One(self.b.ins().ushr_imm_u(first, i64::from(SUBGROUP.trailing_zeros())))
            }
            Given::Length(slot) => Val::One(self.buffers[slot as usize].1),
        }
    }

    fn first_lane(&mut self) -> Value {
        match self.lane {
            Some((lane, _)) => lane,
            None => self.word(0),
        }
    }

    fn local(&mut self, axis: usize) -> Val {
        let [nx, ny, nz] = self.input.kernel.workgroup;
        let first = self.first_lane();
        let width = self.width();
        // A block lies within a run of lanes that share what is not along `axis`.
        let run = [1, nx, nx.wrapping_mul(ny)][axis];
        if [nx, ny, nz][axis] == 1 {
            return Val::One(self.word(0));
        }
        if axis == 0 && ny == 1 && nz == 1 {
            return Val::Line { base: first, step: 1 };
        }
        let table = &self.input.local[axis * self.input.padded as usize..];
        let table = self.b.ins().iconst(I64, table.as_ptr().addr() as i64);
        let offset = self.lane.map(|(_, offset)| offset);
        let at = offset.map_or(table, |offset| self.b.ins().iadd(table, offset));
        if axis == 0 && nx % width == 0 {
            return Val::Line { base: self.b.ins().load(I32, FIXED, at, 0), step: 1 };
        }
        if axis > 0 && run % width == 0 {
            return Val::One(self.b.ins().load(I32, FIXED, at, 0));
        }
        Val::Lanes(self.each(|e, i| e.b.ins().load(I32X4, FIXED, at, 16 * i as i32)))
    }
}
