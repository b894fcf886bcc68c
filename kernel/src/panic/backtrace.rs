//! Where a failed kernel came from: [`callers`], the words of its stack that may be return addresses.
//!
//! The kernel keeps no frame pointers: one instruction in twenty would do nothing else. The launcher has the ELF's
//! unwind tables, and finds with them which of these words are (decision 0240).

use kiln_core::callsite::follows_call;

use crate::mm::kernel::{code_before, stack_word};
use crate::mm::stack::{self, Bounds, Place};

/// Callers that are shown: the innermost and the outermost ones.
const INNERMOST: usize = 48;
const OUTERMOST: usize = 12;
/// Words looked at: a whole stack.
const WORDS: u64 = crate::mm::layout::STACK_SIZE / 8;

/// A word that may be a return address.
#[derive(Clone, Copy)]
pub(super) struct Caller {
    /// Where it is on the stack.
    pub(super) place: u64,
    /// What it says.
    pub(super) address: u64,
}

/// The words from stack pointer `rsp` upwards that point behind a call, without the middle part of many.
pub(super) fn callers(rsp: u64) -> impl Iterator<Item = Caller> {
    let outermost = all(rsp).count().saturating_sub(OUTERMOST);
    let shown = move |index: usize| index < INNERMOST || index >= outermost;
    let callers = all(rsp).enumerate().filter(move |(index, _)| shown(*index));
    callers.map(|(_, caller)| caller)
}

/// All of them.
fn all(rsp: u64) -> impl Iterator<Item = Caller> {
    // Where a stack has overflowed, the pointer is in its guard.
    let bottom = match stack::locate(rsp) {
        Some(Place::Guard(slot)) => Bounds::of(slot).bottom,
        _ => rsp & !7,
    };
    (0..WORDS)
        .map_while(move |index| {
            let place = bottom.wrapping_add(index * 8);
            let address = stack_word(place)?;
            Some(Caller { place, address })
        })
        .filter(|caller| code_before(caller.address).is_some_and(|bytes| follows_call(&bytes)))
}
