//! Value conversions and bit casts.

use std::rc::Rc;

use naga::{Expression, Handle, ScalarKind};

use super::{Frame, Lower};
use crate::error::Error;
use crate::ir::{Binary, Lane, Reg, Unary};
use crate::layout::Scalar;

impl<'m> Lower<'m> {
    pub(super) fn conversion(
        &mut self,
        frame: &Frame<'m>,
        expr: Handle<Expression>,
        kind: ScalarKind,
        width: Option<u8>,
    ) -> Result<Rc<[Reg]>, Error> {
        let from = self.scalar_of(frame, expr)?;
        let value = self.data(frame, expr)?;
        let bytes = width.unwrap_or(from.bytes() as u8);
        let to =
            Scalar::of(naga::Scalar { kind, width: bytes }).ok_or_else(|| self.refused("a conversion to this type"))?;
        Ok(match width {
            Some(_) => self.map(&value, |this, a| this.convert(from, to, a)),
            None => self.map(&value, |this, a| this.bitcast(from, to, a)),
        })
    }

    /// The value as another type: floats to integers toward zero and saturating, integers modulo 2^n.
    pub(super) fn convert(&mut self, from: Scalar, to: Scalar, a: Reg) -> Reg {
        if from == to {
            return a;
        }
        let is_float = matches!(from, Scalar::F16 | Scalar::F32 | Scalar::F64);
        let bounds = match to {
            Scalar::I16 => Some((f64::from(i16::MIN), f64::from(i16::MAX))),
            Scalar::U16 => Some((0.0, f64::from(u16::MAX))),
            _ => None,
        };
        let a = match bounds {
            Some((low, high)) if is_float => {
                let wide = if from == Scalar::F16 { Scalar::F32 } else { from };
                let (low, high) = (self.float(wide, low), self.float(wide, high));
                let raised = self.binary(Binary::Max, Lane::of(wide), a, low);
                self.binary(Binary::Min, Lane::of(wide), raised, high)
            }
            _ => a,
        };
        let (source, target) = (Lane::of(from), Lane::of(to));
        let converted = if source == target { a } else { self.cast(source, target, a) };
        match (from, to) {
            // A wider type holds every value of the narrower one.
            (Scalar::F16, Scalar::F32) | (Scalar::I16, Scalar::I32) | (Scalar::U16, Scalar::U32) => a,
            (Scalar::Bool, Scalar::I16 | Scalar::U16 | Scalar::F16) => converted,
            _ => self.narrow(to, converted),
        }
    }

    /// The same bits as another type of the same width.
    fn bitcast(&mut self, from: Scalar, to: Scalar, a: Reg) -> Reg {
        if from == to {
            return a;
        }
        let bits = match from {
            Scalar::F16 => self.unary(Unary::HalfToBits, Lane::F32, a),
            _ => a,
        };
        match to {
            Scalar::F16 => self.unary(Unary::HalfFromBits, Lane::U32, bits),
            Scalar::I16 | Scalar::U16 => self.narrow(to, bits),
            _ => bits,
        }
    }
}
