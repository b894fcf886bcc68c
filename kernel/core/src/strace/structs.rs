//! What pointers point to: which structure an argument shows ([`show`]), and those of numbers, times and limits.
//!
//! What signals have is in [`signals`](super::signals), sets and lists in [`lists`](super::lists).

use alloc::string::String;
use core::fmt::Write;

use super::lists::{argv, cpu_set, envp, epoll_events, fd_set, groups, io_vectors, poll_fds};
use super::signals::{sigaction, siginfo, sigset, stack, wait_status};
use super::{Arg, Memory, Outcome, View};
use crate::errno::Errno;
use crate::num::int_arg;

/// Shows `value` as `arg`'s structure. False: show the bare pointer.
pub(super) fn show(line: &mut String, arg: Arg, value: u64, next: u64, view: &View<'_>) -> bool {
    if value == 0 {
        return false;
    }
    let (before, after) = (view.before, view.after);
    let done = view.done().is_some();
    match arg {
        Arg::SigSet => sigset(line, value, before),
        Arg::SigSetOut => done && sigset(line, value, after),
        Arg::SigAction => sigaction(line, value, before),
        Arg::SigActionOut => done && sigaction(line, value, after),
        Arg::SigInfo => view.done().is_some_and(|_| siginfo(line, value, after)),
        Arg::Stack => stack(line, value, before),
        Arg::StackOut => done && stack(line, value, after),
        Arg::Timespec => timespec(line, value, before),
        Arg::TimespecOut => done && timespec(line, value, after),
        // What is left of a sleep is told only when a signal ended it.
        Arg::Remainder => {
            let ended = Outcome::Error(Errno::ERESTART_RESTARTBLOCK);
            view.call.outcome == ended && timespec(line, value, after)
        }
        Arg::Timeval | Arg::TimevalIn => timeval(line, value, before),
        Arg::TimevalOut => done && timeval(line, value, after),
        Arg::Itimerval => pair(line, value, before, timeval),
        Arg::ItimervalOut => done && pair(line, value, after, timeval),
        Arg::Itimerspec => pair(line, value, before, timespec),
        Arg::ItimerspecOut => done && pair(line, value, after, timespec),
        Arg::RlimitIn => rlimit(line, value, before),
        Arg::RlimitOut => done && rlimit(line, value, after),
        Arg::FdPair => done && fd_pair(line, value, after),
        Arg::WaitStatus => {
            view.done().is_some_and(|pid| pid != 0) && wait_status(line, value, after)
        }
        Arg::IntOut | Arg::SchedParamOut => done && number(line, value, after),
        Arg::SchedParam => number(line, value, before),
        Arg::LongOut => done && long(line, value, after),
        Arg::OffPtr => moved(line, value, view),
        Arg::PollFds => poll_fds(line, value, next, before),
        Arg::FdSet => fd_set(line, value, view.value(0), before),
        Arg::CpuSet => cpu_set(line, value, view.value(1), before),
        Arg::CpuSetOut => view
            .done()
            .is_some_and(|len| cpu_set(line, value, len, after)),
        Arg::Groups if view.call.name == "setgroups" => groups(line, value, view.value(0), before),
        Arg::Groups => view
            .done()
            .is_some_and(|count| groups(line, value, count, after)),
        Arg::EpollEvent => epoll_events(line, value, None, before),
        Arg::EpollEvents => view
            .done()
            .is_some_and(|count| epoll_events(line, value, Some(count), after)),
        Arg::IoVec => io_vectors(line, value, next, u64::MAX, before),
        Arg::IoVecOut => view
            .done()
            .is_some_and(|total| io_vectors(line, value, next, total, after)),
        Arg::Argv => argv(line, value, before),
        Arg::Envp => envp(line, value, before),
        _ => false,
    }
}

/// The words at `address`.
pub(super) fn words<const N: usize>(address: u64, memory: &dyn Memory) -> Option<[u64; N]> {
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

/// The half words at `address`, 32 bits each.
pub(super) fn halves<const N: usize>(address: u64, memory: &dyn Memory) -> Option<[u32; N]> {
    let mut out = [0; N];
    let mut at = address;
    for half in &mut out {
        let mut bytes = [0; 4];
        if !memory.read(at, &mut bytes) {
            return None;
        }
        *half = u32::from_le_bytes(bytes);
        at = at.wrapping_add(4);
    }
    Some(out)
}

fn number(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([number]) = halves(address, memory) else {
        return false;
    };
    let _ = write!(line, "[{}]", number.cast_signed());
    true
}

fn long(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([number]) = words(address, memory) else {
        return false;
    };
    let _ = write!(line, "[{}]", number.cast_signed());
    true
}

/// A position; for `sendfile` before and after: `[0] => [10]`.
fn moved(line: &mut String, address: u64, view: &View<'_>) -> bool {
    let (Some([from]), Some([to])) = (words(address, view.before), words(address, view.after))
    else {
        return false;
    };
    let _ = write!(line, "[{from}]");
    if from != to && view.call.name == "sendfile" {
        let _ = write!(line, " => [{to}]");
    }
    true
}

pub(super) fn timespec(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
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

pub(super) fn timeval(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([seconds, micros]) = words(address, memory) else {
        return false;
    };
    let _ = write!(
        line,
        "{{tv_sec={}, tv_usec={}}}",
        seconds.cast_signed(),
        micros.cast_signed()
    );
    true
}

/// `struct itimerval` or `struct itimerspec`.
fn pair(
    line: &mut String,
    address: u64,
    memory: &dyn Memory,
    part: fn(&mut String, u64, &dyn Memory) -> bool,
) -> bool {
    let mark = line.len();
    line.push_str("{it_interval=");
    let first = part(line, address, memory);
    line.push_str(", it_value=");
    if first && part(line, address.wrapping_add(16), memory) {
        line.push('}');
        return true;
    }
    line.truncate(mark);
    false
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

fn fd_pair(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([pair]) = words(address, memory) else {
        return false;
    };
    let _ = write!(line, "[{}, {}]", int_arg(pair), int_arg(pair >> 32));
    true
}
