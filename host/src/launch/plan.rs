//! Plans: several launches that are accepted together or not at all.

use std::sync::{Arc, PoisonError};

use super::Launch;
use crate::{
    backend::Lane,
    buffer::Bound,
    dma::Ticket,
    error::{Error, Result},
    few::Few,
    grid,
    kernel::{Operand, Plan},
    launch::Job,
    message::Message,
};

impl Launch<'_> {
    /// Sends all steps, or none. Failures of earlier steps reach the last one along the data.
    pub(super) fn plan(self, plan: &Plan) -> Result<Ticket<()>> {
        let scratch = self.all_scratch(plan)?;
        let sent = self.send_steps(plan, &scratch);
        let mut kept = self.device.inner.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = (0..).map(|index| (std::ptr::from_ref(plan).addr(), index));
        kept.extend(keys.zip(scratch.into_iter().map(|bound| bound.allocation)));
        sent
    }

    fn send_steps(&self, plan: &Plan, scratch: &[Bound]) -> Result<Ticket<()>> {
        let mut batch = self.route.queue(self.device, Lane::Compute).batch();
        let mut last = None;
        for message in self.steps(plan, scratch)? {
            last = Some(batch.push(message)?);
        }
        let mut sent = batch.commit_with(self.route.patience)?;
        Ok(sent.ticket(last.expect("a plan has a step")))
    }

    /// The plan's messages. Their scratch memory is theirs alone.
    pub(super) fn plan_messages(&self, plan: &Plan) -> Result<Vec<Message<()>>> {
        self.steps(plan, &self.all_scratch(plan)?)
    }

    fn all_scratch(&self, plan: &Plan) -> Result<Vec<Bound>> {
        check(plan)?;
        if self.bound.len() != plan.bindings || self.bound.iter().any(|(name, _)| name.is_some()) {
            let (declared, got) = (plan.bindings, self.bound.len());
            return Err(Error::argument(plan.name, format!("takes {declared} buffers in order, {got} are bound")));
        }
        let counts: Vec<u64> = self.bound.iter().map(|(_, b)| b.bytes / b.element_bytes).collect();
        (0..plan.scratch.len()).map(|i| self.scratch(plan, i, &counts)).collect()
    }

    fn steps(&self, plan: &Plan, scratch: &[Bound]) -> Result<Vec<Message<()>>> {
        plan.steps
            .iter()
            .map(|step| {
                let bound = step.operands.iter().map(|operand| match *operand {
                    Operand::Caller(i) => (None, self.bound[i].1.clone()),
                    Operand::Scratch(i) => (None, scratch[i].clone()),
                });
                let counts_scratch = grid::counted_operand(step).is_some_and(|o| matches!(o, Operand::Scratch(_)));
                let args = self.args.iter().copied().filter(|&(name, _)| !(counts_scratch && name == "n"));
                let launch = Launch {
                    device: self.device,
                    job: Job::Kernel(step.kernel),
                    bound: bound.collect(),
                    args: args.collect(),
                    uniforms: Few::new(),
                    overrides: self.overrides.clone(),
                    groups: None,
                    route: self.route,
                };
                launch.message(step.kernel)
            })
            .collect()
    }

    /// The plan's scratch buffer, kept by the device from launch to launch. It is taken away from there
    /// until all steps are sent: those of another thread's launch must not come between them.
    fn scratch(&self, plan: &Plan, index: usize, counts: &[u64]) -> Result<Bound> {
        let scratch = &plan.scratch[index];
        let elements = (scratch.elements)(counts).max(1);
        let bytes = elements.checked_mul(scratch.element_bytes).ok_or_else(|| Error::Limit {
            what: format!("scratch {index} of {}, in elements of {} bytes", plan.name, scratch.element_bytes),
            limit_name: "u64",
            requested: elements,
            limit: u64::MAX / scratch.element_bytes,
        })?;
        let key = (std::ptr::from_ref(plan).addr(), index);
        let mut kept = self.device.inner.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.remove(&key);
        drop(kept);
        let allocation = match known.filter(|known| known.bytes >= bytes) {
            Some(allocation) => allocation,
            None => Arc::new(self.device.allocate(bytes, Some(plan.name))?),
        };
        Ok(Bound {
            allocation,
            offset: 0,
            bytes,
            element_bytes: scratch.element_bytes,
            scalar: None,
            element: "scratch",
        })
    }
}

/// Whether the plan is one: it has a step, and its steps take only what there is.
fn check(plan: &Plan) -> Result<()> {
    let wrong = |what: String| Err(Error::argument(plan.name, what));
    if plan.steps.is_empty() {
        return wrong("is a plan without a step".into());
    }
    let (bindings, scratch) = (plan.bindings, plan.scratch.len());
    for (number, step) in plan.steps.iter().enumerate() {
        let bad = step.operands.iter().find(|operand| match **operand {
            Operand::Caller(i) => i >= bindings,
            Operand::Scratch(i) => i >= scratch,
        });
        if let Some(bad) = bad {
            return wrong(format!(
                "step {number} takes {bad:?}, of {bindings} buffers of the caller and {scratch} of scratch"
            ));
        }
    }
    Ok(())
}
