//! Exceptions and interrupts that were taken in the kernel, and the fatal ones from user mode.

use spin::Once;
use x86_64::registers::control::Cr2;

use super::tables::vector;
use super::{entry, exception_table, irq};

/// The registers of interrupted kernel code, in the order in which `entry.S` pushes them.
#[derive(Debug)]
#[repr(C)]
#[allow(missing_docs)]
pub(crate) struct Frame {
    pub(crate) r15: u64,
    pub(crate) r14: u64,
    pub(crate) r13: u64,
    pub(crate) r12: u64,
    pub(crate) r11: u64,
    pub(crate) r10: u64,
    pub(crate) r9: u64,
    pub(crate) r8: u64,
    pub(crate) rdi: u64,
    pub(crate) rsi: u64,
    pub(crate) rbp: u64,
    pub(crate) rbx: u64,
    pub(crate) rdx: u64,
    pub(crate) rcx: u64,
    pub(crate) rax: u64,
    pub(crate) vector: u64,
    pub(crate) error: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

/// An exception that nothing in the kernel expects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fatal {
    /// Its vector.
    pub(crate) vector: u8,
    /// Its error code, 0 where it has none.
    pub(crate) error: u64,
    /// The instruction.
    pub(crate) rip: u64,
    /// The stack pointer there, where a backtrace begins.
    pub(crate) rsp: u64,
    /// The address of a page fault (CR2; stale for other vectors).
    pub(crate) cr2: u64,
    /// It happened in user mode, which only machine checks and the like may do.
    pub(crate) user: bool,
}

static ON_FATAL: Once<fn(&Fatal) -> !> = Once::new();

/// Says who reports fatal exceptions. The first caller stays.
pub(crate) fn on_fatal(report: fn(&Fatal) -> !) {
    ON_FATAL.call_once(|| report);
}

/// Reports and ends the VM.
pub(super) fn fatal(fault: &Fatal) -> ! {
    match ON_FATAL.get() {
        Some(report) => report(fault),
        None => super::exit(super::DebugExit::KernelFailure),
    }
}

/// Called by `entry.S` for every trap that interrupted the kernel, with interrupts off; for the IST
/// vectors on their own stack, where nothing may sleep.
pub(super) extern "sysv64" fn from_kernel(frame: &mut Frame) {
    let vector = kiln_core::num::low8(frame.vector);
    if vector >= vector::FIRST_INTERRUPT {
        return irq::dispatch(vector);
    }
    let cr2 = Cr2::read_raw();
    if vector == vector::DB && entry::is_first_instruction(frame.rip) {
        return;
    }
    // A fault on kernel memory within a user copy is no user's fault.
    let expected =
        matches!(vector, vector::NP..=vector::GP) || (vector == vector::PF && cr2 >> 47 == 0);
    if let Some(fixup) = exception_table::fixup(frame.rip).filter(|_| expected) {
        frame.rip = fixup;
        frame.rax = frame.vector;
        frame.rdx = frame.error;
        return;
    }
    let Frame {
        error, rip, rsp, ..
    } = *frame;
    fatal(&Fatal {
        vector,
        error,
        rip,
        rsp,
        cr2,
        user: false,
    });
}
