//! Registers, constants and single instructions.

use std::rc::Rc;

use naga::Span;

use super::Lower;
use crate::error::Error;
use crate::half;
use crate::ir::{Binary, Info, Input, Inst, Label, Lane, Node, Op, Reg, Unary};
use crate::layout::Scalar;

impl Lower<'_> {
    /// So many registers in a row.
    pub(super) fn row(&mut self, words: u32, pinned: bool) -> Reg {
        let first = self.regs.len();
        self.regs.push(Info { pinned, words });
        self.regs.extend((1..words).map(|_| Info { pinned, words: 0 }));
        first as Reg
    }

    pub(super) fn temp(&mut self, ty: Lane) -> Reg {
        self.row(ty.words(), false)
    }

    pub(super) fn node(&mut self, node: Node) {
        self.nodes += 1;
        if let Some(block) = self.blocks.last_mut() {
            block.push(node);
        }
    }

    pub(super) fn op(&mut self, op: Op) {
        let at = self.at;
        self.node(Node::Inst(Inst { op, at }));
    }

    /// What `build` emits, as a block of its own.
    pub(super) fn block_of(&mut self, build: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<Vec<Node>, Error> {
        self.blocks.push(Vec::new());
        let built = build(self);
        let block = self.blocks.pop().unwrap_or_default();
        built.map(|()| block)
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels += 1;
        self.labels - 1
    }

    pub(super) fn word(&mut self, bits: u32) -> Reg {
        if let Some(&reg) = self.words.get(&bits) {
            return reg;
        }
        let reg = self.row(1, true);
        self.words.insert(bits, reg);
        reg
    }

    pub(super) fn pair(&mut self, bits: u64) -> Reg {
        if let Some(&reg) = self.pairs.get(&bits) {
            return reg;
        }
        let reg = self.row(2, true);
        self.pairs.insert(bits, reg);
        reg
    }

    pub(super) fn input(&mut self, input: Input) -> Reg {
        if let Some(&(reg, _)) = self.inputs.iter().find(|(_, known)| *known == input) {
            return reg;
        }
        let reg = self.row(1, true);
        self.inputs.push((reg, input));
        reg
    }

    /// The zero of a type.
    pub(super) fn zero(&mut self, scalar: Scalar) -> Reg {
        match Lane::of(scalar).words() {
            2 => self.pair(0),
            _ => self.word(0),
        }
    }

    /// A floating-point constant of the type.
    pub(super) fn float(&mut self, scalar: Scalar, value: f64) -> Reg {
        match scalar {
            Scalar::F64 => self.pair(value.to_bits()),
            Scalar::F16 => self.word(half::quantize(value as f32).to_bits()),
            _ => self.word((value as f32).to_bits()),
        }
    }

    /// An integer constant of the type.
    pub(super) fn int(&mut self, scalar: Scalar, value: i64) -> Reg {
        match Lane::of(scalar).words() {
            2 => self.pair(value as u64),
            _ => self.word(value as u32),
        }
    }

    pub(super) fn unary(&mut self, op: Unary, ty: Lane, a: Reg) -> Reg {
        let dst = self.temp(op.result(ty));
        self.op(Op::Unary { op, ty, dst, a });
        dst
    }

    pub(super) fn binary(&mut self, op: Binary, ty: Lane, a: Reg, b: Reg) -> Reg {
        let dst = self.temp(op.result(ty));
        self.op(Op::Binary { op, ty, dst, a, b });
        dst
    }

    pub(super) fn select(&mut self, ty: Lane, cond: Reg, yes: Reg, no: Reg) -> Reg {
        let dst = self.temp(ty);
        self.op(Op::Select { ty, dst, cond, yes, no });
        dst
    }

    pub(super) fn cast(&mut self, from: Lane, to: Lane, a: Reg) -> Reg {
        let dst = self.temp(to);
        self.op(Op::Convert { from, to, dst, a });
        dst
    }

    /// Brings a result back into the range of a 16-bit type.
    pub(super) fn narrow(&mut self, scalar: Scalar, a: Reg) -> Reg {
        match scalar {
            Scalar::F16 => self.unary(Unary::Quantize, Lane::F32, a),
            Scalar::I16 => self.unary(Unary::SignExtend16, Lane::I32, a),
            Scalar::U16 => self.unary(Unary::ZeroExtend16, Lane::U32, a),
            _ => a,
        }
    }

    /// `op(a)` in the scalar type.
    pub(super) fn un(&mut self, op: Unary, scalar: Scalar, a: Reg) -> Reg {
        let result = self.unary(op, Lane::of(scalar), a);
        if op.result(Lane::of(scalar)) == Lane::of(scalar) { self.narrow(scalar, result) } else { result }
    }

    /// `op(a, b)` in the scalar type.
    pub(super) fn bin(&mut self, op: Binary, scalar: Scalar, a: Reg, b: Reg) -> Reg {
        let lane = Lane::of(scalar);
        let b = match (op, scalar) {
            (Binary::Shl | Binary::Shr, Scalar::I16 | Scalar::U16) => {
                let mask = self.word(15);
                self.binary(Binary::And, Lane::U32, b, mask)
            }
            _ => b,
        };
        let result = self.binary(op, lane, a, b);
        let in_range = matches!(op, Binary::And | Binary::Or | Binary::Xor | Binary::Min | Binary::Max | Binary::Shr);
        if in_range || op.result(lane) != lane { result } else { self.narrow(scalar, result) }
    }

    pub(super) fn add(&mut self, scalar: Scalar, a: Reg, b: Reg) -> Reg {
        self.bin(Binary::Add, scalar, a, b)
    }

    pub(super) fn sub(&mut self, scalar: Scalar, a: Reg, b: Reg) -> Reg {
        self.bin(Binary::Sub, scalar, a, b)
    }

    pub(super) fn mul(&mut self, scalar: Scalar, a: Reg, b: Reg) -> Reg {
        self.bin(Binary::Mul, scalar, a, b)
    }

    pub(super) fn div(&mut self, scalar: Scalar, a: Reg, b: Reg) -> Reg {
        self.bin(Binary::Div, scalar, a, b)
    }

    /// The sum of products, from the first to the last.
    pub(super) fn dot(&mut self, scalar: Scalar, a: &[Reg], b: &[Reg]) -> Reg {
        let mut sum = None;
        for (&a, &b) in a.iter().zip(b) {
            let product = self.mul(scalar, a, b);
            sum = Some(match sum {
                Some(sum) => self.add(scalar, sum, product),
                None => product,
            });
        }
        sum.unwrap_or_else(|| self.zero(scalar))
    }

    /// `f` on each component.
    pub(super) fn map(&mut self, a: &[Reg], mut f: impl FnMut(&mut Self, Reg) -> Reg) -> Rc<[Reg]> {
        a.iter().map(|&a| f(self, a)).collect()
    }

    /// `f` on each pair of components; a scalar goes with every component.
    pub(super) fn zip(&mut self, a: &[Reg], b: &[Reg], mut f: impl FnMut(&mut Self, Reg, Reg) -> Reg) -> Rc<[Reg]> {
        let at = |list: &[Reg], i: usize| if list.len() == 1 { list[0] } else { list[i] };
        (0..a.len().max(b.len())).map(|i| f(self, at(a, i), at(b, i))).collect()
    }

    /// Runs `f` with messages pointing to `at`, where that is known.
    pub(super) fn located<T>(&mut self, at: Span, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.at;
        if at.is_defined() {
            self.at = at;
        }
        let result = f(self);
        self.at = before;
        result
    }
}
