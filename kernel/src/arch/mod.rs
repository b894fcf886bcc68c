//! The processor: everything that only makes sense on x86-64.
//!
//! The lowest room: ports, control registers, descriptor tables, traps, the way into
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
//! | [`segments`] | selectors, and the bases of FS and GS |
//! | [`debug`] | breakpoints of the processor's, for tracers |
//! | [`exception_table`] | instructions that may fault, and where to go on |
//! | [`checksum`] | the processor's CRC-32C |
//! | [`fpu`] | the FPU state of programs |
//! | [`vdso`] | the code that programs call instead of the kernel |
//! | [`switch`] | changing stacks |
//! | [`aside`](mod@aside) | calls that keep all registers |
//! | [`apic`], [`irq`], [`time`] | the timer, interrupts of devices, the clock |
//! | [`smp`], [`ipi`] | starting the other CPUs, interrupts between them |
//! | [`port`], [`exit`] | port I/O, and the debug exit that ends the VM |
//! | [`provoke`] | faults on purpose, for the tests |
#![allow(
    unsafe_code,
    reason = "the processor is driven by instructions that Rust can't check; each block says why it holds"
)]

pub(crate) mod apic;
mod aside;
pub(crate) mod caches;
pub(crate) mod checksum;
pub(crate) mod cpu;
pub(crate) mod debug;
pub(crate) mod entry;
pub(crate) mod exception_table;
pub(crate) mod exit;
pub(crate) mod features;
pub(crate) mod fpu;
pub(crate) mod identity;
pub(crate) mod ipi;
pub(crate) mod irq;
pub(crate) mod port;
pub(crate) mod provoke;
pub(crate) mod segments;
pub(crate) mod smp;
pub(crate) mod switch;
pub(crate) mod tables;
pub(crate) mod time;
pub(crate) mod trap;
pub(crate) mod user;
pub(crate) mod vdso;

pub(crate) use aside::{Aside, aside};
pub(crate) use exit::{DebugExit, exit};

/// Phase one, first step: the per-CPU block, GDT and IDT. From here on an exception is reported.
pub(crate) fn init_traps() {
    unsafe extern "C" {
        static mut boot_stack_top: [u64; 0];
    }
    time::init();
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
    tables::load_idt();
}

/// A stack by its upper end: aligned to 16, with a word above for its owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackTop(u64);

impl StackTop {
    /// The end of a stack that is mapped for good and that nobody uses.
    ///
    /// # Safety
    /// What the first line says.
    pub(crate) unsafe fn new(top: u64) -> Self {
        Self(top)
    }
}

/// Phase one, last step: exceptions get their stacks, SYSCALL its entry, and the kernel goes on in
/// `main` on `stack`. The boot stack isn't used any more.
pub(crate) fn leave_boot_stack(
    own: [StackTop; tables::IST_VECTORS.len()],
    stack: StackTop,
    main: extern "sysv64" fn() -> !,
) -> ! {
    own_stacks(cpu::this_cpu(), own);
    tables::use_ists();
    user::init();
    // SAFETY: a fresh stack, kept for ever; its top is aligned to 16.
    unsafe { switch::enter_stack(stack.0, main) }
}

/// Gives `cpu` the stacks on which its exceptions enter.
fn own_stacks(cpu: &cpu::PerCpu, own: [StackTop; tables::IST_VECTORS.len()]) {
    for (index, StackTop(top)) in own.into_iter().enumerate() {
        let owner =
            core::ptr::with_exposed_provenance_mut::<u64>(kiln_core::num::usize_of(top + 8));
        // SAFETY: the last word of the stack, above its top.
        unsafe { owner.write(core::ptr::from_ref(cpu).addr() as u64) };
        tables::set_ist(cpu, index, top);
    }
}

/// Waits for an interrupt: call with interrupts off, after having looked for work; comes back with
/// them on. An interrupt between the look and the wait isn't lost, because STI takes effect after
/// the HLT has begun.
pub(crate) fn idle() {
    x86_64::instructions::interrupts::enable_and_hlt();
}
