//! One line for each system call, as strace prints it.
//!
//! [`Arg`] says how an argument is shown; the table of system calls names one for each argument.
//! [`format_call`] makes the line from the raw registers and the caller's memory, which it reads
//! through [`Memory`], so that everything here runs on the host too. `text` quotes strings,
//! `names` holds the constants' names, `structs` decodes what pointers point to.

mod names;
mod structs;
mod text;

use alloc::string::String;
use core::fmt::Write;

use crate::errno::Errno;
use crate::num::{int_arg, low32};

pub use names::{flags, signal_name};

/// How an argument is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are strace's and Linux's own")]
pub enum Arg {
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
    Path,
    In,
    Out,
    OutStr,
    IoVec,
    Argv,
    Envp,
    OpenFlags,
    AtFlags,
    AccessMode,
    Whence,
    Prot,
    MapFlags,
    MremapFlags,
    Advice,
    Signal,
    SigHow,
    SigSet,
    SigSetOut,
    SigAction,
    SigActionOut,
    CloneFlags,
    WaitOptions,
    WaitStatus,
    FdPair,
    PollFds,
    Timespec,
    TimespecOut,
    Clock,
    Stat,
    Utsname,
    Resource,
    RlimitIn,
    RlimitOut,
    FutexOp,
    Fcntl,
    FlockOp,
    Ioctl,
    Prctl,
    ArchPrctl,
    EpollOp,
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

/// The line for `call`, without a newline.
#[must_use]
pub fn format_call(call: &RawCall<'_>, memory: &dyn Memory) -> String {
    let mut line = String::new();
    let _ = write!(line, "{}(", call.name);
    for (index, (arg, value)) in call.args.iter().zip(call.values).enumerate() {
        if hidden(call, index) {
            break;
        }
        if index > 0 {
            line.push_str(", ");
        }
        let next = call.values.get(index + 1).copied().unwrap_or(0);
        show(&mut line, *arg, value, next, call.outcome, memory);
    }
    line.push(')');
    while line.len() < 39 {
        line.push(' ');
    }
    line.push_str(" = ");
    show_outcome(&mut line, call);
    line
}

/// Arguments that the call doesn't take with these flags.
fn hidden(call: &RawCall<'_>, index: usize) -> bool {
    let [_, first, second, ..] = call.values;
    match (call.name, index) {
        ("open", 2) => first & O_CREAT_OR_TMPFILE == 0,
        ("openat", 3) => second & O_CREAT_OR_TMPFILE == 0,
        ("fcntl", 2) => !names::fcntl_takes_argument(first),
        ("futex", 3..) => names::futex_argument_count(low32(first)) <= index,
        _ => false,
    }
}

/// `O_CREAT | __O_TMPFILE`, asm-generic/fcntl.h: only with these is a mode given.
const O_CREAT_OR_TMPFILE: u64 = 0o100 | 0o20_000_000;

fn show(line: &mut String, arg: Arg, value: u64, next: u64, outcome: Outcome, memory: &dyn Memory) {
    if show_number(line, arg, value) || show_constant(line, arg, value) {
        return;
    }
    let done = match outcome {
        Outcome::Value(result) => Some(result),
        Outcome::None | Outcome::Error(_) => None,
    };
    let shown = match arg {
        Arg::Path => text::c_string(line, value, memory),
        Arg::In => text::buffer(line, value, next, memory),
        Arg::Out => done.is_some_and(|len| text::buffer(line, value, len, memory)),
        Arg::OutStr => done.is_some() && text::c_string(line, value, memory),
        _ => structs::show(line, arg, value, next, done, memory),
    };
    if !shown {
        pointer(line, value);
    }
}

fn show_number(line: &mut String, arg: Arg, value: u64) -> bool {
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

fn show_constant(line: &mut String, arg: Arg, value: u64) -> bool {
    use names as n;
    let word = u64::from(low32(value));
    match arg {
        Arg::OpenFlags => n::open_flags(line, word),
        Arg::AtFlags => flags(line, word, n::AT_FLAGS, "0"),
        Arg::AccessMode => flags(line, word, n::ACCESS, "F_OK"),
        Arg::Prot => flags(line, word, n::PROT, "PROT_NONE"),
        Arg::MapFlags => flags(line, word, n::MAP, "MAP_FILE"),
        Arg::MremapFlags => flags(line, word, n::MREMAP, "0"),
        Arg::WaitOptions => flags(line, word, n::WAIT, "0"),
        Arg::FlockOp => flags(line, word, n::FLOCK, "0"),
        Arg::CloneFlags => n::clone_flags(line, value),
        Arg::FutexOp => n::futex_op(line, word),
        Arg::Signal => n::signal(line, int_arg(value)),
        Arg::Whence => n::one_of(line, word, n::WHENCE),
        Arg::Advice => n::one_of(line, word, n::ADVICE),
        Arg::SigHow => n::one_of(line, word, n::SIG_HOW),
        Arg::Clock => n::one_of(line, word, n::CLOCKS),
        Arg::Resource => n::one_of(line, word, n::RESOURCES),
        Arg::Fcntl => n::one_of(line, word, n::FCNTL),
        Arg::Ioctl => n::one_of(line, word, n::IOCTLS),
        Arg::Prctl => n::one_of(line, word, n::PRCTL),
        Arg::ArchPrctl => n::one_of(line, word, n::ARCH_PRCTL),
        Arg::EpollOp => n::one_of(line, word, n::EPOLL_OPS),
        _ => return false,
    }
    true
}

fn pointer(line: &mut String, value: u64) {
    let _ = match value {
        0 => write!(line, "NULL"),
        _ => write!(line, "{value:#x}"),
    };
}

fn show_outcome(line: &mut String, call: &RawCall<'_>) {
    let _ = match call.outcome {
        Outcome::None => write!(line, "?"),
        Outcome::Error(errno) => {
            write!(line, "-1 {} ({})", errno.name(), errno.description())
        }
        Outcome::Value(value) => match call.name {
            "mmap" | "brk" | "mremap" | "shmat" => write!(line, "{value:#x}"),
            "umask" => names::octal(line, low32(value)),
            "fcntl" => names::fcntl_result(line, call.values[1], value),
            "poll" | "ppoll" => structs::poll_result(line, value),
            _ => write!(line, "{}", value.cast_signed()),
        },
    };
}

#[cfg(test)]
mod tests;
