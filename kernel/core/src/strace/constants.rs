//! Arguments that are constants: which of them has which names.

use alloc::string::String;
use core::fmt::Write;

use super::Arg;
use super::names::{self as n, flags, one_of};
use super::options as o;
use crate::num::{int_arg, low32};

/// Shows `value` if `arg` is a constant.
pub(super) fn show(line: &mut String, arg: Arg, value: u64) -> bool {
    let word = u64::from(low32(value));
    if let Some((table, zero)) = flag_words(arg) {
        flags(line, word, table, zero);
        return true;
    }
    if let Some(table) = enumerations(arg) {
        one_of(line, word, table);
        return true;
    }
    match arg {
        Arg::OpenFlags => n::open_flags(line, word),
        Arg::CloneFlags => n::clone_flags(line, value),
        Arg::FutexOp => n::futex_op(line, word),
        Arg::Signal => n::signal(line, int_arg(value)),
        Arg::NodMode => n::file_mode(line, low32(value)),
        Arg::Dev => device(line, word),
        Arg::SocketType | Arg::SocketTypeFlags => socket_type(line, arg, word),
        Arg::StatxFlags => statx_flags(line, word),
        Arg::MsyncFlags => flags(line, word, o::MSYNC, "0"),
        Arg::Personality => personality(line, word),
        _ => return false,
    }
    true
}

fn flag_words(arg: Arg) -> Option<(&'static n::Names, &'static str)> {
    Some(match arg {
        Arg::PipeFlags => (n::OPEN, "0"),
        Arg::AtFlags => (n::AT_FLAGS, "0"),
        Arg::AccessFlags => (o::ACCESS_FLAGS, "0"),
        Arg::AccessMode => (n::ACCESS, "F_OK"),
        Arg::Prot => (n::PROT, "PROT_NONE"),
        Arg::MapFlags => (n::MAP, "MAP_FILE"),
        Arg::MremapFlags => (n::MREMAP, "0"),
        Arg::MlockFlags => (o::MLOCK, "0"),
        Arg::MlockallFlags => (o::MLOCKALL, "0"),
        Arg::MountFlags => (o::MOUNT, "0"),
        Arg::UmountFlags => (o::UMOUNT, "0"),
        Arg::RenameFlags => (o::RENAME, "0"),
        Arg::MemfdFlags => (o::MEMFD, "0"),
        Arg::SpliceFlags => (o::SPLICE, "0"),
        Arg::RwfFlags => (o::RWF, "0"),
        Arg::FallocMode => (o::FALLOC, "0"),
        Arg::CloseRangeFlags => (o::CLOSE_RANGE, "0"),
        Arg::XattrFlags => (o::XATTR, "0"),
        Arg::RandomFlags => (o::RANDOM, "0"),
        Arg::SignalfdFlags => (o::SIGNALFD, "0"),
        Arg::UnshareFlags => (n::CLONE, "0"),
        Arg::WaitOptions => (n::WAIT, "0"),
        Arg::FlockOp => (n::FLOCK, "0"),
        Arg::EpollFlags => (o::EPOLL_FLAGS, "0"),
        Arg::EventfdFlags => (o::EVENTFD, "0"),
        Arg::InotifyFlags => (o::INOTIFY_FLAGS, "0"),
        Arg::InotifyMask => (o::INOTIFY, "0"),
        Arg::TimerFlags => (o::TIMER, "0"),
        Arg::TimerfdFlags => (o::TIMERFD, "0"),
        Arg::MsgFlags => (o::MSG, "0"),
        Arg::StatxMask => (o::STATX, "0"),
        _ => return None,
    })
}

fn enumerations(arg: Arg) -> Option<&'static n::Names> {
    Some(match arg {
        Arg::Whence => n::WHENCE,
        Arg::Advice => n::ADVICE,
        Arg::FileAdvice => o::FILE_ADVICE,
        Arg::SigHow => n::SIG_HOW,
        Arg::Clock => n::CLOCKS,
        Arg::Resource => n::RESOURCES,
        Arg::Fcntl => n::FCNTL,
        Arg::Ioctl => n::IOCTLS,
        Arg::Prctl => n::PRCTL,
        Arg::ArchPrctl => n::ARCH_PRCTL,
        Arg::EpollOp => n::EPOLL_OPS,
        Arg::IdType => o::ID_TYPES,
        Arg::ItimerWhich => o::ITIMERS,
        Arg::RusageWho => o::RUSAGE,
        Arg::PriorityWhich => o::PRIORITIES,
        Arg::SchedPolicy => o::POLICIES,
        Arg::Membarrier => o::MEMBARRIER,
        Arg::Domain => o::DOMAINS,
        Arg::SockLevel => o::LEVELS,
        Arg::Shutdown => o::SHUTDOWN,
        _ => return None,
    })
}

/// `makedev(0x1, 0x3)`, from the number as programs pass it (linux/kdev_t.h, `new_decode_dev`).
pub(super) fn device(line: &mut String, number: u64) {
    let major = (number >> 8) & 0xFFF;
    let minor = number & 0xFF | (number >> 12) & 0xF_FF00;
    let _ = write!(line, "makedev({major:#x}, {minor:#x})");
}

/// The type, and for calls that take them in the same word the flags.
fn socket_type(line: &mut String, arg: Arg, word: u64) {
    if arg == Arg::SocketTypeFlags {
        return flags(line, word, o::SOCKET_FLAGS, "0");
    }
    one_of(line, word & 0xF, o::SOCKET_TYPES);
    if word & !0xF != 0 {
        line.push('|');
        flags(line, word & !0xF, o::SOCKET_FLAGS, "");
    }
}

/// How fresh the answer must be is a value among the flags.
fn statx_flags(line: &mut String, word: u64) {
    line.push_str(match word & 0x6000 {
        0x2000 => "AT_STATX_FORCE_SYNC",
        0x4000 => "AT_STATX_DONT_SYNC",
        _ => "AT_STATX_SYNC_AS_STAT",
    });
    if word & !0x6000 != 0 {
        line.push('|');
        flags(line, word & !0x6000, n::AT_FLAGS, "");
    }
}

fn personality(line: &mut String, word: u64) {
    if word == 0xFFFF_FFFF {
        line.push_str("0xffffffff");
        return;
    }
    line.push_str("PER_LINUX");
    if word != 0 {
        line.push('|');
        flags(line, word, o::PERSONALITY, "");
    }
}
