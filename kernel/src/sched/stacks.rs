//! Kernel stacks of threads that have ended, kept for the next ones: mapping one costs more than the rest of a
//! thread.

use alloc::vec::Vec;

use crate::mm::OutOfMemory;
use crate::mm::stack::KernelStack;
use crate::sync::SpinLock;

/// How many are kept.
const KEPT: usize = 8;

static STACKS: SpinLock<Vec<KernelStack>> = SpinLock::new(Vec::new());

/// Makes room for them.
pub(super) fn init() -> Result<(), OutOfMemory> {
    let room = STACKS.lock().try_reserve_exact(KEPT);
    room.map_err(|_| OutOfMemory)
}

/// A kernel stack, one that was used before if there is one.
pub(super) fn take() -> Result<KernelStack, OutOfMemory> {
    let kept = STACKS.lock().pop();
    kept.map_or_else(KernelStack::new, Ok)
}

/// Takes a stack back.
pub(super) fn keep(stack: KernelStack) {
    let mut stacks = STACKS.lock();
    // The room was reserved at the start, so this doesn't allocate.
    if stacks.len() < KEPT && stacks.len() < stacks.capacity() {
        stacks.push(stack);
        return;
    }
    drop(stacks);
    drop(stack);
}
