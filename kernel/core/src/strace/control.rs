//! Arguments whose meaning depends on another one (`fcntl`, `ioctl`, `prctl`, `clone`), arguments
//! that are left out, and what follows the `=`.

use alloc::string::String;
use core::fmt::Write;

use super::names::{self, flags, one_of};
use super::structs::{halves, words};
use super::{Arg, Outcome, RawCall, View, lists, options as o, pointer, structs, text};
use crate::errno::Errno;
use crate::num::{int_arg, low32};

/// Arguments that the call doesn't take with these flags.
pub(super) fn hidden(call: &RawCall<'_>, index: usize) -> bool {
    let [_, first, second, ..] = call.values;
    match (call.name, index) {
        ("open", 2) => first & O_CREAT_OR_TMPFILE == 0,
        ("openat", 3) => second & O_CREAT_OR_TMPFILE == 0,
        ("fcntl", 2) => !names::fcntl_takes_argument(first),
        // Only devices have a number: S_IFCHR and S_IFBLK (linux/stat.h).
        ("mknod", 2) => !matches!(first & 0o170_000, 0o020_000 | 0o060_000),
        ("mknodat", 3) => !matches!(second & 0o170_000, 0o020_000 | 0o060_000),
        ("mremap", 4) => call.values[3] & MREMAP_FIXED == 0,
        ("prctl", _) => prctl_argument_count(low32(call.values[0])) < index,
        _ => false,
    }
}

/// `O_CREAT | __O_TMPFILE`, asm-generic/fcntl.h: only with these is a mode given.
const O_CREAT_OR_TMPFILE: u64 = 0o100 | 0o20_000_000;
/// linux/mman.h.
const MREMAP_FIXED: u64 = 2;

/// How many arguments the operation takes (linux/prctl.h).
const fn prctl_argument_count(operation: u32) -> usize {
    match operation {
        // PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_SECCOMP, PR_GET_SECUREBITS, PR_GET_TIMERSLACK.
        3 | 7 | 21 | 27 | 30 => 0,
        // PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, names, the
        // bounding set, PR_SET_SECUREBITS, PR_SET_TIMERSLACK, subreapers.
        1 | 2 | 4 | 8 | 15 | 16 | 23 | 24 | 28 | 29 | 36 | 37 => 1,
        _ => 4,
    }
}

/// Shows `value` if its meaning depends on another argument.
pub(super) fn show(line: &mut String, arg: Arg, value: u64, view: &View<'_>) -> bool {
    match arg {
        Arg::FcntlArg => fcntl(line, value, view),
        Arg::IoctlArg => ioctl(line, value, view),
        Arg::PrctlArg => prctl(line, value, view),
        _ => false,
    }
}

fn fcntl(line: &mut String, value: u64, view: &View<'_>) -> bool {
    let word = u64::from(low32(value));
    match low32(view.value(1)) {
        // F_SETFD, F_SETFL, F_SETOWN, F_SETSIG, F_DUPFD and F_SETPIPE_SZ.
        2 => flags(line, word, &[(1, "FD_CLOEXEC")], "0"),
        4 => names::open_flags(line, word),
        10 => names::signal(line, int_arg(value)),
        5..=7 | 36..=38 => return lock(line, value, view),
        // F_ADD_SEALS (linux/fcntl.h).
        1033 => flags(line, word, names::SEALS, "0"),
        0 | 8 | 1030 | 1031 => {
            let _ = write!(line, "{}", int_arg(value));
        }
        _ => return false,
    }
    true
}

/// `struct flock` (asm-generic/fcntl.h).
fn lock(line: &mut String, value: u64, view: &View<'_>) -> bool {
    // What F_GETLK answers is in the same place.
    let asked = matches!(low32(view.value(1)), 5 | 36) && view.done().is_some();
    let memory = if asked { view.after } else { view.before };
    let Some([kind, start, len, pid]) = words(value, memory) else {
        return false;
    };
    line.push_str("{l_type=");
    one_of(line, kind & 0xFFFF, names::LOCK_TYPES);
    line.push_str(", l_whence=");
    one_of(line, (kind >> 16) & 0xFFFF, names::WHENCE);
    let (start, len) = (start.cast_signed(), len.cast_signed());
    let _ = write!(line, ", l_start={start}, l_len={len}");
    if asked {
        let _ = write!(line, ", l_pid={}", int_arg(pid));
    }
    line.push('}');
    true
}

fn ioctl(line: &mut String, value: u64, view: &View<'_>) -> bool {
    // Which way the argument goes: TIOCGWINSZ, TIOCGPGRP, TIOCGSID, FIONREAD, BLKGETSIZE64 answer.
    let answers = matches!(
        view.value(1),
        0x5413 | 0x540F | 0x5429 | 0x541B | 0x8008_1272
    );
    let memory = match (answers, view.done()) {
        (true, None) => return false,
        (true, Some(_)) => view.after,
        (false, _) => view.before,
    };
    match view.value(1) {
        0x5401..=0x5404 => return termios(line, value, view),
        // struct winsize (asm-generic/termios.h).
        0x5413 | 0x5414 => {
            let Some([size]) = words(value, memory) else {
                return false;
            };
            let part = |at: u32| (size >> at) & 0xFFFF;
            let _ = write!(
                line,
                "{{ws_row={}, ws_col={}, ws_xpixel={}, ws_ypixel={}}}",
                part(0),
                part(16),
                part(32),
                part(48)
            );
        }
        0x540F | 0x5410 | 0x5429 | 0x541B | 0x5421 => {
            let Some([number]) = halves(value, memory) else {
                return false;
            };
            let _ = write!(line, "[{}]", number.cast_signed());
        }
        0x8008_1272 => {
            let Some([size]) = words(value, memory) else {
                return false;
            };
            let _ = write!(line, "[{size}]");
        }
        // TIOCSCTTY, TCFLSH and those without an argument.
        0x540E | 0x540B => {
            let _ = write!(line, "{value}");
        }
        _ => {
            let _ = write!(line, "{value:#x}");
        }
    }
    true
}

/// `struct termios` (asm-generic/termbits.h) in few words: speed, and what is on of `opost`,
/// `isig`, `icanon`, `echo`.
fn termios(line: &mut String, value: u64, view: &View<'_>) -> bool {
    let reads = view.value(1) == 0x5401;
    let memory = match (reads, view.done()) {
        (true, None) => return false,
        (true, Some(_)) => view.after,
        (false, _) => view.before,
    };
    let Some([_, output, control, local]) = halves(value, memory) else {
        return false;
    };
    line.push('{');
    one_of(line, u64::from(control & 0x100F), names::SPEEDS);
    for (on, name) in [
        (output & 1, "opost"),
        (local & 1, "isig"),
        (local & 2, "icanon"),
        (local & 8, "echo"),
    ] {
        let _ = write!(line, " {}{name}", if on == 0 { "-" } else { "" });
    }
    line.push_str(" ...}");
    true
}

fn prctl(line: &mut String, value: u64, view: &View<'_>) -> bool {
    match view.value(0) {
        1 => names::signal(line, int_arg(value)),
        4 => one_of(line, value, names::DUMPABLE),
        15 => return text::c_string(line, value, view.before),
        16 => return view.done().is_some() && text::c_string(line, value, view.after),
        // Numbers: keeping capabilities, the bounding set, slack, subreapers, new privileges.
        8 | 23 | 24 | 29 | 36 | 38 => {
            let _ = write!(line, "{value}");
        }
        _ => {
            let _ = match value {
                0 => write!(line, "0"),
                _ => write!(line, "{value:#x}"),
            };
        }
    }
    true
}

/// `clone`'s arguments, with their names, as far as its flags make use of them.
pub(super) fn clone(line: &mut String, view: &View<'_>) {
    let [flag_word, stack, parent, child, tls, _] = view.call.values;
    line.push_str("child_stack=");
    pointer(line, stack);
    line.push_str(", flags=");
    names::clone_flags(line, flag_word);
    // CLONE_PARENT_SETTID and CLONE_PIDFD, CLONE_SETTLS, CLONE_CHILD_SETTID and _CLEARTID
    // (linux/sched.h).
    if flag_word & (0x0010_0000 | 0x1000) != 0 {
        line.push_str(", parent_tid=");
        match halves(parent, view.after).filter(|_| view.done().is_some()) {
            Some([tid]) => {
                let _ = write!(line, "[{tid}]");
            }
            None => pointer(line, parent),
        }
    }
    if flag_word & 0x0008_0000 != 0 {
        let _ = write!(line, ", tls={tls:#x}");
    }
    if flag_word & (0x0100_0000 | 0x0020_0000) != 0 {
        line.push_str(", child_tidptr=");
        pointer(line, child);
    }
}

/// `futex`'s arguments, as many as the operation takes.
pub(super) fn futex(line: &mut String, view: &View<'_>) {
    let [word, operation, value, fourth, second, third] = view.call.values;
    pointer(line, word);
    line.push_str(", ");
    names::futex_op(line, u64::from(low32(operation)));
    let _ = write!(line, ", {}", low32(value));
    let bits = |line: &mut String| match low32(third) {
        u32::MAX => line.push_str(", FUTEX_BITSET_MATCH_ANY"),
        bits => {
            let _ = write!(line, ", {bits:#x}");
        }
    };
    let timeout = |line: &mut String| {
        line.push_str(", ");
        if fourth == 0 || !structs::timespec(line, fourth, view.before) {
            pointer(line, fourth);
        }
    };
    match operation & 127 {
        // FUTEX_WAIT, FUTEX_LOCK_PI and _PI2; FUTEX_WAKE; both with bits.
        0 | 6 | 13 => timeout(line),
        1 | 7 | 8 => {}
        9 => {
            timeout(line);
            bits(line);
        }
        10 => bits(line),
        11 => {
            timeout(line);
            line.push_str(", ");
            pointer(line, second);
        }
        // Requeueing, and FUTEX_WAKE_OP: how many more, where, and a value.
        operation => {
            let _ = write!(line, ", {}, ", low32(fourth));
            pointer(line, second);
            if operation != 3 {
                let _ = write!(line, ", {}", low32(third));
            }
        }
    }
}

/// A call that a signal interrupted has no answer yet: it may begin again.
const fn restart(errno: Errno) -> Option<(&'static str, &'static str)> {
    Some(match errno {
        Errno::ERESTARTSYS => ("ERESTARTSYS", "To be restarted if SA_RESTART is set"),
        Errno::ERESTARTNOINTR => ("ERESTARTNOINTR", "To be restarted"),
        Errno::ERESTARTNOHAND => ("ERESTARTNOHAND", "To be restarted if no handler"),
        Errno::ERESTART_RESTARTBLOCK => ("ERESTART_RESTARTBLOCK", "Interrupted by signal"),
        _ => return None,
    })
}

/// What follows the `=`.
pub(super) fn outcome(line: &mut String, view: &View<'_>) {
    let call = view.call;
    let _ = match call.outcome {
        Outcome::None => write!(line, "?"),
        Outcome::Error(errno) => match restart(errno) {
            Some((name, meaning)) => write!(line, "? {name} ({meaning})"),
            None => write!(line, "-1 {} ({})", errno.name(), errno.description()),
        },
        Outcome::Value(value) => match call.name {
            "mmap" | "brk" | "mremap" | "shmat" => write!(line, "{value:#x}"),
            "umask" => names::octal(line, low32(value)),
            "personality" if value == 0 => write!(line, "0 (PER_LINUX)"),
            "personality" => write!(line, "{value:#x} (PER_LINUX)"),
            "fcntl" => names::fcntl_result(line, call.values[1], value),
            // PR_GET_DUMPABLE (linux/prctl.h).
            "prctl" if call.values[0] == 3 => {
                let _ = write!(line, "{value} (");
                one_of(line, value, names::DUMPABLE);
                write!(line, ")")
            }
            "poll" | "ppoll" => lists::poll_result(line, value, view),
            "select" | "pselect6" => lists::select_result(line, value, view),
            "sched_getscheduler" => {
                let _ = write!(line, "{value} (");
                one_of(line, value, o::POLICIES);
                write!(line, ")")
            }
            _ => write!(line, "{}", value.cast_signed()),
        },
    };
}
