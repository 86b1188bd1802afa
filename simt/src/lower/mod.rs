//! naga's IR to ours: calls inlined, composites taken apart, control flow reduced to scopes and exits.

mod access;
mod build;
mod call;
mod constant;
mod convert;
mod expr;
mod math;
mod matrix;
mod pack;
pub(crate) mod shape;
mod stmt;
mod value;

use std::collections::HashMap;
use std::rc::Rc;

use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{Handle, Span};

use crate::error::{Error, Location};
use crate::front;
use crate::ir::{Info, Input, Kernel, Label, Node, Reg, Variable, forward, tail};
use crate::layout::Layout;
use crate::reflect::Slot;
#[cfg(test)]
pub(crate) use access::{MOST_LOCAL_WORDS, MOST_WORKGROUP_WORDS};
use value::{Pointer, Value};

/// Instructions and registers of one kernel; more is refused, so that no text exhausts the machine.
pub(crate) const MOST: usize = 1 << 20;
/// Invocations of a workgroup. naga bounds each side, but not their product.
pub(crate) const MOST_LANES: u32 = 1 << 14;
/// Nested blocks and calls; both lowering and running recurse as deep.
pub(crate) const DEEPEST: usize = 400;

/// Lowers the only entry point of a resolved module, on virtual registers. `slots` are its bindings, in binding order.
pub(crate) fn kernel(module: &naga::Module, info: &ModuleInfo, slots: &[Slot], source: &str) -> Result<Kernel, Error> {
    let entry = &module.entry_points[0];
    let lanes = lanes(entry, source)?;
    let mut lower = Lower {
        module,
        info,
        source,
        regs: Vec::new(),
        words: HashMap::new(),
        pairs: HashMap::new(),
        inputs: Vec::new(),
        globals: HashMap::new(),
        tables: HashMap::new(),
        prologue: Vec::new(),
        variables: Vec::new(),
        blocks: vec![Vec::new()],
        nodes: 0,
        labels: 0,
        workgroup_words: 0,
        depth: 0,
        lanes,
        at: Span::default(),
    };
    let used = info.get_entry_point(0);
    lower.declare_globals(used, slots)?;
    lower.entry(entry, used)?;
    let mut body = lower.prologue;
    body.append(&mut lower.blocks.pop().unwrap_or_default());
    tail::exits(&mut body);
    forward::copies(&mut body, &lower.regs);
    let single = lower.words.iter().map(|(&bits, &reg)| (reg, bits));
    let pairs = lower.pairs.iter().flat_map(|(&bits, &reg)| [(reg, bits as u32), (reg + 1, (bits >> 32) as u32)]);
    let mut consts: Vec<_> = single.chain(pairs).collect();
    // By register and not by hash, so that the same text gives the same kernel.
    consts.sort_unstable();
    Ok(Kernel {
        workgroup: entry.workgroup_size,
        lanes,
        body,
        consts,
        inputs: lower.inputs,
        regs: lower.regs,
        labels: lower.labels,
        workgroup_words: lower.workgroup_words,
        variables: lower.variables,
    })
}

/// Invocations of a workgroup, if they are not too many.
fn lanes(entry: &naga::EntryPoint, source: &str) -> Result<u32, Error> {
    let [x, y, z] = entry.workgroup_size;
    let lanes = x.checked_mul(y).and_then(|plane| plane.checked_mul(z));
    lanes.filter(|&lanes| lanes <= MOST_LANES).ok_or_else(|| Error::Limit {
        at: front::entry_place(&entry.name, source),
        what: format!("a workgroup of {x} x {y} x {z} has more than {MOST_LANES} invocations"),
    })
}

/// The state of lowering one entry point.
struct Lower<'m> {
    module: &'m naga::Module,
    info: &'m ModuleInfo,
    source: &'m str,
    regs: Vec<Info>,
    /// Constants of one word and of two, by their bits.
    words: HashMap<u32, Reg>,
    pairs: HashMap<u64, Reg>,
    inputs: Vec<(Reg, Input)>,
    globals: HashMap<Handle<naga::GlobalVariable>, Pointer>,
    /// Constants that are indexed at run time, in registers; the prologue fills them.
    tables: HashMap<Handle<naga::Constant>, Pointer>,
    prologue: Vec<Node>,
    variables: Vec<Variable>,
    /// The blocks that are open, innermost last.
    blocks: Vec<Vec<Node>>,
    nodes: usize,
    labels: Label,
    workgroup_words: u32,
    depth: usize,
    /// Invocations of a workgroup.
    lanes: u32,
    /// What is being lowered.
    at: Span,
}

/// A function being inlined.
struct Frame<'m> {
    function: &'m naga::Function,
    info: &'m FunctionInfo,
    values: Vec<Option<Value>>,
    args: Vec<Value>,
    locals: Vec<Pointer>,
    /// What `return` leaves, where it is not the last thing the function does.
    exit: Option<Label>,
    /// Registers of the result, where `return` leaves a scope.
    result: Rc<[Reg]>,
    /// What `break` and `continue` leave, innermost last.
    jumps: Vec<Jump>,
}

#[derive(Clone, Copy)]
struct Jump {
    leave: Label,
    again: Option<Label>,
}

impl<'m> Lower<'m> {
    /// An error that says where in the source it arose.
    fn limit(&self, what: impl Into<String>) -> Error {
        Error::Limit { at: Location::of(self.at, self.source), what: what.into() }
    }

    fn refused(&self, what: impl Into<String>) -> Error {
        Error::Refused { at: Location::of(self.at, self.source), what: what.into() }
    }

    fn check_size(&self) -> Result<(), Error> {
        if self.nodes > MOST || self.regs.len() > 4 * MOST {
            return Err(self.limit(format!("the kernel takes more than {MOST} instructions")));
        }
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.limit(format!("blocks and calls are nested more than {DEEPEST} deep")));
        }
        Ok(())
    }

    /// The layout of a type whose overrides are resolved.
    fn layout(&self, ty: Handle<naga::Type>) -> Result<Layout, Error> {
        Layout::of(self.module, ty, true).ok_or_else(|| self.refused("a type without a memory layout"))
    }
}
