//! The names of Linux's constants, as strace prints them.

use alloc::string::String;
use core::fmt::Write;

use crate::abi;
use crate::num::int_arg;

/// Values with their names. For flags, those of several bits stand first.
pub(super) type Names = [(u64, &'static str)];

macro_rules! names {
    ($($name:ident)*) => { &[$((abi::$name as u64, stringify!($name))),*] };
}

/// Names whose values `linux-raw-sys` lacks or has elsewhere.
macro_rules! values {
    ($($name:ident = $value:expr,)*) => { &[$(($value, stringify!($name))),*] };
}

/// Shows a flag word: names joined by `|`, what is left in hexadecimal, `zero` when empty.
pub fn flags(line: &mut String, value: u64, table: &Names, zero: &str) {
    if value == 0 {
        line.push_str(zero);
        return;
    }
    let mut left = value;
    let mut separator = "";
    for (bits, name) in table {
        if *bits != 0 && left & bits == *bits {
            let _ = write!(line, "{separator}{name}");
            separator = "|";
            left &= !bits;
        }
    }
    if left == 0 {
        return;
    }
    let _ = write!(line, "{separator}{left:#x}");
    if left == value {
        unknown(line, table);
    }
}

/// The comment on a value that has no name among these: `/* AT_??? */`.
fn unknown(line: &mut String, table: &Names) {
    let prefix = table.first().and_then(|(_, name)| name.split('_').next());
    if let Some(prefix) = prefix {
        let _ = write!(line, " /* {prefix}_??? */");
    }
}

/// Shows a value that is one of `table`.
pub(super) fn one_of(line: &mut String, value: u64, table: &Names) {
    match table.iter().find(|(known, _)| *known == value) {
        Some((_, name)) => line.push_str(name),
        None => {
            let _ = write!(line, "{value:#x}");
            unknown(line, table);
        }
    }
}

pub(super) fn open_flags(line: &mut String, value: u64) {
    line.push_str(match value & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "O_ACCMODE",
    });
    if value & !3 != 0 {
        line.push('|');
        flags(line, value & !3, OPEN, "");
    }
}

pub(super) fn clone_flags(line: &mut String, value: u64) {
    let signal_number = value & 0xFF;
    flags(line, value & !0xFF, CLONE, "0");
    if signal_number != 0 {
        line.push('|');
        signal(line, int_arg(signal_number));
    }
}

pub(super) fn futex_op(line: &mut String, value: u64) {
    const PRIVATE: u64 = 128;
    const CLOCK_REALTIME: u64 = 256;
    one_of(line, value & !(PRIVATE | CLOCK_REALTIME), FUTEX);
    if value & PRIVATE != 0 {
        line.push_str("_PRIVATE");
    }
    if value & CLOCK_REALTIME != 0 {
        line.push_str("|FUTEX_CLOCK_REALTIME");
    }
}

pub(super) fn fcntl_takes_argument(command: u64) -> bool {
    // F_GETFD, F_GETFL, F_GETOWN, F_GETSIG, F_GETLEASE, F_GETPIPE_SZ, F_GET_SEALS.
    !matches!(command, 1 | 3 | 9 | 11 | 1025 | 1032 | 1034)
}

pub(super) fn fcntl_result(line: &mut String, command: u64, value: u64) -> core::fmt::Result {
    match command {
        // F_GET_SEALS.
        1034 if value != 0 => {
            write!(line, "{value:#x} (seals ")?;
            flags(line, value, SEALS, "0");
            write!(line, ")")
        }
        1 if value == 1 => write!(line, "0x1 (flags FD_CLOEXEC)"),
        3 => {
            write!(line, "{value:#x} (flags ")?;
            open_flags(line, value);
            write!(line, ")")
        }
        _ => write!(line, "{}", value.cast_signed()),
    }
}

/// A signal's name with its prefix; real-time ones as strace has them.
pub(super) fn signal(line: &mut String, number: i32) {
    let _ = match (signal_name(number), number) {
        (Some(name), _) => write!(line, "SIG{name}"),
        (None, 32) => write!(line, "SIGRTMIN"),
        (None, 33..=64) => write!(line, "SIGRT_{}", number - 32),
        (None, _) => write!(line, "{number}"),
    };
}

/// A standard signal's name without its prefix: `"CHLD"`.
#[must_use]
pub fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS
        .get(usize::try_from(number).ok()?.checked_sub(1)?)
        .copied()
}

/// asm/signal.h, from 1.
const SIGNALS: &[&str] = &[
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// A signal set: `[INT CHLD]`, or what is missing when more than half are in it.
pub(super) fn signal_set(line: &mut String, set: u64) {
    let inverted = set.count_ones() >= 32;
    let shown = if inverted { !set } else { set };
    line.push_str(if inverted { "~[" } else { "[" });
    let mut separator = "";
    for number in (1..=64).filter(|number| shown & (1 << (number - 1)) != 0) {
        line.push_str(separator);
        separator = " ";
        let _ = match signal_name(number) {
            Some(name) => write!(line, "{name}"),
            None if number == 32 => write!(line, "RTMIN"),
            None => write!(line, "RT_{}", number - 32),
        };
    }
    line.push(']');
}

/// `S_IFREG|0644`.
pub(super) fn file_mode(line: &mut String, mode: u32) {
    line.push_str(match mode & 0o170_000 {
        0o140_000 => "S_IFSOCK|",
        0o120_000 => "S_IFLNK|",
        0o100_000 => "S_IFREG|",
        0o060_000 => "S_IFBLK|",
        0o040_000 => "S_IFDIR|",
        0o020_000 => "S_IFCHR|",
        0o010_000 => "S_IFIFO|",
        _ => "",
    });
    for (bit, name) in [
        (0o4000, "S_ISUID|"),
        (0o2000, "S_ISGID|"),
        (0o1000, "S_ISVTX|"),
    ] {
        if mode & bit != 0 {
            line.push_str(name);
        }
    }
    let _ = octal(line, mode & 0o777);
}

/// Octal as C's `%#03o`: `0644`, `022`, `000`.
pub(super) fn octal(line: &mut String, value: u32) -> core::fmt::Result {
    match value {
        0..0o100 => write!(line, "{value:03o}"),
        _ => write!(line, "0{value:o}"),
    }
}

pub(super) const OPEN: &Names = names! {
    O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC FASYNC O_DIRECT O_LARGEFILE
    O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH O_TMPFILE O_DIRECTORY
};
pub(super) const AT_FLAGS: &Names = names! {
    AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE
};
pub(super) const ACCESS: &Names = values! { R_OK = 4, W_OK = 2, X_OK = 1, };
pub(super) const WHENCE: &Names =
    values! { SEEK_SET = 0, SEEK_CUR = 1, SEEK_END = 2, SEEK_DATA = 3, SEEK_HOLE = 4, };
pub(super) const PROT: &Names =
    names! { PROT_READ PROT_WRITE PROT_EXEC PROT_GROWSDOWN PROT_GROWSUP };
pub(super) const MAP: &Names = names! {
    MAP_SHARED_VALIDATE MAP_SHARED MAP_PRIVATE MAP_FIXED MAP_ANONYMOUS MAP_GROWSDOWN MAP_DENYWRITE
    MAP_EXECUTABLE MAP_LOCKED MAP_NORESERVE MAP_POPULATE MAP_NONBLOCK MAP_STACK MAP_HUGETLB
    MAP_SYNC MAP_FIXED_NOREPLACE
};
pub(super) const MREMAP: &Names = names! { MREMAP_MAYMOVE MREMAP_FIXED MREMAP_DONTUNMAP };
pub(super) const ADVICE: &Names = names! {
    MADV_NORMAL MADV_RANDOM MADV_SEQUENTIAL MADV_WILLNEED MADV_DONTNEED MADV_FREE MADV_REMOVE
    MADV_DONTFORK MADV_DOFORK MADV_MERGEABLE MADV_UNMERGEABLE MADV_HUGEPAGE MADV_NOHUGEPAGE
    MADV_DONTDUMP MADV_DODUMP MADV_WIPEONFORK MADV_KEEPONFORK MADV_COLD MADV_PAGEOUT
    MADV_POPULATE_READ MADV_POPULATE_WRITE MADV_DONTNEED_LOCKED MADV_COLLAPSE
};
pub(super) const SIG_HOW: &Names = values! { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2, };
pub(super) const SA_FLAGS: &Names = values! {
    SA_RESTORER = 0x0400_0000,
    SA_ONSTACK = 0x0800_0000,
    SA_RESTART = 0x1000_0000,
    SA_INTERRUPT = 0x2000_0000,
    SA_NODEFER = 0x4000_0000,
    SA_RESETHAND = 0x8000_0000,
    SA_SIGINFO = 4,
    SA_NOCLDSTOP = 1,
    SA_NOCLDWAIT = 2,
};
pub(super) const CLONE: &Names = names! {
    CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_PIDFD CLONE_PTRACE CLONE_VFORK CLONE_PARENT
    CLONE_THREAD CLONE_NEWNS CLONE_SYSVSEM CLONE_SETTLS CLONE_PARENT_SETTID CLONE_CHILD_CLEARTID
    CLONE_DETACHED CLONE_UNTRACED CLONE_CHILD_SETTID CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC
    CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET CLONE_IO
};
pub(super) const WAIT: &Names = values! {
    WNOHANG = 1, WSTOPPED = 2, WEXITED = 4, WCONTINUED = 8, WNOWAIT = 0x0100_0000,
    __WNOTHREAD = 0x2000_0000, __WALL = 0x4000_0000, __WCLONE = 0x8000_0000,
};
pub(super) const FLOCK: &Names = values! { LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8, };
pub(super) const CLOCKS: &Names = names! {
    CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID
    CLOCK_MONOTONIC_RAW CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME
    CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM CLOCK_TAI
};
pub(super) const RESOURCES: &Names = names! {
    RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC
    RLIMIT_NOFILE RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE
    RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME
};
pub(super) const FCNTL: &Names = values! {
    F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4, F_GETLK = 5, F_SETLK = 6,
    F_SETLKW = 7, F_SETOWN = 8, F_GETOWN = 9, F_SETSIG = 10, F_GETSIG = 11, F_OFD_GETLK = 36,
    F_OFD_SETLK = 37, F_OFD_SETLKW = 38, F_SETLEASE = 1024, F_GETLEASE = 1025,
    F_DUPFD_CLOEXEC = 1030, F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032, F_ADD_SEALS = 1033,
    F_GET_SEALS = 1034,
};
pub(super) const IOCTLS: &Names = values! {
    TCGETS = 0x5401, TCSETS = 0x5402, TCSETSW = 0x5403, TCSETSF = 0x5404, TCFLSH = 0x540B,
    TIOCSCTTY = 0x540E, TIOCGPGRP = 0x540F, TIOCSPGRP = 0x5410, TIOCGWINSZ = 0x5413,
    TIOCSWINSZ = 0x5414, FIONREAD = 0x541B, FIONBIO = 0x5421, TIOCNOTTY = 0x5422,
    TIOCGSID = 0x5429, FIOCLEX = 0x5451, FIONCLEX = 0x5450, BLKGETSIZE64 = 0x8008_1272,
    BLKSSZGET = 0x1268, BLKFLSBUF = 0x1261,
};
pub(super) const PRCTL: &Names = values! {
    PR_SET_PDEATHSIG = 1, PR_GET_PDEATHSIG = 2, PR_GET_DUMPABLE = 3, PR_SET_DUMPABLE = 4,
    PR_GET_KEEPCAPS = 7, PR_SET_KEEPCAPS = 8, PR_SET_NAME = 15, PR_GET_NAME = 16,
    PR_GET_SECCOMP = 21, PR_SET_SECCOMP = 22, PR_CAPBSET_READ = 23, PR_CAPBSET_DROP = 24,
    PR_GET_SECUREBITS = 27, PR_SET_SECUREBITS = 28, PR_SET_TIMERSLACK = 29,
    PR_GET_TIMERSLACK = 30, PR_SET_CHILD_SUBREAPER = 36, PR_GET_CHILD_SUBREAPER = 37,
    PR_SET_NO_NEW_PRIVS = 38, PR_GET_NO_NEW_PRIVS = 39, PR_SET_THP_DISABLE = 41,
    PR_SET_VMA = 0x5356_4D41,
};
pub(super) const ARCH_PRCTL: &Names = values! {
    ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004,
    ARCH_CET_STATUS = 0x3001,
};
pub(super) const EPOLL_OPS: &Names =
    values! { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3, };
pub(super) const POLL: &Names = values! {
    POLLIN = 1, POLLPRI = 2, POLLOUT = 4, POLLERR = 8, POLLHUP = 0x10, POLLNVAL = 0x20,
    POLLRDNORM = 0x40, POLLRDBAND = 0x80, POLLWRNORM = 0x100, POLLWRBAND = 0x200, POLLMSG = 0x400,
    POLLREMOVE = 0x1000, POLLRDHUP = 0x2000, POLL_BUSY_LOOP = 0x8000,
};
/// linux/fcntl.h.
pub(super) const SEALS: &Names = values! {
    F_SEAL_SEAL = 1, F_SEAL_SHRINK = 2, F_SEAL_GROW = 4, F_SEAL_WRITE = 8, F_SEAL_FUTURE_WRITE = 16,
};
/// asm-generic/fcntl.h.
pub(super) const LOCK_TYPES: &Names = values! { F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2, };
/// asm-generic/termbits.h.
pub(super) const SPEEDS: &Names = values! {
    B0 = 0, B1200 = 9, B2400 = 11, B4800 = 12, B9600 = 13, B19200 = 14, B38400 = 15,
    B57600 = 0x1001, B115200 = 0x1002, B230400 = 0x1003,
};
/// linux/signal.h.
pub(super) const STACK_FLAGS: &Names =
    values! { SS_ONSTACK = 1, SS_DISABLE = 2, SS_AUTODISARM = 1 << 31, };
/// asm-generic/siginfo.h; codes are negative when a program sent the signal.
pub(super) const CHILD_CODES: &Names = values! {
    CLD_EXITED = 1, CLD_KILLED = 2, CLD_DUMPED = 3, CLD_TRAPPED = 4, CLD_STOPPED = 5,
    CLD_CONTINUED = 6,
};
pub(super) const SIGNAL_CODES: &Names = values! {
    SI_USER = 0, SI_KERNEL = 0x80, SI_QUEUE = 0xFFFF_FFFF, SI_TIMER = 0xFFFF_FFFE,
    SI_MESGQ = 0xFFFF_FFFD, SI_ASYNCIO = 0xFFFF_FFFC, SI_SIGIO = 0xFFFF_FFFB,
    SI_TKILL = 0xFFFF_FFFA,
};
/// linux/sched/coredump.h of the kernel.
pub(super) const DUMPABLE: &Names =
    values! { SUID_DUMP_DISABLE = 0, SUID_DUMP_USER = 1, SUID_DUMP_ROOT = 2, };
const FUTEX: &Names = values! {
    FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_FD = 2, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE = 4,
    FUTEX_WAKE_OP = 5, FUTEX_LOCK_PI = 6, FUTEX_UNLOCK_PI = 7, FUTEX_TRYLOCK_PI = 8,
    FUTEX_WAIT_BITSET = 9, FUTEX_WAKE_BITSET = 10, FUTEX_WAIT_REQUEUE_PI = 11,
    FUTEX_CMP_REQUEUE_PI = 12,
};
