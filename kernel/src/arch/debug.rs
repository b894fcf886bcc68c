//! The processor's breakpoints, which a tracer sets for a thread of a program (Intel SDM volume 3, 17.2).
//!
//! They are armed only while user mode runs: nothing that the kernel reads or writes for the program hits one, and no
//! switch of threads has to know of them.

use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::debug::{DebugAddressRegister, Dr0, Dr1, Dr2, Dr3, Dr7};

use super::tables::vector;
use super::user::{self, Stop, UserContext};

/// How many there are.
pub(crate) const COUNT: usize = 4;
/// RFLAGS: the next instruction hits no breakpoint on itself.
const RESUME: u64 = 1 << 16;
/// DR7's bit that always reads as one.
const ALWAYS: u64 = 1 << 10;

/// A thread's breakpoints.
#[derive(Clone, Copy, Default)]
pub(crate) struct Breakpoints {
    /// Where they are: in the program's space.
    pub(crate) at: [u64; COUNT],
    /// DR7: which of them count, and for what.
    pub(crate) control: u64,
    /// Reading the time-stamp counter is an exception, too (`PR_TSC_SIGSEGV`).
    pub(crate) no_time: bool,
}

impl Breakpoints {
    /// What the `index`th is for, as DR7 has it: bits 0 and 1 execution (0), writing (1) or access (3), bits 2 and 3 how
    /// many bytes; `None` when it doesn't count.
    pub(crate) fn kind(&self, index: usize) -> Option<u64> {
        let counts = self.control >> (2 * index) & 3 != 0;
        counts.then_some(self.control >> (16 + 4 * index) & 15)
    }
}

/// Whether RDTSC and RDTSCP are exceptions in user mode (SDM volume 3, 2.5, CR4.TSD).
fn forbid_time(forbids: bool) {
    let before = Cr4::read_raw();
    let mut flags = Cr4Flags::from_bits_retain(before);
    flags.set(Cr4Flags::TIMESTAMP_DISABLE, forbids);
    if flags.bits() != before {
        // SAFETY: the flag says what user mode may do; the kernel reads the counter with it, too.
        unsafe { Cr4::write_raw(flags.bits()) };
    }
}

/// [`user::run`] with breakpoints.
pub(crate) fn run(context: &mut UserContext, breakpoints: &Breakpoints) -> Stop {
    let [first, second, third, fourth] = breakpoints.at;
    Dr0::write(first);
    Dr1::write(second);
    Dr2::write(third);
    Dr3::write(fourth);
    Dr7::write_raw(breakpoints.control | ALWAYS);
    forbid_time(breakpoints.no_time);
    let stop = user::run(context);
    forbid_time(false);
    Dr7::write_raw(ALWAYS);
    if let Stop::Fault(fault) = stop
        && fault.vector == vector::DB
        && (0..COUNT)
            .any(|index| fault.addr >> index & 1 != 0 && breakpoints.kind(index) == Some(0))
    {
        // It comes before the instruction, which would hit it again.
        context.rflags |= RESUME;
    }
    stop
}
