//! A plan of two steps.

use wharf::{Operand, Plan, Scratch, Step};

use crate::hop::HOP;

/// With so many words of scratch between them.
pub(crate) const fn two_hops<const WORDS: u64>() -> Plan {
    Plan {
        name: "two_hops",
        bindings: 2,
        scratch: const { &[Scratch { elements: |_| WORDS, element_bytes: 4 }] },
        steps: const {
            &[
                Step { kernel: &HOP, operands: &[Operand::Caller(0), Operand::Scratch(0)] },
                Step { kernel: &HOP, operands: &[Operand::Scratch(0), Operand::Caller(1)] },
            ]
        },
    }
}
