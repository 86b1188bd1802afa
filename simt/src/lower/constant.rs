//! Constants: literals, zero values and what naga evaluated.

use std::rc::Rc;

use naga::{Expression, Handle, Literal};

use super::{Lower, shape};
use crate::error::Error;
use crate::ir::{Reg, Root};
use crate::layout::Layout;

impl Lower<'_> {
    pub(super) fn literal(&mut self, literal: Literal) -> Reg {
        match literal {
            Literal::F64(value) | Literal::AbstractFloat(value) => self.pair(value.to_bits()),
            Literal::F32(value) => self.word(value.to_bits()),
            Literal::F16(value) => self.word(value.to_f32().to_bits()),
            Literal::U16(value) => self.word(value.into()),
            Literal::I16(value) => self.word(i32::from(value) as u32),
            Literal::U32(value) => self.word(value),
            Literal::I32(value) => self.word(value as u32),
            Literal::U64(value) => self.pair(value),
            Literal::I64(value) | Literal::AbstractInt(value) => self.pair(value as u64),
            Literal::Bool(value) => self.word(if value { u32::MAX } else { 0 }),
        }
    }

    pub(super) fn zeros(&mut self, layout: &Layout) -> Result<Rc<[Reg]>, Error> {
        if shape::words(layout).is_none_or(|words| words as usize > super::MOST) {
            return Err(self.limit("a zero value is too large"));
        }
        let parts = shape::parts(layout, Root::Local);
        Ok(parts.iter().map(|part| self.zero(part.scalar)).collect())
    }

    /// The value of an expression of the module, all of which are evaluated.
    pub(super) fn constant(&mut self, handle: Handle<Expression>) -> Result<Rc<[Reg]>, Error> {
        let module = self.module;
        match &module.global_expressions[handle] {
            Expression::Literal(literal) => Ok(Rc::new([self.literal(*literal)])),
            Expression::Constant(constant) => self.constant(module.constants[*constant].init),
            Expression::ZeroValue(ty) => {
                let layout = self.layout(*ty)?;
                self.zeros(&layout)
            }
            Expression::Compose { components, .. } => {
                let mut out = Vec::new();
                for &component in components {
                    out.extend_from_slice(&self.constant(component)?);
                }
                Ok(out.into())
            }
            Expression::Splat { size, value } => {
                let value = self.constant(*value)?;
                Ok(vec![value[0]; *size as usize].into())
            }
            Expression::Swizzle { size, vector, pattern } => {
                let vector = self.constant(*vector)?;
                Ok(pattern[..*size as usize].iter().map(|&at| vector[at as usize]).collect())
            }
            _ => Err(self.refused("a constant expression that naga left unevaluated")),
        }
    }
}
