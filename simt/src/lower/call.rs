//! Functions, inlined where they are called, and the entry point around them.

use std::rc::Rc;

use naga::valid::FunctionInfo;
use naga::{Binding, Block, BuiltIn, Expression, Function, Handle, Statement, TypeInner};

use super::value::Value;
use super::{Frame, Lower, shape};
use crate::error::Error;
use crate::ir::{Input, Lane, Node, Op, Reg, Root, SUBGROUP};

impl<'m> Lower<'m> {
    pub(super) fn entry(&mut self, entry: &'m naga::EntryPoint, info: &'m FunctionInfo) -> Result<(), Error> {
        let module = self.module;
        let size = entry.workgroup_size;
        let mut args = Vec::new();
        for argument in &entry.function.arguments {
            let regs = match (&argument.binding, &module.types[argument.ty].inner) {
                (Some(binding), _) => self.builtin(binding, size)?,
                (None, TypeInner::Struct { members, .. }) => {
                    let mut regs = Vec::new();
                    for member in members {
                        let binding = member.binding.as_ref();
                        let binding = binding.ok_or_else(|| self.refused("an input without a binding"))?;
                        regs.extend(self.builtin(binding, size)?);
                    }
                    regs
                }
                _ => return Err(self.refused("an input without a binding")),
            };
            args.push(Value::Data(regs.into()));
        }
        self.inline(&entry.function, info, args)?;
        Ok(())
    }

    fn builtin(&mut self, binding: &Binding, size: [u32; 3]) -> Result<Vec<Reg>, Error> {
        let Binding::BuiltIn(builtin) = binding else {
            return Err(self.refused("an input that is no builtin"));
        };
        let axes = [0_u8, 1, 2];
        Ok(match builtin {
            BuiltIn::GlobalInvocationId => axes.map(|axis| self.input(Input::GlobalId(axis))).into(),
            BuiltIn::LocalInvocationId => axes.map(|axis| self.input(Input::LocalId(axis))).into(),
            BuiltIn::LocalInvocationIndex => vec![self.input(Input::LocalIndex)],
            BuiltIn::WorkGroupId => axes.map(|axis| self.input(Input::WorkgroupId(axis))).into(),
            BuiltIn::NumWorkGroups => axes.map(|axis| self.input(Input::NumWorkgroups(axis))).into(),
            BuiltIn::WorkGroupSize => size.map(|side| self.word(side)).into(),
            BuiltIn::NumSubgroups => vec![self.word(self.lanes.div_ceil(SUBGROUP))],
            BuiltIn::SubgroupSize => vec![self.word(SUBGROUP)],
            BuiltIn::SubgroupId => vec![self.input(Input::SubgroupId)],
            BuiltIn::SubgroupInvocationId => vec![self.input(Input::SubgroupInvocationId)],
            _ => return Err(self.refused("this builtin")),
        })
    }

    pub(super) fn call(&mut self, function: Handle<Function>, args: Vec<Value>) -> Result<Rc<[Reg]>, Error> {
        self.deeper()?;
        let (module, info) = (self.module, self.info);
        let result = self.inline(&module.functions[function], &info[function], args);
        self.depth -= 1;
        result
    }

    fn inline(&mut self, function: &'m Function, info: &'m FunctionInfo, args: Vec<Value>) -> Result<Rc<[Reg]>, Error> {
        let mut frame = Frame {
            function,
            info,
            values: vec![None; function.expressions.len()],
            args,
            locals: Vec::new(),
            exit: None,
            result: Rc::new([]),
            jumps: Vec::new(),
        };
        for (handle, local) in function.local_variables.iter() {
            self.at = function.local_variables.get_span(handle);
            let layout = self.layout(local.ty)?;
            let pointer = self.local(local.name.clone().unwrap_or_default(), layout)?;
            let initial = match local.init {
                Some(init) => self.data(&frame, init)?,
                None => self.zeros(&pointer.layout)?,
            };
            self.store(&pointer, &initial)?;
            frame.locals.push(pointer);
        }
        if returns_only_at_its_end(&function.body) {
            self.block(&mut frame, &function.body)?;
            return Ok(frame.result);
        }
        let label = self.label();
        frame.exit = Some(label);
        if let Some(result) = &function.result {
            let layout = self.layout(result.ty)?;
            let pointer = self.local(String::new(), layout)?;
            let parts = shape::parts(&pointer.layout, Root::Local);
            frame.result = parts.iter().map(|part| pointer.offset + part.offset).collect();
        }
        let body = self.block_of(|this| this.block(&mut frame, &function.body))?;
        self.node(Node::Scope { label, body });
        // The registers are assigned again by the next call in a loop, so the caller gets a copy.
        let Some(result) = &function.result else {
            return Ok(frame.result);
        };
        let scalars = shape::parts(&self.layout(result.ty)?, Root::Local);
        Ok((frame.result.iter().zip(scalars))
            .map(|(&src, part)| {
                let lane = Lane::of(part.scalar);
                let dst = self.temp(lane);
                self.op(Op::Copy { dst, src, words: lane.words() });
                dst
            })
            .collect())
    }

    pub(super) fn lower_return(
        &mut self,
        frame: &mut Frame<'m>,
        value: Option<Handle<Expression>>,
    ) -> Result<(), Error> {
        let Some(label) = frame.exit else {
            if let Some(value) = value {
                frame.result = self.data(frame, value)?;
            }
            return Ok(());
        };
        if let Some(value) = value {
            let layout = self.layout_of(frame, value)?;
            let regs = self.data(frame, value)?;
            for ((&dst, &src), part) in frame.result.iter().zip(&*regs).zip(shape::parts(&layout, Root::Local)) {
                self.op(Op::Set { dst, src, words: Lane::of(part.scalar).words() });
            }
        }
        self.node(Node::Exit(label));
        Ok(())
    }
}

/// Whether the function's value is simply that of its last statement.
fn returns_only_at_its_end(body: &Block) -> bool {
    let Some((last, rest)) = body.split_last() else {
        return true;
    };
    let end = match last {
        Statement::Return { .. } => true,
        Statement::Block(inner) => returns_only_at_its_end(inner),
        other => !returns(other),
    };
    end && !rest.iter().any(returns)
}

fn returns(statement: &Statement) -> bool {
    let any = |block: &Block| block.iter().any(returns);
    match statement {
        Statement::Return { .. } => true,
        Statement::Block(block) => any(block),
        Statement::If { accept, reject, .. } => any(accept) || any(reject),
        Statement::Switch { cases, .. } => cases.iter().any(|case| any(&case.body)),
        Statement::Loop { body, continuing, .. } => any(body) || any(continuing),
        _ => false,
    }
}
