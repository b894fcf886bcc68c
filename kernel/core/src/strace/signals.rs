//! Structures of signals, and what a child's end is told by.

use alloc::string::String;
use core::fmt::Write;

use super::names::{self, flags, one_of};
use super::structs::{halves, words};
use super::{Memory, pointer};
use crate::num::low32;

pub(super) fn sigset(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([set]) = words(address, memory) else {
        return false;
    };
    names::signal_set(line, set);
    true
}

pub(super) fn sigaction(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    // struct kernel_sigaction: handler, flags, restorer, mask (asm/signal.h).
    let Some([handler, sa_flags, restorer, mask]) = words(address, memory) else {
        return false;
    };
    line.push_str("{sa_handler=");
    match handler {
        0 => line.push_str("SIG_DFL"),
        1 => line.push_str("SIG_IGN"),
        _ => pointer(line, handler),
    }
    line.push_str(", sa_mask=");
    names::signal_set(line, mask);
    line.push_str(", sa_flags=");
    flags(line, sa_flags, names::SA_FLAGS, "0");
    if sa_flags & SA_RESTORER != 0 {
        line.push_str(", sa_restorer=");
        pointer(line, restorer);
    }
    line.push('}');
    true
}

/// asm/signal.h.
const SA_RESTORER: u64 = 0x0400_0000;

/// `stack_t` (asm-generic/signal.h).
pub(super) fn stack(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([base, how, size]) = words(address, memory) else {
        return false;
    };
    line.push_str("{ss_sp=");
    pointer(line, base);
    line.push_str(", ss_flags=");
    flags(line, u64::from(low32(how)), names::STACK_FLAGS, "0");
    let _ = write!(line, ", ss_size={size}}}");
    true
}

/// What `waitid` tells of a child, and `rt_sigtimedwait` of a signal (`siginfo_t`,
/// asm-generic/siginfo.h).
pub(super) fn siginfo(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([signal, _, code, _, pid, uid, status, _]) = halves(address, memory) else {
        return false;
    };
    if signal == 0 {
        line.push_str("{}");
        return true;
    }
    line.push_str("{si_signo=");
    names::signal(line, signal.cast_signed());
    line.push_str(", si_code=");
    let child = signal == 17;
    let table = if child {
        names::CHILD_CODES
    } else {
        names::SIGNAL_CODES
    };
    one_of(line, u64::from(code), table);
    let _ = write!(line, ", si_pid={pid}, si_uid={uid}");
    if child {
        line.push_str(", si_status=");
        // CLD_EXITED tells a status, the others a signal.
        match code {
            1 => {
                let _ = write!(line, "{status}");
            }
            _ => names::signal(line, status.cast_signed()),
        }
        if let Some([user, system]) = words(address.wrapping_add(32), memory) {
            let _ = write!(line, ", si_utime={user}, si_stime={system}");
        }
    }
    line.push('}');
    true
}

pub(super) fn wait_status(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let mut bytes = [0; 4];
    if !memory.read(address, &mut bytes) {
        return false;
    }
    let status = u32::from_le_bytes(bytes);
    let signal = (status & 0x7F).cast_signed();
    line.push_str("[{");
    if status == 0xFFFF {
        line.push_str("WIFCONTINUED(s)");
    } else if status & 0x7F == 0 {
        let code = (status >> 8) & 0xFF;
        let _ = write!(line, "WIFEXITED(s) && WEXITSTATUS(s) == {code}");
    } else if status & 0xFF == 0x7F {
        line.push_str("WIFSTOPPED(s) && WSTOPSIG(s) == ");
        names::signal(line, ((status >> 8) & 0xFF).cast_signed());
    } else {
        line.push_str("WIFSIGNALED(s) && WTERMSIG(s) == ");
        names::signal(line, signal);
        if status & 0x80 != 0 {
            line.push_str(" && WCOREDUMP(s)");
        }
    }
    line.push_str("}]");
    true
}
