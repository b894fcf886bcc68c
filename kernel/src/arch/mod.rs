//! The processor: everything that only makes sense on x86-64.
//!
//! The lowest room, with `mm`: ports, control registers, descriptor tables, traps, the way into
//! and out of user mode, the APICs, the TSC. It knows nothing of memory management, threads or
//! processes; what must reach them is passed down to it as function pointers ([`trap::on_fatal`],
//! [`irq::register`]).
//!
//! | module | |
//! | --- | --- |
//! | [`cpu`] | the per-CPU block, found through GS |
//! | [`features`] | CPUID, and the control registers set by it |
//! | [`tables`] | GDT, TSS, IDT |
//! | [`entry`] | every way into the kernel, in assembly; `run_user`, the way out |
//! | [`trap`] | exceptions and interrupts taken in the kernel |
//! | [`user`] | `UserContext`, `run` and `Stop` |
//! | [`exception_table`] | instructions that may fault, and where to go on |
//! | [`switch`] | changing stacks |
//! | [`port`], [`exit`] | port I/O, and the debug exit that ends the VM |
//! | [`provoke`] | faults on purpose, for the tests |
#![allow(
    unsafe_code,
    reason = "the processor is driven by instructions that Rust can't check; each block says why it holds"
)]

pub(crate) mod cpu;
pub(crate) mod entry;
pub(crate) mod exception_table;
pub(crate) mod exit;
pub(crate) mod features;
pub(crate) mod port;
pub(crate) mod provoke;
mod switch;
pub(crate) mod tables;
pub(crate) mod trap;
pub(crate) mod user;

pub(crate) use exit::{DebugExit, exit};

use crate::mm::stack::KernelStack;

/// Phase one, first step: the per-CPU block, GDT and IDT. From here on an exception is reported.
pub(crate) fn init_traps() {
    unsafe extern "C" {
        static mut boot_stack_top: [u64; 0];
    }
    let cpu = cpu::init_boot_cpu();
    // SAFETY: the last word of the boot stack (`linker.ld`), above everything that was pushed:
    // `boot.S` leaves it free. It tells IST entries, which run on this stack for now, whose it is.
    unsafe {
        (&raw mut boot_stack_top)
            .cast::<u64>()
            .sub(1)
            .write(core::ptr::from_ref(cpu).addr() as u64)
    };
    tables::load_gdt(cpu);
    tables::load_idt(false);
}

/// Phase one, last step: exceptions get their stacks, SYSCALL its entry, and the kernel goes on in
/// `main` on `stack`. The boot stack isn't used any more.
pub(crate) fn leave_boot_stack(
    own: [KernelStack; tables::IST_VECTORS.len()],
    stack: KernelStack,
    main: extern "sysv64" fn() -> !,
) -> ! {
    let cpu = cpu::this_cpu();
    for (index, mut stack) in own.into_iter().enumerate() {
        stack.set_owner(core::ptr::from_ref(cpu).addr() as u64);
        tables::set_ist(cpu, index, stack.top());
        core::mem::forget(stack);
    }
    tables::load_idt(true);
    user::init();
    let top = stack.top();
    core::mem::forget(stack);
    // SAFETY: a fresh stack, kept for ever; its top is aligned to 16.
    unsafe { switch::enter_stack(top, main) }
}
