//! The other CPUs: what each needs before it starts, and where it enters the scheduler.

use alloc::boxed::Box;

use super::cpu;
use super::thread::{self, Thread};
use crate::arch::smp::{self, StartPage};
use crate::arch::{StackTop, tables};
use crate::mm::paging::shootdown;
use crate::mm::stack::KernelStack;
use crate::mm::{OutOfMemory, kernel};

/// Starts CPUs until there are `count`, and doesn't wait for them.
pub(crate) fn start(page: &StartPage, count: u32) -> Result<(), OutOfMemory> {
    shootdown::init();
    let idle = thread::prepare(b"idle/0", None, Box::new(|| cpu::idle_loop()))?;
    cpu::set_idle_thread(0, idle);
    for id in 1..count {
        prepare(id)?;
    }
    smp::start(page, kernel::root(), cpu::enter);
    Ok(())
}

fn prepare(id: u32) -> Result<(), OutOfMemory> {
    let mut own = [const { None::<StackTop> }; tables::IST_VECTORS.len()];
    for slot in &mut own {
        *slot = Some(KernelStack::new()?.leak());
    }
    let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f)] = own else {
        return Err(OutOfMemory);
    };
    let stack = KernelStack::new()?.leak();
    let idle = Thread::idle(id)?;
    cpu::add(id)?;
    smp::prepare([a, b, c, d, e, f], stack);
    cpu::set_idle_thread(id, idle);
    cpu::make_room()
}
