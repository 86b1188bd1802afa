//! What the generated code is given.

use std::sync::atomic::AtomicBool;

use crate::interp::Block;
use crate::ir::Inst;

/// The one argument of the generated function; it reads the fields by their offsets.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Frame<'a> {
    /// One for each binding.
    pub buffers: *const Buffer,
    /// Workgroup memory.
    pub shared: *mut u32,
    /// Rows of one word for each lane of a workgroup.
    pub context: *mut u32,
    /// Set from outside to stop.
    pub stop: *const AtomicBool,
    /// The interpreter, for a block of lanes.
    pub block: *mut Block<'a>,
    /// Its registers.
    pub rows: *mut u32,
    /// What it may be asked to do.
    pub calls: *const Inst,
    pub group: [u32; 3],
    pub groups: [u32; 3],
    /// Invocations that came to a barrier, where that is not all.
    pub arrived: u32,
}

/// A bound buffer.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Buffer {
    pub start: *mut u8,
    /// Of its array of runtime size.
    pub elements: u32,
}

/// Where loads go that must not go where they were sent.
#[repr(align(64))]
pub(super) struct Zeros(pub [u32; 16]);

pub(super) static ZEROS: Zeros = Zeros([0; 16]);
