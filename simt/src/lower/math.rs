//! Built-in functions, reduced to scalar operations.

use std::rc::Rc;

use naga::{Expression, Handle, MathFunction as Fun};

use super::{Frame, Lower};
use crate::error::Error;
use crate::ir::{Binary, Lane, Reg, Unary};
use crate::layout::Scalar;

impl<'m> Lower<'m> {
    pub(super) fn math(
        &mut self,
        frame: &Frame<'m>,
        fun: Fun,
        first: Handle<Expression>,
        others: [Option<Handle<Expression>>; 3],
    ) -> Result<Rc<[Reg]>, Error> {
        let s = self.scalar_of(frame, first)?;
        let mut args: Vec<Rc<[Reg]>> = vec![self.data(frame, first)?];
        for other in others.into_iter().flatten() {
            args.push(self.data(frame, other)?);
        }
        let none: Rc<[Reg]> = Rc::new([]);
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| args.get(i).unwrap_or(&none).clone());
        let inner = frame.info[first].ty.inner_with(&self.module.types);
        let rows = match *inner {
            naga::TypeInner::Matrix { rows, .. } => rows as usize,
            _ => a.len(),
        };
        let plain = |this: &mut Self, op| this.map(&a, |this, a| this.un(op, s, a));
        Ok(match fun {
            Fun::Abs if matches!(s, Scalar::U16 | Scalar::U32 | Scalar::U64) => a,
            Fun::Abs => plain(self, Unary::Abs),
            Fun::Min => self.zip(&a, &b, |this, a, b| this.bin(Binary::Min, s, a, b)),
            Fun::Max => self.zip(&a, &b, |this, a, b| this.bin(Binary::Max, s, a, b)),
            Fun::Clamp => {
                let raised = self.zip(&a, &b, |this, a, b| this.bin(Binary::Max, s, a, b));
                self.zip(&raised, &c, |this, a, b| this.bin(Binary::Min, s, a, b))
            }
            Fun::Saturate => {
                let (zero, one) = (self.float(s, 0.0), self.float(s, 1.0));
                self.map(&a, |this, a| this.clamp(s, a, zero, one))
            }
            Fun::Cos => plain(self, Unary::Cos),
            Fun::Cosh => plain(self, Unary::Cosh),
            Fun::Sin => plain(self, Unary::Sin),
            Fun::Sinh => plain(self, Unary::Sinh),
            Fun::Tan => plain(self, Unary::Tan),
            Fun::Tanh => plain(self, Unary::Tanh),
            Fun::Acos => plain(self, Unary::Acos),
            Fun::Asin => plain(self, Unary::Asin),
            Fun::Atan => plain(self, Unary::Atan),
            Fun::Atan2 => self.zip(&a, &b, |this, a, b| this.bin(Binary::Atan2, s, a, b)),
            Fun::Asinh => plain(self, Unary::Asinh),
            Fun::Acosh => plain(self, Unary::Acosh),
            Fun::Atanh => plain(self, Unary::Atanh),
            Fun::Radians => self.scaled(s, &a, std::f64::consts::PI / 180.0),
            Fun::Degrees => self.scaled(s, &a, 180.0 / std::f64::consts::PI),
            Fun::Ceil => plain(self, Unary::Ceil),
            Fun::Floor => plain(self, Unary::Floor),
            Fun::Round => plain(self, Unary::Round),
            Fun::Trunc => plain(self, Unary::Trunc),
            Fun::Fract => self.map(&a, |this, a| {
                let whole = this.un(Unary::Floor, s, a);
                this.sub(s, a, whole)
            }),
            Fun::Modf => {
                let whole = plain(self, Unary::Trunc);
                let fract = self.zip(&a, &whole, |this, a, whole| this.sub(s, a, whole));
                fract.iter().chain(&*whole).copied().collect()
            }
            Fun::Frexp => {
                let fract = plain(self, Unary::FrexpFraction);
                let exponent = plain(self, Unary::FrexpExponent);
                fract.iter().chain(&*exponent).copied().collect()
            }
            Fun::Ldexp => self.zip(&a, &b, |this, a, b| this.bin(Binary::Ldexp, s, a, b)),
            Fun::Exp => plain(self, Unary::Exp),
            Fun::Exp2 => plain(self, Unary::Exp2),
            Fun::Log => plain(self, Unary::Log),
            Fun::Log2 => plain(self, Unary::Log2),
            Fun::Pow => self.zip(&a, &b, |this, a, b| this.bin(Binary::Pow, s, a, b)),
            Fun::Dot => Rc::new([self.dot(s, &a, &b)]),
            Fun::Dot4I8Packed => Rc::new([self.dot_packed(Scalar::I32, a[0], b[0])]),
            Fun::Dot4U8Packed => Rc::new([self.dot_packed(Scalar::U32, a[0], b[0])]),
            Fun::Outer => {
                let mut out = Vec::new();
                for &column in &*b {
                    out.extend_from_slice(&self.map(&a, |this, a| this.mul(s, a, column)));
                }
                out.into()
            }
            Fun::Cross => [(1, 2), (2, 0), (0, 1)]
                .map(|(i, j)| {
                    let left = self.mul(s, a[i], b[j]);
                    let right = self.mul(s, a[j], b[i]);
                    self.sub(s, left, right)
                })
                .into(),
            Fun::Distance => {
                let between = self.zip(&a, &b, |this, a, b| this.sub(s, a, b));
                Rc::new([self.length(s, &between)])
            }
            Fun::Length => Rc::new([self.length(s, &a)]),
            Fun::Normalize => {
                let length = self.length(s, &a);
                self.map(&a, |this, a| this.div(s, a, length))
            }
            Fun::FaceForward => {
                let dot = self.dot(s, &b, &c);
                let zero = self.zero(s);
                let facing = self.bin(Binary::Lt, s, dot, zero);
                self.map(&a, |this, a| {
                    let turned = this.un(Unary::Negate, s, a);
                    this.select(Lane::of(s), facing, a, turned)
                })
            }
            Fun::Reflect => {
                let dot = self.dot(s, &b, &a);
                let twice = self.add(s, dot, dot);
                self.zip(&a, &b, |this, a, b| {
                    let off = this.mul(s, twice, b);
                    this.sub(s, a, off)
                })
            }
            Fun::Refract => self.refract(s, &a, &b, c[0]),
            Fun::Sign => plain(self, Unary::Sign),
            Fun::Fma => {
                let product = self.zip(&a, &b, |this, a, b| this.mul(s, a, b));
                self.zip(&product, &c, |this, a, b| this.add(s, a, b))
            }
            Fun::Mix => {
                let one = self.float(s, 1.0);
                let rest = self.map(&c, |this, c| this.sub(s, one, c));
                let left = self.zip(&a, &rest, |this, a, r| this.mul(s, a, r));
                let right = self.zip(&b, &c, |this, b, c| this.mul(s, b, c));
                self.zip(&left, &right, |this, a, b| this.add(s, a, b))
            }
            Fun::Step => {
                let (zero, one) = (self.float(s, 0.0), self.float(s, 1.0));
                self.zip(&a, &b, |this, edge, x| {
                    let below = this.bin(Binary::Le, s, edge, x);
                    this.select(Lane::of(s), below, one, zero)
                })
            }
            Fun::SmoothStep => self.smooth_step(s, &a, &b, &c),
            Fun::Sqrt => plain(self, Unary::Sqrt),
            Fun::InverseSqrt => plain(self, Unary::InverseSqrt),
            Fun::Inverse => self.inverse(s, &a, rows),
            Fun::Transpose => Self::transpose(&a, rows),
            Fun::Determinant => Rc::new([self.determinant(s, &a, rows)]),
            Fun::QuantizeToF16 => plain(self, Unary::Quantize),
            Fun::CountTrailingZeros
            | Fun::CountLeadingZeros
            | Fun::CountOneBits
            | Fun::ReverseBits
            | Fun::FirstTrailingBit
            | Fun::FirstLeadingBit => self.map(&a, |this, a| this.bits(fun, s, a)),
            Fun::ExtractBits => self.map(&a, |this, a| this.extract_bits(s, a, b[0], c[0])),
            Fun::InsertBits => self.zip(&a, &b, |this, a, b| this.insert_bits(s, a, b, c[0], d[0])),
            Fun::Pack4x8snorm => Rc::new([self.pack_norm(&a, 8, true)]),
            Fun::Pack4x8unorm => Rc::new([self.pack_norm(&a, 8, false)]),
            Fun::Pack2x16snorm => Rc::new([self.pack_norm(&a, 16, true)]),
            Fun::Pack2x16unorm => Rc::new([self.pack_norm(&a, 16, false)]),
            Fun::Pack2x16float => Rc::new([self.pack_half(&a)]),
            Fun::Pack4xI8 => Rc::new([self.pack_bytes(&a)]),
            Fun::Pack4xU8 => Rc::new([self.pack_bytes(&a)]),
            Fun::Pack4xI8Clamp => Rc::new([self.pack_clamped(Scalar::I32, &a, -128, 127)]),
            Fun::Pack4xU8Clamp => Rc::new([self.pack_clamped(Scalar::U32, &a, 0, 255)]),
            Fun::Unpack4x8snorm => self.unpack_norm(a[0], 8, true),
            Fun::Unpack4x8unorm => self.unpack_norm(a[0], 8, false),
            Fun::Unpack2x16snorm => self.unpack_norm(a[0], 16, true),
            Fun::Unpack2x16unorm => self.unpack_norm(a[0], 16, false),
            Fun::Unpack2x16float => self.unpack_half(a[0]),
            Fun::Unpack4xI8 => self.unpack_fields(Scalar::I32, a[0], 8),
            Fun::Unpack4xU8 => self.unpack_fields(Scalar::U32, a[0], 8),
        })
    }

    pub(super) fn clamp(&mut self, s: Scalar, a: Reg, low: Reg, high: Reg) -> Reg {
        let raised = self.bin(Binary::Max, s, a, low);
        self.bin(Binary::Min, s, raised, high)
    }

    fn scaled(&mut self, s: Scalar, a: &[Reg], factor: f64) -> Rc<[Reg]> {
        let factor = self.float(s, factor);
        self.map(a, |this, a| this.mul(s, a, factor))
    }

    fn length(&mut self, s: Scalar, a: &[Reg]) -> Reg {
        if let [one] = a {
            return self.un(Unary::Abs, s, *one);
        }
        let square = self.dot(s, a, a);
        self.un(Unary::Sqrt, s, square)
    }

    /// `t * t * (3 - 2 t)` with `t = saturate((x - low) / (high - low))`
    fn smooth_step(&mut self, s: Scalar, low: &[Reg], high: &[Reg], x: &[Reg]) -> Rc<[Reg]> {
        let above = self.zip(x, low, |this, x, low| this.sub(s, x, low));
        let range = self.zip(high, low, |this, high, low| this.sub(s, high, low));
        let [zero, one, two, three] = [0.0, 1.0, 2.0, 3.0].map(|value| self.float(s, value));
        self.zip(&above, &range, |this, above, range| {
            let ratio = this.div(s, above, range);
            let t = this.clamp(s, ratio, zero, one);
            let double = this.mul(s, two, t);
            let rest = this.sub(s, three, double);
            let square = this.mul(s, t, t);
            this.mul(s, square, rest)
        })
    }

    /// `eta i - (eta (n.i) + sqrt(k)) n` with `k = 1 - eta² (1 - (n.i)²)`, or zero where `k < 0`.
    fn refract(&mut self, s: Scalar, i: &[Reg], n: &[Reg], eta: Reg) -> Rc<[Reg]> {
        let (zero, one) = (self.float(s, 0.0), self.float(s, 1.0));
        let dot = self.dot(s, n, i);
        let square = self.mul(s, dot, dot);
        let rest = self.sub(s, one, square);
        let eta_squared = self.mul(s, eta, eta);
        let part = self.mul(s, eta_squared, rest);
        let k = self.sub(s, one, part);
        let total = self.bin(Binary::Lt, s, k, zero);
        let root = self.un(Unary::Sqrt, s, k);
        let along = self.mul(s, eta, dot);
        let factor = self.add(s, along, root);
        self.zip(i, n, |this, i, n| {
            let left = this.mul(s, eta, i);
            let right = this.mul(s, factor, n);
            let bent = this.sub(s, left, right);
            this.select(Lane::of(s), total, zero, bent)
        })
    }
}
