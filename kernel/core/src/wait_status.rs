//! [`ExitStatus`] and [`WaitStatus`]: how a process ended, and what wait4(2) and waitid(2) tell
//! of it (asm-generic/siginfo.h, wait(2)).

use crate::abi;
use crate::signal::Signal;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// By exit, with the low 8 bits of its argument.
    Exited(u8),
    /// By a signal.
    Signaled {
        /// The signal.
        signal: Signal,
        /// It left a core.
        core: bool,
    },
}

/// A change of state that a parent can wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitStatus {
    /// It ended.
    Ended(ExitStatus),
    /// A signal stopped it.
    Stopped(Signal),
    /// It is stopped for its tracer: the signal, a mark of a system call (0x80), and the event
    /// above them (ptrace(2)).
    Traced(u32),
    /// SIGCONT let it go on.
    Continued,
}

impl WaitStatus {
    /// The `int` that wait4 writes.
    #[must_use]
    pub fn encode(self) -> i32 {
        match self {
            Self::Ended(ExitStatus::Exited(code)) => i32::from(code) << 8,
            Self::Ended(ExitStatus::Signaled { signal, core }) => {
                i32::from(signal.number()) | if core { 0x80 } else { 0 }
            }
            Self::Stopped(signal) => i32::from(signal.number()) << 8 | 0x7f,
            Self::Traced(code) => (code << 8 | 0x7f).cast_signed(),
            Self::Continued => 0xffff,
        }
    }

    /// `si_code` and `si_status` of waitid and SIGCHLD.
    #[must_use]
    pub fn code_and_status(self) -> (i32, i32) {
        if let Self::Traced(code) = self {
            return (abi::CLD_TRAPPED.cast_signed(), code.cast_signed());
        }
        let (code, status) = match self {
            Self::Ended(ExitStatus::Exited(code)) => (abi::CLD_EXITED, code),
            Self::Ended(ExitStatus::Signaled { signal, core }) => {
                let code = if core {
                    abi::CLD_DUMPED
                } else {
                    abi::CLD_KILLED
                };
                (code, signal.number())
            }
            Self::Stopped(signal) => (abi::CLD_STOPPED, signal.number()),
            Self::Traced(_) => (abi::CLD_TRAPPED, 0),
            Self::Continued => (abi::CLD_CONTINUED, Signal::CONT.number()),
        };
        (code.cast_signed(), i32::from(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_macros_of_wait_2_take_it_apart() {
        let signaled = |signal, core| WaitStatus::Ended(ExitStatus::Signaled { signal, core });
        assert_eq!(WaitStatus::Ended(ExitStatus::Exited(3)).encode(), 0x300);
        assert_eq!(signaled(Signal::KILL, false).encode(), 9);
        assert_eq!(signaled(Signal::SEGV, true).encode(), 0x8b);
        assert_eq!(WaitStatus::Stopped(Signal::TSTP).encode(), 0x147f);
        assert_eq!(WaitStatus::Continued.encode(), 0xffff);
        // PTRACE_EVENT_CLONE, and a system call under PTRACE_O_TRACESYSGOOD.
        assert_eq!(WaitStatus::Traced(3 << 8 | 5).encode(), 0x3057f);
        assert_eq!(WaitStatus::Traced(0x85).encode(), 0x857f);
        assert_eq!(signaled(Signal::SEGV, true).code_and_status(), (3, 11));
        assert_eq!(WaitStatus::Continued.code_and_status(), (6, 18));
    }
}
