//! What pointers point to: the structures that strace decodes.

use alloc::string::String;
use core::fmt::Write;

use super::names::{self, flags};
use super::{Arg, Memory, pointer, text};
use crate::num::{int_arg, low32, usize_of};

/// Array elements that are shown before `...`.
const ELEMENTS: usize = 32;

/// Shows `value` as `arg`'s structure. `done` is the call's result when it succeeded. False: show
/// the bare pointer.
pub(super) fn show(
    line: &mut String,
    arg: Arg,
    value: u64,
    next: u64,
    done: Option<u64>,
    memory: &dyn Memory,
) -> bool {
    if value == 0 {
        return false;
    }
    let succeeded = done.is_some();
    match arg {
        Arg::SigSet => sigset(line, value, memory),
        Arg::SigSetOut => succeeded && sigset(line, value, memory),
        Arg::SigAction => sigaction(line, value, memory),
        Arg::SigActionOut => succeeded && sigaction(line, value, memory),
        Arg::Timespec => timespec(line, value, memory),
        Arg::TimespecOut => succeeded && timespec(line, value, memory),
        Arg::RlimitIn => rlimit(line, value, memory),
        Arg::RlimitOut => succeeded && rlimit(line, value, memory),
        Arg::Stat => succeeded && stat(line, value, memory),
        Arg::Utsname => succeeded && utsname(line, value, memory),
        Arg::FdPair => succeeded && fd_pair(line, value, memory),
        Arg::WaitStatus => done.is_some_and(|pid| pid != 0) && wait_status(line, value, memory),
        Arg::PollFds => poll_fds(line, value, next, memory),
        Arg::IoVec => io_vectors(line, value, next, memory),
        Arg::Argv => argv(line, value, memory),
        Arg::Envp => envp(line, value, memory),
        _ => false,
    }
}

fn words<const N: usize>(address: u64, memory: &dyn Memory) -> Option<[u64; N]> {
    let mut out = [0; N];
    let mut at = address;
    for word in &mut out {
        let mut bytes = [0; 8];
        if !memory.read(at, &mut bytes) {
            return None;
        }
        *word = u64::from_le_bytes(bytes);
        at = at.wrapping_add(8);
    }
    Some(out)
}

fn sigset(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([set]) = words(address, memory) else {
        return false;
    };
    names::signal_set(line, set);
    true
}

fn sigaction(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
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

fn timespec(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([seconds, nanos]) = words(address, memory) else {
        return false;
    };
    let _ = write!(
        line,
        "{{tv_sec={}, tv_nsec={}}}",
        seconds.cast_signed(),
        nanos.cast_signed()
    );
    true
}

fn rlimit(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([current, maximum]) = words(address, memory) else {
        return false;
    };
    line.push_str("{rlim_cur=");
    limit(line, current);
    line.push_str(", rlim_max=");
    limit(line, maximum);
    line.push('}');
    true
}

fn limit(line: &mut String, value: u64) {
    let _ = match value {
        u64::MAX => write!(line, "RLIM64_INFINITY"),
        v if v > 1024 && v.is_multiple_of(1024) => write!(line, "{}*1024", v / 1024),
        v => write!(line, "{v}"),
    };
}

fn stat(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    // struct stat of x86-64: mode is the low half of word 3, rdev word 5, size word 6.
    let Some([_, _, _, mode_uid, _, rdev, size]) = words(address, memory) else {
        return false;
    };
    let mode = low32(mode_uid);
    line.push_str("{st_mode=");
    names::file_mode(line, mode);
    // A device has a number in place of a size.
    let _ = match mode & 0o170_000 {
        0o020_000 | 0o060_000 => {
            let major = (rdev >> 8) & 0xFFF | (rdev >> 32) & !0xFFF;
            let minor = rdev & 0xFF | (rdev >> 12) & !0xFF;
            write!(line, ", st_rdev=makedev({major:#x}, {minor:#x}), ...}}")
        }
        _ => write!(line, ", st_size={size}, ...}}"),
    };
    true
}

fn utsname(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    // struct new_utsname: six fields of 65 bytes (linux/utsname.h).
    line.push_str("{sysname=");
    text::c_string(line, address, memory);
    line.push_str(", nodename=");
    text::c_string(line, address.wrapping_add(65), memory);
    line.push_str(", ...}");
    true
}

fn fd_pair(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([pair]) = words(address, memory) else {
        return false;
    };
    let _ = write!(line, "[{}, {}]", int_arg(pair), int_arg(pair >> 32));
    true
}

fn wait_status(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
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

fn poll_fds(line: &mut String, address: u64, count: u64, memory: &dyn Memory) -> bool {
    line.push('[');
    for index in 0..usize_of(u64::from(low32(count))).min(ELEMENTS) {
        let at = address.wrapping_add(8 * index as u64);
        let Some([entry]) = words(at, memory) else {
            break;
        };
        if index > 0 {
            line.push_str(", ");
        }
        let _ = write!(line, "{{fd={}, events=", int_arg(entry));
        flags(line, (entry >> 32) & 0xFFFF, names::POLL, "0");
        line.push('}');
    }
    line.push(']');
    true
}

/// The count that poll answers, with a word for none.
pub(super) fn poll_result(line: &mut String, value: u64) -> core::fmt::Result {
    match value {
        0 => write!(line, "0 (Timeout)"),
        _ => write!(line, "{}", value.cast_signed()),
    }
}

fn io_vectors(line: &mut String, address: u64, count: u64, memory: &dyn Memory) -> bool {
    line.push('[');
    for index in 0..usize_of(u64::from(low32(count))).min(ELEMENTS) {
        let at = address.wrapping_add(16 * index as u64);
        let Some([base, len]) = words(at, memory) else {
            break;
        };
        if index > 0 {
            line.push_str(", ");
        }
        line.push_str("{iov_base=");
        if !text::buffer(line, base, len, memory) {
            pointer(line, base);
        }
        let _ = write!(line, ", iov_len={len}}}");
    }
    line.push(']');
    true
}

fn argv(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    line.push('[');
    let mut at = address;
    for index in 0.. {
        let Some([string]) = words(at, memory) else {
            break;
        };
        if string == 0 {
            break;
        }
        if index > 0 {
            line.push_str(", ");
        }
        if index == ELEMENTS {
            line.push_str("...");
            break;
        }
        if !text::c_string(line, string, memory) {
            pointer(line, string);
        }
        at = at.wrapping_add(8);
    }
    line.push(']');
    true
}

fn envp(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let mut count = 0;
    let mut at = address;
    while let Some([string]) = words(at, memory) {
        if string == 0 || count == 100_000 {
            break;
        }
        count += 1;
        at = at.wrapping_add(8);
    }
    let plural = if count == 1 { "" } else { "s" };
    let _ = write!(line, "{address:#x} /* {count} var{plural} */");
    true
}
