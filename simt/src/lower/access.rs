//! Pointers: variables, indexing, loads and stores.

use std::rc::Rc;

use naga::valid::FunctionInfo;
use naga::{AddressSpace, Handle};

use super::value::Pointer;
use super::{Lower, shape};
use crate::error::Error;
use crate::ir::{Lane, Len, Op, Place, Reg, Root, Variable};
use crate::layout::{Layout, Scalar};
use crate::reflect::Slot;

/// Words of workgroup memory; more is refused.
pub(crate) const MOST_WORKGROUP_WORDS: u32 = 1 << 24;
/// Words of one variable of an invocation; more is refused.
pub(crate) const MOST_LOCAL_WORDS: u32 = 1 << 20;

impl<'m> Lower<'m> {
    /// Gives every variable of the module that is in use a place.
    pub(super) fn declare_globals(&mut self, used: &FunctionInfo, slots: &[Slot]) -> Result<(), Error> {
        let module = self.module;
        for (handle, variable) in module.global_variables.iter() {
            if used[handle].is_empty() {
                continue;
            }
            self.at = module.global_variables.get_span(handle);
            let layout = self.layout(variable.ty)?;
            let name = variable.name.clone().unwrap_or_default();
            let pointer = match variable.space {
                AddressSpace::Uniform | AddressSpace::Storage { .. } => {
                    let index = variable.binding.and_then(|place| {
                        slots.iter().position(|s| (s.group, s.binding) == (place.group, place.binding))
                    });
                    let index = index.ok_or_else(|| self.refused("a buffer without a binding"))?;
                    self.variable(name, Root::Binding(index as u32), 0, layout)
                }
                AddressSpace::WorkGroup => {
                    let words = self.fixed_words(&layout)?;
                    let base = self.workgroup_words;
                    self.workgroup_words = (base.checked_add(words))
                        .filter(|&sum| sum <= MOST_WORKGROUP_WORDS)
                        .ok_or_else(|| self.limit("workgroup memory is over 64 MiB"))?;
                    self.variable(name, Root::Workgroup, base, layout)
                }
                AddressSpace::Private => {
                    let pointer = self.local(name, layout)?;
                    let initial = match variable.init {
                        Some(init) => self.constant(init)?,
                        None => self.zeros(&pointer.layout)?,
                    };
                    self.store(&pointer, &initial)?;
                    pointer
                }
                _ => return Err(self.refused("a variable in this address space")),
            };
            self.globals.insert(handle, pointer);
        }
        Ok(())
    }

    /// A variable that lies in registers of the lane.
    pub(super) fn local(&mut self, name: String, layout: Layout) -> Result<Pointer, Error> {
        let words = self.fixed_words(&layout)?;
        if words > MOST_LOCAL_WORDS {
            return Err(self.limit(format!("`{name}` takes {words} words for each invocation")));
        }
        let base = self.row(words, true);
        Ok(self.variable(name, Root::Local, base, layout))
    }

    fn variable(&mut self, name: String, root: Root, base: u32, layout: Layout) -> Pointer {
        let var = self.variables.len() as u32;
        self.variables.push(Variable { name, root, base, layout: layout.clone() });
        Pointer { root, addr: None, offset: base, layout, var }
    }

    fn fixed_words(&self, layout: &Layout) -> Result<u32, Error> {
        shape::words(layout).ok_or_else(|| self.limit("a variable is too large"))
    }

    /// A pointer to the element or member with an index that is known.
    pub(super) fn step_fixed(&mut self, pointer: &Pointer, index: u32) -> Result<Pointer, Error> {
        if let Layout::Struct { members, .. } = &pointer.layout {
            let offset = shape::member_offset(&pointer.layout, index as usize, pointer.root);
            return Ok(pointer.at(offset, members[index as usize].layout.clone()));
        }
        let step = shape::step(&pointer.layout, pointer.root).ok_or_else(|| self.refused("an index into a scalar"))?;
        match step.len {
            Some(len) if index < len => Ok(pointer.at(index * step.stride, step.element)),
            // Only a runtime-sized array is left: its length is known when it runs.
            _ => {
                let index = self.word(index);
                self.step_dynamic(pointer, index, Lane::U32)
            }
        }
    }

    /// A pointer to the element with an index that is not known.
    pub(super) fn step_dynamic(&mut self, pointer: &Pointer, index: Reg, ty: Lane) -> Result<Pointer, Error> {
        let step = shape::step(&pointer.layout, pointer.root).ok_or_else(|| self.refused("an index into a scalar"))?;
        let index = if ty.words() == 2 { self.saturate_index(index, ty) } else { index };
        let len = match (step.len, pointer.root) {
            (Some(len), _) => Len::Fixed(len),
            (None, Root::Binding(slot)) => Len::Runtime(slot),
            (None, _) => return Err(self.refused("a runtime-sized array outside a buffer")),
        };
        let dst = self.temp(Lane::U32);
        self.op(Op::Index { dst, base: pointer.addr, index, stride: step.stride, len });
        Ok(Pointer { addr: Some(dst), layout: step.element, ..pointer.clone() })
    }

    /// A 64-bit index as 32 bits; what does not fit becomes the largest, which is out of bounds anywhere.
    fn saturate_index(&mut self, index: Reg, ty: Lane) -> Reg {
        let _ = ty;
        let high = index + 1;
        let zero = self.word(0);
        let fits = self.binary(crate::ir::Binary::Eq, Lane::U32, high, zero);
        let most = self.word(u32::MAX);
        self.select(Lane::U32, fits, index, most)
    }

    /// What lies at a pointer, as a snapshot.
    pub(super) fn load(&mut self, pointer: &Pointer) -> Result<Rc<[Reg]>, Error> {
        let words = self.fixed_words(&pointer.layout)?;
        if words > MOST_LOCAL_WORDS {
            return Err(self.limit("a value is too large"));
        }
        let parts = shape::parts(&pointer.layout, pointer.root);
        if pointer.root == Root::Local && pointer.addr.is_none() {
            let dst = self.row(words, false);
            self.op(Op::Copy { dst, src: pointer.offset, words });
            return Ok(parts.iter().map(|part| dst + part.offset).collect());
        }
        Ok(parts
            .iter()
            .map(|part| {
                let dst = self.temp(Lane::of(part.scalar));
                let place = place(pointer, part.offset);
                self.op(Op::Load { dst, ty: part.scalar, place });
                dst
            })
            .collect())
    }

    /// Puts a value at a pointer, in the active lanes.
    pub(super) fn store(&mut self, pointer: &Pointer, value: &[Reg]) -> Result<(), Error> {
        let parts = shape::parts(&pointer.layout, pointer.root);
        if pointer.root != Root::Local || pointer.addr.is_some() {
            for (part, &src) in parts.iter().zip(value) {
                self.op(Op::Store { src, ty: part.scalar, place: place(pointer, part.offset) });
            }
            return Ok(());
        }
        let mut at = 0;
        while at < parts.len() {
            let (dst, src) = (pointer.offset + parts[at].offset, value[at]);
            let mut words = Lane::of(parts[at].scalar).words();
            at += 1;
            // Only registers of one row stay neighbours when they are assigned.
            while at < parts.len() && value[at] == src + words && self.regs[value[at] as usize].words == 0 {
                words += Lane::of(parts[at].scalar).words();
                at += 1;
            }
            self.op(Op::Set { dst, src, words });
        }
        Ok(())
    }

    /// The scalar type behind a pointer to a scalar or an atomic.
    pub(super) fn scalar_at(&self, pointer: &Pointer) -> Result<Scalar, Error> {
        shape::scalar(&pointer.layout).ok_or_else(|| self.refused("an atomic that is no scalar"))
    }

    /// A constant in registers that can be indexed at run time. One copy, made at the beginning, serves all.
    pub(super) fn table(
        &mut self,
        constant: Handle<naga::Constant>,
        value: &[Reg],
        layout: Layout,
    ) -> Result<Pointer, Error> {
        if let Some(known) = self.tables.get(&constant) {
            return Ok(known.clone());
        }
        let pointer = self.local(self.module.constants[constant].name.clone().unwrap_or_default(), layout)?;
        let mut filled = self.block_of(|this| this.store(&pointer, value))?;
        self.prologue.append(&mut filled);
        self.tables.insert(constant, pointer.clone());
        Ok(pointer)
    }

    /// A copy of a value in registers that can be indexed at run time.
    pub(super) fn indexable(&mut self, value: &[Reg], layout: Layout) -> Result<Pointer, Error> {
        let pointer = self.local(String::new(), layout)?;
        self.store(&pointer, value)?;
        Ok(pointer)
    }
}

/// The place of a scalar `offset` behind a pointer.
pub(super) fn place(pointer: &Pointer, offset: u32) -> Place {
    Place {
        root: pointer.root,
        addr: pointer.addr,
        offset: pointer.offset + offset,
        var: pointer.var,
        atomic: matches!(pointer.layout, Layout::Atomic(_)),
    }
}
