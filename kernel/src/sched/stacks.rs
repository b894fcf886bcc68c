//! Kernel stacks of threads that have ended, kept for the next ones: mapping one costs more than the rest of a
//! thread. Where there are other CPUs, those that aren't kept go many at a time, because each time every CPU is asked
//! to forget them.

use alloc::vec::Vec;
use core::array;

use crate::arch::cpu;
use crate::mm::OutOfMemory;
use crate::mm::stack::{self, KernelStack};
use crate::sync::SpinLock;

/// How many are kept.
const KEPT: usize = 8;
/// How many go at a time where there is more than one CPU: 256 KiB.
const BATCH: usize = 16;

static STACKS: SpinLock<Vec<KernelStack>> = SpinLock::new(Vec::new());

/// Makes room for them.
pub(super) fn init() -> Result<(), OutOfMemory> {
    let room = STACKS.lock().try_reserve_exact(KEPT + BATCH);
    room.map_err(|_| OutOfMemory)
}

/// A kernel stack, one that was used before if there is one.
pub(super) fn take() -> Result<KernelStack, OutOfMemory> {
    let kept = STACKS.lock().pop();
    kept.map_or_else(KernelStack::new, Ok)
}

/// Takes a stack back.
pub(super) fn keep(stack: KernelStack) {
    let alone = cpu::online().is_power_of_two();
    let most = if alone { KEPT } else { KEPT + BATCH };
    let mut stacks = STACKS.lock();
    // The room was reserved at the start, so this doesn't allocate.
    if stacks.len() < most.min(stacks.capacity()) {
        stacks.push(stack);
        return;
    }
    let others: [_; BATCH] = array::from_fn(|_| if alone { None } else { stacks.pop() });
    drop(stacks);
    stack::release(others);
    drop(stack);
}
