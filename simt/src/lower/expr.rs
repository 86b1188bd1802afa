//! Expressions.

use std::rc::Rc;

use naga::proc::TypeResolution;
use naga::{BinaryOperator, Expression, Handle, RelationalFunction, TypeInner, UnaryOperator};

use super::value::Value;
use super::{Frame, Lower, shape};
use crate::error::Error;
use crate::ir::{Binary, Input, Lane, Reg, Root, Unary};
use crate::layout::{Layout, Scalar};
use crate::refuse::{self, Refusal};

impl<'m> Lower<'m> {
    /// The value of an expression: what its `Emit` made of it, or what needs none.
    pub(super) fn value(&mut self, frame: &Frame<'m>, handle: Handle<Expression>) -> Result<Value, Error> {
        if let Some(value) = &frame.values[handle.index()] {
            return Ok(value.clone());
        }
        self.evaluate(frame, handle)
    }

    pub(super) fn data(&mut self, frame: &Frame<'m>, handle: Handle<Expression>) -> Result<Rc<[Reg]>, Error> {
        match self.value(frame, handle)? {
            Value::Data(regs) => Ok(regs),
            Value::Pointer(_) => Err(self.refused("a pointer used as a value")),
        }
    }

    pub(super) fn scalar_value(&mut self, frame: &Frame<'m>, handle: Handle<Expression>) -> Result<Reg, Error> {
        Ok(self.data(frame, handle)?[0])
    }

    pub(super) fn pointer(&mut self, frame: &Frame<'m>, handle: Handle<Expression>) -> Result<super::Pointer, Error> {
        match self.value(frame, handle)? {
            Value::Pointer(pointer) => Ok(pointer),
            Value::Data(_) => Err(self.refused("a value used as a pointer")),
        }
    }

    /// The layout of an expression that is a value.
    pub(super) fn layout_of(&self, frame: &Frame<'m>, handle: Handle<Expression>) -> Result<Layout, Error> {
        match &frame.info[handle].ty {
            TypeResolution::Handle(ty) => self.layout(*ty),
            TypeResolution::Value(inner) => self.layout_of_inner(inner),
        }
    }

    fn layout_of_inner(&self, inner: &TypeInner) -> Result<Layout, Error> {
        let layout = match *inner {
            TypeInner::Scalar(scalar) => Scalar::of(scalar).map(Layout::Scalar),
            TypeInner::Vector { size, scalar } => {
                Scalar::of(scalar).map(|scalar| Layout::Vector { size: size.into(), scalar })
            }
            TypeInner::Matrix { columns, rows, scalar } => {
                Scalar::of(scalar).map(|scalar| Layout::Matrix { columns: columns.into(), rows: rows.into(), scalar })
            }
            _ => None,
        };
        layout.ok_or_else(|| self.refused("a value of this type"))
    }

    /// The component type of a scalar, vector or matrix expression.
    pub(super) fn scalar_of(&self, frame: &Frame<'m>, handle: Handle<Expression>) -> Result<Scalar, Error> {
        let inner = frame.info[handle].ty.inner_with(&self.module.types);
        let scalar = inner.scalar().and_then(Scalar::of);
        scalar.ok_or_else(|| self.refused("arithmetic on a value of this type"))
    }

    pub(super) fn evaluate(&mut self, frame: &Frame<'m>, handle: Handle<Expression>) -> Result<Value, Error> {
        self.deeper()?;
        let at = frame.function.expressions.get_span(handle);
        let value = self.located(at, |this| this.expression(frame, handle));
        self.depth -= 1;
        value
    }

    fn expression(&mut self, frame: &Frame<'m>, handle: Handle<Expression>) -> Result<Value, Error> {
        let data = match &frame.function.expressions[handle] {
            Expression::Literal(literal) => Rc::new([self.literal(*literal)]),
            Expression::Constant(constant) => self.constant(self.module.constants[*constant].init)?,
            Expression::ZeroValue(ty) => {
                let layout = self.layout(*ty)?;
                self.zeros(&layout)?
            }
            Expression::Compose { components, .. } => {
                let mut out = Vec::new();
                for &component in components {
                    out.extend_from_slice(&self.data(frame, component)?);
                    if out.len() > super::MOST {
                        return Err(self.limit("a value is too large"));
                    }
                }
                out.into()
            }
            Expression::Access { base, index } => return self.access(frame, *base, *index),
            Expression::AccessIndex { base, index } => {
                return self.access_index(frame, *base, *index);
            }
            Expression::Splat { size, value } => vec![self.scalar_value(frame, *value)?; *size as usize].into(),
            Expression::Swizzle { size, vector, pattern } => {
                let vector = self.data(frame, *vector)?;
                pattern[..*size as usize].iter().map(|&at| vector[at as usize]).collect()
            }
            Expression::FunctionArgument(index) => return Ok(frame.args[*index as usize].clone()),
            Expression::GlobalVariable(variable) => {
                let pointer = self.globals.get(variable).cloned();
                let pointer = pointer.ok_or_else(|| self.refused("a variable in this address space"))?;
                return Ok(Value::Pointer(pointer));
            }
            Expression::LocalVariable(local) => {
                return Ok(Value::Pointer(frame.locals[local.index()].clone()));
            }
            Expression::Load { pointer } => {
                let pointer = self.pointer(frame, *pointer)?;
                self.load(&pointer)?
            }
            Expression::Unary { op, expr } => self.unary_operator(frame, *op, *expr)?,
            Expression::Binary { op, left, right } => self.binary_operator(frame, *op, *left, *right)?,
            Expression::Select { condition, accept, reject } => {
                self.select_value(frame, *condition, *accept, *reject)?
            }
            Expression::Relational { fun, argument } => self.relational(frame, *fun, *argument)?,
            Expression::Math { fun, arg, arg1, arg2, arg3 } => self.math(frame, *fun, *arg, [*arg1, *arg2, *arg3])?,
            Expression::As { expr, kind, convert } => self.conversion(frame, *expr, *kind, *convert)?,
            Expression::ArrayLength(pointer) => {
                let pointer = self.pointer(frame, *pointer)?;
                let Root::Binding(slot) = pointer.root else {
                    return Err(self.refused("the length of an array outside a buffer"));
                };
                Rc::new([self.input(Input::Length(slot))])
            }
            Expression::Override(_) => return Err(self.refused("an override without a value")),
            // A statement gives these their values; reaching one here is a use before that.
            Expression::CallResult(_)
            | Expression::AtomicResult { .. }
            | Expression::WorkGroupUniformLoadResult { .. }
            | Expression::SubgroupBallotResult
            | Expression::SubgroupOperationResult { .. } => {
                return Err(self.refused("a result that is used before it is there"));
            }
            other => {
                let what = refuse::expression(other).map_or("an expression of this kind", Refusal::name);
                return Err(self.refused(what));
            }
        };
        Ok(Value::Data(data))
    }

    fn access(
        &mut self,
        frame: &Frame<'m>,
        base: Handle<Expression>,
        index: Handle<Expression>,
    ) -> Result<Value, Error> {
        let lane = Lane::of(self.scalar_of(frame, index)?);
        let at = self.scalar_value(frame, index)?;
        match self.value(frame, base)? {
            Value::Pointer(pointer) => Ok(Value::Pointer(self.step_dynamic(&pointer, at, lane)?)),
            Value::Data(regs) => {
                let layout = self.layout_of(frame, base)?;
                let pointer = match frame.function.expressions[base] {
                    Expression::Constant(constant) => self.table(constant, &regs, layout)?,
                    _ => self.indexable(&regs, layout)?,
                };
                let element = self.step_dynamic(&pointer, at, lane)?;
                Ok(Value::Data(self.load(&element)?))
            }
        }
    }

    fn access_index(&mut self, frame: &Frame<'m>, base: Handle<Expression>, index: u32) -> Result<Value, Error> {
        match self.value(frame, base)? {
            Value::Pointer(pointer) => Ok(Value::Pointer(self.step_fixed(&pointer, index)?)),
            Value::Data(regs) => {
                let layout = self.layout_of(frame, base)?;
                let (start, len) = match &layout {
                    Layout::Struct { members, .. } => {
                        let before = members[..index as usize].iter();
                        let start = before.map(|member| shape::count(&member.layout)).sum();
                        (start, shape::count(&members[index as usize].layout))
                    }
                    _ => {
                        let step =
                            shape::step(&layout, Root::Local).ok_or_else(|| self.refused("an index into a scalar"))?;
                        let len = shape::count(&step.element);
                        (index as usize * len, len)
                    }
                };
                let part = regs.get(start..start + len);
                let part = part.ok_or_else(|| self.refused("an index beyond the value"))?;
                Ok(Value::Data(part.into()))
            }
        }
    }

    fn unary_operator(
        &mut self,
        frame: &Frame<'m>,
        op: UnaryOperator,
        expr: Handle<Expression>,
    ) -> Result<Rc<[Reg]>, Error> {
        let scalar = self.scalar_of(frame, expr)?;
        let value = self.data(frame, expr)?;
        let op = match op {
            UnaryOperator::Negate => Unary::Negate,
            UnaryOperator::LogicalNot | UnaryOperator::BitwiseNot => Unary::Not,
        };
        Ok(self.map(&value, |this, a| this.un(op, scalar, a)))
    }

    fn binary_operator(
        &mut self,
        frame: &Frame<'m>,
        op: BinaryOperator,
        left: Handle<Expression>,
        right: Handle<Expression>,
    ) -> Result<Rc<[Reg]>, Error> {
        let scalar = self.scalar_of(frame, left)?;
        let (a, b) = (self.data(frame, left)?, self.data(frame, right)?);
        let types = &self.module.types;
        let shapes = (frame.info[left].ty.inner_with(types), frame.info[right].ty.inner_with(types));
        if op == BinaryOperator::Multiply
            && let Some(product) = self.matrix_product(scalar, shapes, (&a, &b))
        {
            return Ok(product);
        }
        let op = match op {
            BinaryOperator::Add => Binary::Add,
            BinaryOperator::Subtract => Binary::Sub,
            BinaryOperator::Multiply => Binary::Mul,
            BinaryOperator::Divide => Binary::Div,
            BinaryOperator::Modulo => Binary::Rem,
            BinaryOperator::Equal => Binary::Eq,
            BinaryOperator::NotEqual => Binary::Ne,
            BinaryOperator::Less => Binary::Lt,
            BinaryOperator::LessEqual => Binary::Le,
            BinaryOperator::Greater => Binary::Gt,
            BinaryOperator::GreaterEqual => Binary::Ge,
            BinaryOperator::And | BinaryOperator::LogicalAnd => Binary::And,
            BinaryOperator::ExclusiveOr => Binary::Xor,
            BinaryOperator::InclusiveOr | BinaryOperator::LogicalOr => Binary::Or,
            BinaryOperator::ShiftLeft => Binary::Shl,
            BinaryOperator::ShiftRight => Binary::Shr,
        };
        Ok(self.zip(&a, &b, |this, a, b| this.bin(op, scalar, a, b)))
    }

    fn select_value(
        &mut self,
        frame: &Frame<'m>,
        condition: Handle<Expression>,
        accept: Handle<Expression>,
        reject: Handle<Expression>,
    ) -> Result<Rc<[Reg]>, Error> {
        let layout = self.layout_of(frame, accept)?;
        let condition = self.data(frame, condition)?;
        let (yes, no) = (self.data(frame, accept)?, self.data(frame, reject)?);
        let parts = shape::parts(&layout, Root::Local);
        Ok((parts.iter().enumerate())
            .map(|(i, part)| {
                let cond = if condition.len() == 1 { condition[0] } else { condition[i] };
                self.select(Lane::of(part.scalar), cond, yes[i], no[i])
            })
            .collect())
    }

    fn relational(
        &mut self,
        frame: &Frame<'m>,
        fun: RelationalFunction,
        argument: Handle<Expression>,
    ) -> Result<Rc<[Reg]>, Error> {
        let scalar = self.scalar_of(frame, argument)?;
        let value = self.data(frame, argument)?;
        let fold = |this: &mut Self, op| {
            let mut all = value[0];
            for &next in &value[1..] {
                all = this.binary(op, Lane::Bool, all, next);
            }
            Rc::from([all])
        };
        Ok(match fun {
            RelationalFunction::All => fold(self, Binary::And),
            RelationalFunction::Any => fold(self, Binary::Or),
            RelationalFunction::IsNan => self.map(&value, |this, a| this.un(Unary::IsNan, scalar, a)),
            RelationalFunction::IsInf => self.map(&value, |this, a| this.un(Unary::IsInf, scalar, a)),
        })
    }
}
