//! What pointers point to: signals, times, limits, sets and lists.

use alloc::string::String;
use core::fmt::Write;

use super::names::{self, flags, one_of};
use super::need::COUNT;
use super::{Arg, ELEMENTS, Memory, Outcome, View, options, pointer, text};
use crate::errno::Errno;
use crate::num::{int_arg, low32, usize_of};

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

fn timeval(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
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

/// `stack_t` (asm-generic/signal.h).
fn stack(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
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
fn siginfo(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
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
        let _ = write!(line, "{{fd={}", int_arg(entry));
        // A negative descriptor is passed over.
        if int_arg(entry) >= 0 {
            line.push_str(", events=");
            flags(line, (entry >> 32) & 0xFFFF, names::POLL, "0");
        }
        line.push('}');
    }
    line.push(']');
    true
}

/// The count that poll answers, with what it counts.
pub(super) fn poll_result(line: &mut String, value: u64, view: &View<'_>) -> core::fmt::Result {
    if value == 0 {
        return write!(line, "0 (Timeout)");
    }
    write!(line, "{} ([", value.cast_signed())?;
    let mut separator = "";
    for index in 0..usize_of(u64::from(low32(view.value(1)))).min(ELEMENTS) {
        let at = view.value(0).wrapping_add(8 * index as u64);
        let Some([entry]) = words(at, view.after) else {
            break;
        };
        if entry >> 48 != 0 && int_arg(entry) >= 0 {
            write!(line, "{separator}{{fd={}, revents=", int_arg(entry))?;
            flags(line, entry >> 48, names::POLL, "0");
            line.push('}');
            separator = ", ";
        }
    }
    if view.call.name == "ppoll" && view.value(2) != 0 {
        line.push_str("], left ");
        timespec(line, view.value(2), view.after);
        return write!(line, ")");
    }
    write!(line, "])")
}

/// A set of descriptors below `count`.
fn fd_set(line: &mut String, address: u64, count: u64, memory: &dyn Memory) -> bool {
    let count = usize_of(u64::from(low32(count))).min(1024);
    let mark = line.len();
    line.push('[');
    let mut separator = "";
    for fd in 0..count as u64 {
        let Some([word]) = words(address.wrapping_add(fd / 64 * 8), memory) else {
            line.truncate(mark);
            return false;
        };
        if word & 1 << (fd % 64) != 0 {
            let _ = write!(line, "{separator}{fd}");
            separator = " ";
        }
    }
    line.push(']');
    true
}

/// The count that select answers, the sets that count for something, and the time left.
pub(super) fn select_result(line: &mut String, value: u64, view: &View<'_>) -> core::fmt::Result {
    if value == 0 {
        return write!(line, "0 (Timeout)");
    }
    write!(line, "{} (", value.cast_signed())?;
    let mut separator = "";
    for (index, name) in [(1, "in"), (2, "out"), (3, "except")] {
        let mut set = String::new();
        let address = view.value(index);
        if address != 0 && fd_set(&mut set, address, view.value(0), view.after) && set != "[]" {
            write!(line, "{separator}{name} {set}")?;
            separator = ", ";
        }
    }
    if view.value(4) != 0 {
        write!(line, "{separator}left ")?;
        match view.call.name {
            "select" => timeval(line, view.value(4), view.after),
            _ => timespec(line, view.value(4), view.after),
        };
    }
    write!(line, ")")
}

/// A set of processors, `len` bytes of it.
fn cpu_set(line: &mut String, address: u64, len: u64, memory: &dyn Memory) -> bool {
    let mark = line.len();
    line.push('[');
    let mut separator = "";
    for at in 0..len.min(128) {
        let mut byte = [0];
        if !memory.read(address.wrapping_add(at), &mut byte) {
            line.truncate(mark);
            return false;
        }
        for bit in (0..8).filter(|bit| byte[0] & 1 << bit != 0) {
            let _ = write!(line, "{separator}{}", at * 8 + bit);
            separator = " ";
        }
    }
    line.push(']');
    true
}

fn groups(line: &mut String, address: u64, count: u64, memory: &dyn Memory) -> bool {
    line.push('[');
    for index in 0..u64::from(low32(count)).min(ELEMENTS as u64) {
        let Some([group]) = halves(address.wrapping_add(4 * index), memory) else {
            break;
        };
        let _ = write!(line, "{}{group}", if index > 0 { ", " } else { "" });
    }
    line.push(']');
    true
}

/// One `struct epoll_event`, or a list of `count` (linux/eventpoll.h; packed).
fn epoll_events(line: &mut String, address: u64, count: Option<u64>, memory: &dyn Memory) -> bool {
    if count.is_some() {
        line.push('[');
    }
    for index in 0..count.unwrap_or(1).min(ELEMENTS as u64) {
        let Some([events, low, high]) = halves(address.wrapping_add(12 * index), memory) else {
            if count.is_none() {
                return false;
            }
            break;
        };
        line.push_str(if index > 0 { ", {events=" } else { "{events=" });
        flags(line, u64::from(events), options::EPOLL_EVENTS, "0");
        let data = u64::from(high) << 32 | u64::from(low);
        let _ = write!(line, ", data={{u32={low}, u64={data}}}}}");
    }
    if count.is_some() {
        line.push(']');
    }
    true
}

/// Vectors, and of what they hold `total` bytes.
pub(super) fn io_vectors(
    line: &mut String,
    address: u64,
    count: u64,
    total: u64,
    memory: &dyn Memory,
) -> bool {
    line.push('[');
    let mut left = total;
    for index in 0..usize_of(u64::from(low32(count))).min(ELEMENTS) {
        let at = address.wrapping_add(16 * index as u64);
        let Some([base, len]) = words(at, memory) else {
            break;
        };
        if index > 0 {
            line.push_str(", ");
        }
        line.push_str("{iov_base=");
        let used = len.min(left);
        left -= used;
        if !text::buffer(line, base, used, memory) {
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
    let Some([count]) = words(address | COUNT, memory) else {
        return false;
    };
    let plural = if count == 1 { "" } else { "s" };
    let _ = write!(line, "{address:#x} /* {count} var{plural} */");
    true
}
