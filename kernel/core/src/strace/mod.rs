//! One line for each system call, as strace prints it.
//!
//! [`Arg`] says how an argument is shown; the table of system calls names one for each argument.
//! Where the call is made, [`collect`] keeps what the line will show of the caller's memory (`need`), and it is
//! sent on as a [`Traced`] (`wire`). Where it is read, [`format_call`] makes the line from the raw
//! registers and that memory, which it reads through [`Memory`]. `text` quotes strings, `names` and
//! `options` hold the constants' names, `constants` says which argument has which; `structs`, `signals`,
//! `lists`, `files` and `net` decode what pointers point to, `control` the arguments that depend on another one.

mod constants;
mod control;
mod files;
mod lists;
mod names;
mod need;
mod net;
mod options;
mod signals;
mod structs;
mod text;
mod wire;

use alloc::string::String;
use core::fmt::Write;

use crate::errno::Errno;
use crate::num::{int_arg, low32};

pub use names::{flags, signal_name};
pub use need::{Phase, collect};
pub use wire::{Pieces, Snapshot, Traced};

/// Elements of a list that are shown before `...`.
const ELEMENTS: usize = 32;

/// How an argument is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are strace's and Linux's own")]
pub enum Arg {
    /// Not shown.
    Hidden,
    Int,
    Uint,
    Long,
    Size,
    Off,
    Hex,
    Ptr,
    Fd,
    DirFd,
    Pid,
    Id,
    Mode,
    NodMode,
    Dev,
    Path,
    In,
    Out,
    OutStr,
    OutHex,
    IoVec,
    IoVecOut,
    Argv,
    Envp,
    Dirents,
    OpenFlags,
    PipeFlags,
    AtFlags,
    AccessFlags,
    StatxFlags,
    AccessMode,
    Whence,
    Prot,
    MapFlags,
    MremapFlags,
    Advice,
    MsyncFlags,
    MlockFlags,
    MlockallFlags,
    MountFlags,
    UmountFlags,
    RenameFlags,
    MemfdFlags,
    SpliceFlags,
    RwfFlags,
    FallocMode,
    FileAdvice,
    CloseRangeFlags,
    XattrFlags,
    RandomFlags,
    Signal,
    SigHow,
    SigSet,
    SigSetOut,
    SigAction,
    SigActionOut,
    SigInfo,
    SigEvent,
    Stack,
    StackOut,
    SignalfdFlags,
    CloneFlags,
    UnshareFlags,
    CloneArgs,
    WaitOptions,
    WaitStatus,
    IdType,
    FdPair,
    IntOut,
    LongOut,
    PollFds,
    FdSet,
    EpollOp,
    EpollFlags,
    EpollEvent,
    EpollEvents,
    EventfdFlags,
    InotifyFlags,
    InotifyMask,
    Timespec,
    TimespecOut,
    Remainder,
    Timespecs,
    Timeval,
    TimevalIn,
    TimevalOut,
    Utimbuf,
    Clock,
    TimerFlags,
    TimerfdFlags,
    ItimerWhich,
    Itimerval,
    ItimervalOut,
    Itimerspec,
    ItimerspecOut,
    Stat,
    Statx,
    StatxMask,
    Statfs,
    OpenHow,
    Utsname,
    Sysinfo,
    Tms,
    Rusage,
    RusageWho,
    Resource,
    RlimitIn,
    RlimitOut,
    PriorityWhich,
    SchedPolicy,
    SchedParam,
    SchedParamOut,
    CpuSet,
    CpuSetOut,
    Groups,
    Personality,
    Membarrier,
    FutexOp,
    Fcntl,
    FcntlArg,
    FlockOp,
    Ioctl,
    IoctlArg,
    Prctl,
    PrctlArg,
    ArchPrctl,
    OffPtr,
    Domain,
    Protocol,
    FutexTimeout,
    SocketType,
    SocketTypeFlags,
    SockAddr,
    SockAddrOut,
    LenPtr,
    SockLevel,
    SockName,
    SockOpt,
    SockOptOut,
    Shutdown,
    MsgFlags,
    MsgHdr,
    MsgHdrOut,
}

/// The traced program's memory.
pub trait Memory {
    /// Fills `buffer` from `address`; false when any of it can't be read.
    fn read(&self, address: u64, buffer: &mut [u8]) -> bool;
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It hasn't returned, and won't (`exit`), or its arguments are shown before it runs.
    None,
    /// It answered this value.
    Value(u64),
    /// It failed.
    Error(Errno),
}

/// One call, raw.
#[derive(Clone, Copy, Debug)]
pub struct RawCall<'a> {
    /// Name from the table.
    pub name: &'a str,
    /// How its arguments are shown.
    pub args: &'a [Arg],
    /// RDI, RSI, RDX, R10, R8, R9.
    pub values: [u64; 6],
    /// How it ended.
    pub outcome: Outcome,
}

/// What a line is made from: the call, and the caller's memory before it and after it.
#[derive(Clone, Copy)]
struct View<'a> {
    call: &'a RawCall<'a>,
    before: &'a dyn Memory,
    after: &'a dyn Memory,
}

impl View<'_> {
    fn value(&self, index: usize) -> u64 {
        self.call.values.get(index).copied().unwrap_or(0)
    }

    /// The call's answer, unless it failed or hasn't answered.
    fn done(&self) -> Option<u64> {
        match self.call.outcome {
            Outcome::Value(value) => Some(value),
            Outcome::None | Outcome::Error(_) => None,
        }
    }
}

/// The line for `call`, without a newline, after `prefix`, with what it shows of the caller's
/// memory before it ran and afterwards.
#[must_use]
pub fn format_call(
    prefix: &str,
    call: &RawCall<'_>,
    before: &dyn Memory,
    after: &dyn Memory,
) -> String {
    let view = View {
        call,
        before,
        after,
    };
    let mut line = String::from(prefix);
    let _ = write!(line, "{}(", call.name);
    if call.name == "clone" {
        control::clone(&mut line, &view);
    } else if call.name == "futex" {
        control::futex(&mut line, &view);
    } else {
        for (index, (arg, value)) in call.args.iter().zip(call.values).enumerate() {
            if control::hidden(call, index) {
                break;
            }
            if *arg == Arg::Hidden {
                continue;
            }
            if index > 0 {
                line.push_str(", ");
            }
            show(&mut line, *arg, index, value, &view);
        }
    }
    line.push(')');
    while line.len() < 39 {
        line.push(' ');
    }
    line.push_str(" = ");
    control::outcome(&mut line, &view);
    line
}

fn show(line: &mut String, arg: Arg, index: usize, value: u64, view: &View<'_>) {
    if number(line, arg, value) || constants::show(line, arg, value) {
        return;
    }
    let next = view.value(index + 1);
    let done = view.done();
    let shown = match arg {
        Arg::Path => text::c_string(line, value, view.before),
        Arg::In => text::buffer(line, value, next, view.before),
        Arg::Out => done.is_some_and(|len| text::buffer(line, value, len, view.after)),
        Arg::OutHex => done.is_some_and(|len| text::hex_buffer(line, value, len, view.after)),
        Arg::OutStr => done.is_some() && text::c_string(line, value, view.after),
        _ => {
            control::show(line, arg, value, view)
                || structs::show(line, arg, value, next, view)
                || files::show(line, arg, value, view)
                || net::show(line, arg, value, next, view)
        }
    };
    if !shown {
        pointer(line, value);
    }
}

fn number(line: &mut String, arg: Arg, value: u64) -> bool {
    let _ = match arg {
        Arg::Int | Arg::Fd | Arg::Pid => write!(line, "{}", int_arg(value)),
        Arg::Id if int_arg(value) == -1 => write!(line, "-1"),
        Arg::Uint | Arg::Id => write!(line, "{}", low32(value)),
        Arg::Long | Arg::Off => write!(line, "{}", value.cast_signed()),
        Arg::Size => write!(line, "{value}"),
        Arg::Hex if value == 0 => write!(line, "0"),
        Arg::Hex => write!(line, "{value:#x}"),
        Arg::Mode => names::octal(line, low32(value)),
        Arg::DirFd if int_arg(value) == -100 => write!(line, "AT_FDCWD"),
        Arg::DirFd => write!(line, "{}", int_arg(value)),
        _ => return false,
    };
    true
}

fn pointer(line: &mut String, value: u64) {
    let _ = match value {
        0 => write!(line, "NULL"),
        _ => write!(line, "{value:#x}"),
    };
}

#[cfg(test)]
mod tests;
