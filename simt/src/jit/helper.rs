//! What the generated code calls.
#![expect(unsafe_code, reason = "the generated code passes addresses")]

use crate::interp::Block;
use crate::ir::Inst;

/// Has the interpreter do instruction `number` in the active lanes.
///
/// # Safety
///
/// The first two are those of the [`super::frame::Frame`] that the code was given, and `number` is the
/// place of an instruction of that list.
pub(super) unsafe extern "C" fn interpret(block: *mut Block<'_>, calls: *const Inst, number: u64, active: u32) {
    // SAFETY: the frame's block is this thread's own, and nobody holds a reference to it while the code runs.
    let block = unsafe { &mut *block };
    // SAFETY: promised by the caller; the list does not change once the code is there.
    let inst = unsafe { &*calls.add(number as usize) };
    block.run(inst, active);
}

/// A row of the context.
///
/// # Safety
///
/// `row..row + lanes` is of this thread's context, and no other slice of it is in use.
unsafe fn row<'a>(row: *mut u32, lanes: u32) -> &'a mut [u32] {
    // SAFETY: promised by the caller; the context is initialised.
    unsafe { std::slice::from_raw_parts_mut(row, lanes as usize) }
}

/// All ones in the first `lanes`, zero in the rest.
///
/// # Safety
///
/// `mask..mask + padded` is a row of the context.
pub(super) unsafe extern "C" fn fill(mask: *mut u32, lanes: u32, padded: u32) {
    // SAFETY: promised by the caller.
    let mask = unsafe { row(mask, padded) };
    mask[..lanes as usize].fill(u32::MAX);
    mask[lanes as usize..].fill(0);
}

/// Leaves the lanes with the condition in `mask` and puts the others into `others`; how many are left.
///
/// # Safety
///
/// The three are different rows of the context, `padded` lanes each.
pub(super) unsafe extern "C" fn split(mask: *mut u32, cond: *mut u32, others: *mut u32, padded: u32) -> u32 {
    // SAFETY: promised by the caller.
    let (mask, cond, others) = unsafe { (row(mask, padded), row(cond, padded), row(others, padded)) };
    let mut count = 0;
    for ((mask, cond), others) in mask.iter_mut().zip(cond).zip(others) {
        *others = *mask & !*cond;
        *mask &= *cond;
        count += *mask & 1;
    }
    count
}

/// Swaps two rows.
///
/// # Safety
///
/// They are different rows of the context, `padded` lanes each.
pub(super) unsafe extern "C" fn swap(a: *mut u32, b: *mut u32, padded: u32) {
    // SAFETY: promised by the caller.
    unsafe { row(a, padded).swap_with_slice(row(b, padded)) };
}

/// Adds the lanes in `others` to those in `mask`; how many there are then.
///
/// # Safety
///
/// They are different rows of the context, `padded` lanes each.
pub(super) unsafe extern "C" fn join(mask: *mut u32, others: *mut u32, padded: u32) -> u32 {
    // SAFETY: promised by the caller.
    let (mask, others) = unsafe { (row(mask, padded), row(others, padded)) };
    let mut count = 0;
    for (mask, others) in mask.iter_mut().zip(others) {
        *mask |= *others;
        count += *mask & 1;
    }
    count
}

/// Moves the lanes in `mask` to `left`.
///
/// # Safety
///
/// They are different rows of the context, `padded` lanes each.
pub(super) unsafe extern "C" fn leave(mask: *mut u32, left: *mut u32, padded: u32) {
    // SAFETY: promised by the caller.
    let (mask, left) = unsafe { (row(mask, padded), row(left, padded)) };
    for (mask, left) in mask.iter_mut().zip(left) {
        *left |= std::mem::take(mask);
    }
}

/// Whether all words of a row are the same.
///
/// # Safety
///
/// `words..words + lanes` is a row of the context, or its beginning.
pub(super) unsafe extern "C" fn agree(words: *mut u32, lanes: u32) -> u32 {
    // SAFETY: promised by the caller.
    let words = unsafe { row(words, lanes) };
    u32::from(words.iter().all(|word| *word == words[0]))
}
