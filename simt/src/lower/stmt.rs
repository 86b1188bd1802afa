//! Statements.

use naga::{
    AtomicFunction, Block, CollectiveOperation, Direction, Expression, GatherMode, Handle, Span, Statement,
    SubgroupOperation, SwitchCase, SwitchValue,
};

use super::value::Value;
use super::{Frame, Jump, Lower, access, shape};
use crate::error::Error;
use crate::ir::{Atomic, BarrierScope, Binary, Collective, Combine, Gather, Lane, Node, Op, Reg, Root};
use crate::refuse::{self, Refusal};

impl<'m> Lower<'m> {
    /// Lowers a block up to the first statement that always leaves it.
    pub(super) fn block(&mut self, frame: &mut Frame<'m>, block: &'m Block) -> Result<(), Error> {
        self.deeper()?;
        for (statement, span) in block.span_iter() {
            self.located(*span, |this| {
                this.check_size()?;
                this.statement(frame, statement, *span)
            })?;
            if matches!(statement, Statement::Break | Statement::Continue | Statement::Return { .. }) {
                break;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn statement(&mut self, frame: &mut Frame<'m>, item: &'m Statement, at: Span) -> Result<(), Error> {
        match item {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    if frame.info[handle].ref_count > 0 {
                        let value = self.evaluate(frame, handle)?;
                        frame.values[handle.index()] = Some(value);
                    }
                }
            }
            Statement::Block(block) => self.block(frame, block)?,
            Statement::If { condition, accept, reject } => {
                let cond = self.scalar_value(frame, *condition)?;
                let accept = self.block_of(|this| this.block(frame, accept))?;
                let reject = self.block_of(|this| this.block(frame, reject))?;
                self.node(Node::If { cond, accept, reject });
            }
            Statement::Switch { selector, cases } => self.switch(frame, *selector, cases)?,
            Statement::Loop { body, continuing, break_if } => {
                self.lower_loop(frame, body, continuing, *break_if, at)?;
            }
            Statement::Break => {
                let jump = self.jump(frame)?;
                self.node(Node::Exit(jump.leave));
            }
            Statement::Continue => {
                let again = self.jump(frame)?.again;
                let label = again.ok_or_else(|| self.refused("`continue` outside a loop"))?;
                self.node(Node::Exit(label));
            }
            Statement::Return { value } => self.lower_return(frame, *value)?,
            Statement::ControlBarrier(flags) => {
                let scope = BarrierScope {
                    storage: flags.intersects(naga::Barrier::STORAGE | naga::Barrier::TEXTURE),
                    workgroup: flags.contains(naga::Barrier::WORK_GROUP),
                    subgroup_only: *flags == naga::Barrier::SUB_GROUP,
                };
                self.node(Node::Barrier { scope, at });
            }
            // Orders memory without waiting. WGSL cannot write it, and every lane of a workgroup runs on one
            // thread, in order.
            Statement::MemoryBarrier(_) => {}
            Statement::Store { pointer, value } => {
                let pointer = self.pointer(frame, *pointer)?;
                let value = self.data(frame, *value)?;
                self.store(&pointer, &value)?;
            }
            Statement::Atomic { pointer, fun, value, result } => {
                self.atomic(frame, *pointer, *fun, *value, *result)?;
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                let scope = BarrierScope { storage: false, workgroup: true, subgroup_only: false };
                self.node(Node::Barrier { scope, at });
                let pointer = self.pointer(frame, *pointer)?;
                let mut loaded = Vec::new();
                for part in shape::parts(&pointer.layout, Root::Workgroup) {
                    let dst = self.temp(Lane::of(part.scalar));
                    let place = access::place(&pointer, part.offset);
                    self.op(Op::LoadUniform { dst, ty: part.scalar, place });
                    loaded.push(dst);
                }
                self.node(Node::Barrier { scope, at });
                frame.values[result.index()] = Some(Value::Data(loaded.into()));
            }
            Statement::Call { function, arguments, result } => {
                let arguments = arguments.iter().map(|&argument| self.value(frame, argument));
                let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
                let value = self.call(*function, arguments)?;
                if let Some(result) = result {
                    frame.values[result.index()] = Some(Value::Data(value));
                }
            }
            Statement::SubgroupBallot { result, predicate } => {
                let cond = match predicate {
                    Some(predicate) => Some(self.scalar_value(frame, *predicate)?),
                    None => None,
                };
                let dst = self.row(4, false);
                self.op(Op::Ballot { dst, cond });
                frame.values[result.index()] = Some(Value::Data((dst..dst + 4).collect()));
            }
            Statement::SubgroupGather { mode, argument, result } => {
                self.gather(frame, *mode, *argument, *result)?;
            }
            Statement::SubgroupCollectiveOperation { op, collective_op, argument, result } => {
                self.collective(frame, *op, *collective_op, *argument, *result)?;
            }
            other => {
                return Err(self.refused(refuse::statement(other).map_or("a statement", Refusal::name)));
            }
        }
        Ok(())
    }

    fn jump(&self, frame: &Frame<'m>) -> Result<Jump, Error> {
        frame.jumps.last().copied().ok_or_else(|| self.refused("`break` outside a loop"))
    }

    /// A scope to leave by `break`, around a loop whose body is a scope to leave by `continue`.
    fn lower_loop(
        &mut self,
        frame: &mut Frame<'m>,
        body: &'m Block,
        continuing: &'m Block,
        break_if: Option<Handle<Expression>>,
        at: Span,
    ) -> Result<(), Error> {
        let (leave, again) = (self.label(), self.label());
        frame.jumps.push(Jump { leave, again: Some(again) });
        let round = self.block_of(|this| {
            let body = this.block_of(|this| this.block(frame, body))?;
            this.node(Node::Scope { label: again, body });
            this.block(frame, continuing)?;
            if let Some(done) = break_if {
                let cond = this.scalar_value(frame, done)?;
                let accept = vec![Node::Exit(leave)];
                this.node(Node::If { cond, accept, reject: Vec::new() });
            }
            Ok(())
        })?;
        frame.jumps.pop();
        self.node(Node::Scope { label: leave, body: vec![Node::Loop { body: round, at }] });
        Ok(())
    }

    /// Every clause's condition is worked out before the first clause runs; a lane meets one of them.
    fn switch(
        &mut self,
        frame: &mut Frame<'m>,
        selector: Handle<Expression>,
        cases: &'m [SwitchCase],
    ) -> Result<(), Error> {
        let selector = self.scalar_value(frame, selector)?;
        let leave = self.label();
        let again = frame.jumps.last().and_then(|jump| jump.again);
        let mut clauses: Vec<(Option<Reg>, &'m Block)> = Vec::new();
        let mut any: Option<Reg> = None;
        let mut of_clause: Option<Reg> = None;
        let mut is_default = false;
        let mut default = None;
        for case in cases {
            let value = match case.value {
                SwitchValue::I32(value) => Some(value as u32),
                SwitchValue::U32(value) => Some(value),
                SwitchValue::Default => None,
            };
            match value {
                Some(value) => {
                    let value = self.word(value);
                    let equal = self.binary(Binary::Eq, Lane::U32, selector, value);
                    of_clause = Some(self.either(of_clause, equal));
                    any = Some(self.either(any, equal));
                }
                None => is_default = true,
            }
            if case.fall_through && case.body.is_empty() {
                continue;
            }
            if case.fall_through {
                return Err(self.refused("a switch clause that falls through"));
            }
            if std::mem::take(&mut is_default) {
                default = Some((clauses.len(), of_clause.take()));
                clauses.push((None, &case.body));
            } else {
                clauses.push((of_clause.take(), &case.body));
            }
        }
        if let Some((clause, own)) = default {
            clauses[clause].0 = any.map(|any| {
                let others = self.unary(crate::ir::Unary::Not, Lane::Bool, any);
                own.map_or(others, |own| self.binary(Binary::Or, Lane::Bool, others, own))
            });
        }
        frame.jumps.push(Jump { leave, again });
        let body = self.block_of(|this| {
            for (cond, block) in clauses {
                let accept = this.block_of(|this| this.block(frame, block))?;
                match cond {
                    Some(cond) => this.node(Node::If { cond, accept, reject: Vec::new() }),
                    None => accept.into_iter().for_each(|node| this.node(node)),
                }
            }
            Ok(())
        })?;
        frame.jumps.pop();
        self.node(Node::Scope { label: leave, body });
        Ok(())
    }

    fn either(&mut self, so_far: Option<Reg>, next: Reg) -> Reg {
        so_far.map_or(next, |so_far| self.binary(Binary::Or, Lane::Bool, so_far, next))
    }

    fn atomic(
        &mut self,
        frame: &mut Frame<'m>,
        pointer: Handle<Expression>,
        fun: AtomicFunction,
        value: Handle<Expression>,
        result: Option<Handle<Expression>>,
    ) -> Result<(), Error> {
        let pointer = self.pointer(frame, pointer)?;
        let ty = self.scalar_at(&pointer)?;
        let place = access::place(&pointer, 0);
        let value = self.scalar_value(frame, value)?;
        let dst = self.temp(Lane::of(ty));
        let op = match fun {
            AtomicFunction::Add => Atomic::Add,
            AtomicFunction::Subtract => Atomic::Sub,
            AtomicFunction::And => Atomic::And,
            AtomicFunction::ExclusiveOr => Atomic::Xor,
            AtomicFunction::InclusiveOr => Atomic::Or,
            AtomicFunction::Min => Atomic::Min,
            AtomicFunction::Max => Atomic::Max,
            AtomicFunction::Exchange { compare: None } => Atomic::Exchange,
            AtomicFunction::Exchange { compare: Some(compare) } => {
                let compare = self.scalar_value(frame, compare)?;
                let exchanged = self.temp(Lane::Bool);
                self.op(Op::CompareExchange { ty, old: dst, exchanged, place, compare, value });
                if let Some(result) = result {
                    frame.values[result.index()] = Some(Value::Data([dst, exchanged].into()));
                }
                return Ok(());
            }
        };
        self.op(Op::Atomic { op, ty, dst, place, value });
        if let Some(result) = result {
            frame.values[result.index()] = Some(Value::Data([dst].into()));
        }
        Ok(())
    }

    fn gather(
        &mut self,
        frame: &mut Frame<'m>,
        mode: GatherMode,
        argument: Handle<Expression>,
        result: Handle<Expression>,
    ) -> Result<(), Error> {
        let ty = Lane::of(self.scalar_of(frame, argument)?);
        let value = self.data(frame, argument)?;
        let (mode, index) = match mode {
            GatherMode::BroadcastFirst => (Gather::BroadcastFirst, None),
            GatherMode::Broadcast(index) => (Gather::Broadcast, Some(index)),
            GatherMode::Shuffle(index) => (Gather::Shuffle, Some(index)),
            GatherMode::ShuffleDown(index) => (Gather::ShuffleDown, Some(index)),
            GatherMode::ShuffleUp(index) => (Gather::ShuffleUp, Some(index)),
            GatherMode::ShuffleXor(index) => (Gather::ShuffleXor, Some(index)),
            GatherMode::QuadBroadcast(index) => (Gather::QuadBroadcast, Some(index)),
            GatherMode::QuadSwap(Direction::X) => (Gather::QuadSwap(1), None),
            GatherMode::QuadSwap(Direction::Y) => (Gather::QuadSwap(2), None),
            GatherMode::QuadSwap(Direction::Diagonal) => (Gather::QuadSwap(3), None),
        };
        let index = match index {
            Some(index) => Some(self.scalar_value(frame, index)?),
            None => None,
        };
        let gathered = self.map(&value, |this, value| {
            let dst = this.temp(ty);
            this.op(Op::Gather { mode, ty, dst, value, index });
            dst
        });
        frame.values[result.index()] = Some(Value::Data(gathered));
        Ok(())
    }

    fn collective(
        &mut self,
        frame: &mut Frame<'m>,
        op: SubgroupOperation,
        how: CollectiveOperation,
        argument: Handle<Expression>,
        result: Handle<Expression>,
    ) -> Result<(), Error> {
        let scalar = self.scalar_of(frame, argument)?;
        let ty = Lane::of(scalar);
        let value = self.data(frame, argument)?;
        let op = match op {
            SubgroupOperation::All => Combine::All,
            SubgroupOperation::Any => Combine::Any,
            SubgroupOperation::Add => Combine::Add,
            SubgroupOperation::Mul => Combine::Mul,
            SubgroupOperation::Min => Combine::Min,
            SubgroupOperation::Max => Combine::Max,
            SubgroupOperation::And => Combine::And,
            SubgroupOperation::Or => Combine::Or,
            SubgroupOperation::Xor => Combine::Xor,
        };
        let how = match how {
            CollectiveOperation::Reduce => Collective::Reduce,
            CollectiveOperation::InclusiveScan => Collective::Inclusive,
            CollectiveOperation::ExclusiveScan => Collective::Exclusive,
        };
        let combined = self.map(&value, |this, value| {
            let dst = this.temp(ty);
            this.op(Op::Collective { op, how, ty, dst, value });
            this.narrow(scalar, dst)
        });
        frame.values[result.index()] = Some(Value::Data(combined));
        Ok(())
    }
}
