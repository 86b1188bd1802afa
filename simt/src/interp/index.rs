//! Addresses of elements.

use super::exec::Run;
use crate::ir::{Len, NOWHERE, Reg};

impl Run<'_> {
    pub(super) fn index(&self, dst: Reg, base: Option<Reg>, index: Reg, stride: u32, len: Len) {
        let file = &self.state.file;
        let len = match len {
            Len::Fixed(len) => len,
            Len::Runtime(slot) => self.context.lengths[slot as usize],
        };
        // In bounds neither product nor sum overflows: bindings end below 2^32.
        match base {
            None => {
                file.map(dst, index, move |index: u32| if index < len { index.wrapping_mul(stride) } else { NOWHERE })
            }
            Some(base) => file.zip(dst, base, index, move |base: u32, index: u32| {
                let address = base.wrapping_add(index.wrapping_mul(stride));
                if index < len && base != NOWHERE { address } else { NOWHERE }
            }),
        }
    }
}
