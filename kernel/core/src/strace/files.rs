//! What pointers point to: what files, file systems, the machine and processes are like.

use alloc::string::String;
use core::fmt::Write;

use super::names::{self, flags, one_of};
use super::need::COUNT;
use super::structs::{halves, words};
use super::{Arg, Memory, View, constants, options as o, text};
use crate::num::low32;

/// Shows `value` as `arg`'s structure. False: show the bare pointer.
pub(super) fn show(line: &mut String, arg: Arg, value: u64, view: &View<'_>) -> bool {
    if value == 0 {
        return false;
    }
    let (before, after) = (view.before, view.after);
    let done = view.done().is_some();
    match arg {
        Arg::Stat => done && stat(line, value, after),
        Arg::Statx => done && statx(line, value, after),
        Arg::Statfs => done && statfs(line, value, after),
        Arg::Utsname => done && utsname(line, value, after),
        Arg::Sysinfo => done && sysinfo(line, value, after),
        Arg::Rusage => done && rusage(line, value, after),
        Arg::Tms => done && tms(line, value, after),
        Arg::Dirents => done && dirents(line, value, after),
        Arg::OpenHow => open_how(line, value, before),
        Arg::Timespecs => file_times(line, value, before),
        Arg::Utimbuf => utimbuf(line, value, before),
        Arg::CloneArgs => clone_args(line, value, before),
        Arg::SigEvent => sigevent(line, value, before),
        _ => false,
    }
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
    if matches!(mode & 0o170_000, 0o020_000 | 0o060_000) {
        line.push_str(", st_rdev=");
        constants::device(line, rdev);
    } else {
        let _ = write!(line, ", st_size={size}");
    }
    line.push_str(", ...}");
    true
}

/// `struct statx` (linux/stat.h).
fn statx(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let (Some([mask, _]), Some([attributes, _, gid_mode, _, size])) = (
        halves(address, memory),
        words(address.wrapping_add(8), memory),
    ) else {
        return false;
    };
    line.push_str("{stx_mask=");
    flags(line, u64::from(mask), o::STATX, "0");
    let _ = match attributes {
        0 => write!(line, ", stx_attributes=0"),
        _ => write!(line, ", stx_attributes={attributes:#x}"),
    };
    line.push_str(", stx_mode=");
    names::file_mode(line, low32(gid_mode >> 32) & 0xFFFF);
    let _ = write!(line, ", stx_size={size}, ...}}");
    true
}

/// `struct statfs` (asm-generic/statfs.h).
fn statfs(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some(
        [
            kind,
            block,
            blocks,
            free,
            available,
            files,
            free_files,
            id,
            name,
            fragment,
            how,
        ],
    ) = words(address, memory)
    else {
        return false;
    };
    line.push_str("{f_type=");
    one_of(line, kind, o::FILE_SYSTEMS);
    let _ = write!(
        line,
        ", f_bsize={block}, f_blocks={blocks}, f_bfree={free}, f_bavail={available}, \
         f_files={files}, f_ffree={free_files}, f_fsid={{val=["
    );
    for (half, end) in [(low32(id), ", "), (low32(id >> 32), "]}")] {
        let _ = match half {
            0 => write!(line, "0{end}"),
            _ => write!(line, "{half:#x}{end}"),
        };
    }
    let _ = write!(line, ", f_namelen={name}, f_frsize={fragment}, f_flags=");
    flags(line, how, o::STATFS_FLAGS, "0");
    line.push('}');
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

/// `struct sysinfo` (linux/sysinfo.h).
fn sysinfo(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some(
        [
            uptime,
            one,
            five,
            fifteen,
            total,
            free,
            shared,
            buffers,
            swap,
            no_swap,
        ],
    ) = words(address, memory)
    else {
        return false;
    };
    let Some([count, high, no_high, unit]) = words(address.wrapping_add(80), memory) else {
        return false;
    };
    let _ = write!(
        line,
        "{{uptime={uptime}, loads=[{one}, {five}, {fifteen}], totalram={total}, freeram={free}, \
         sharedram={shared}, bufferram={buffers}, totalswap={swap}, freeswap={no_swap}, \
         procs={}, totalhigh={high}, freehigh={no_high}, mem_unit={}}}",
        count & 0xFFFF,
        low32(unit)
    );
    true
}

/// `struct rusage` (linux/resource.h).
fn rusage(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([user, user_us, system, system_us]) = words(address, memory) else {
        return false;
    };
    let _ = write!(
        line,
        "{{ru_utime={{tv_sec={user}, tv_usec={user_us}}}, \
         ru_stime={{tv_sec={system}, tv_usec={system_us}}}, ...}}"
    );
    true
}

fn tms(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([user, system, children, children_system]) = words(address, memory) else {
        return false;
    };
    let _ = write!(
        line,
        "{{tms_utime={user}, tms_stime={system}, tms_cutime={children}, \
         tms_cstime={children_system}}}"
    );
    true
}

fn dirents(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([count]) = words(address | COUNT, memory) else {
        return false;
    };
    let _ = write!(line, "{address:#x} /* {count} entries */");
    true
}

/// `struct open_how` (linux/openat2.h).
fn open_how(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([how, mode, resolve]) = words(address, memory) else {
        return false;
    };
    line.push_str("{flags=");
    names::open_flags(line, how);
    // With O_CREAT or O_TMPFILE only.
    if how & 0o20_000_100 != 0 {
        line.push_str(", mode=");
        let _ = names::octal(line, low32(mode));
    }
    line.push_str(", resolve=");
    flags(line, resolve, RESOLVE, "0");
    line.push('}');
    true
}

/// linux/openat2.h.
const RESOLVE: &names::Names = &[
    (1, "RESOLVE_NO_XDEV"),
    (2, "RESOLVE_NO_MAGICLINKS"),
    (4, "RESOLVE_NO_SYMLINKS"),
    (8, "RESOLVE_BENEATH"),
    (16, "RESOLVE_IN_ROOT"),
    (32, "RESOLVE_CACHED"),
];

/// Two times, or `UTIME_NOW` or `UTIME_OMIT` in their place (linux/stat.h).
fn file_times(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([access, access_ns, change, change_ns]) = words(address, memory) else {
        return false;
    };
    for (seconds, nanos, ends) in [
        (access, access_ns, ["[", ", "]),
        (change, change_ns, ["", "]"]),
    ] {
        let [open, close] = ends;
        line.push_str(open);
        let _ = match nanos {
            0x3FFF_FFFF => write!(line, "UTIME_NOW"),
            0x3FFF_FFFE => write!(line, "UTIME_OMIT"),
            _ => {
                let (seconds, nanos) = (seconds.cast_signed(), nanos.cast_signed());
                let _ = write!(line, "{{tv_sec={seconds}, tv_nsec={nanos}}}");
                date(line, seconds, nanos);
                Ok(())
            }
        };
        line.push_str(close);
    }
    true
}

fn utimbuf(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([access, change]) = words(address, memory) else {
        return false;
    };
    for (name, seconds) in [("{actime", access), (", modtime", change)] {
        let _ = write!(line, "{name}={}", seconds.cast_signed());
        date(line, seconds.cast_signed(), 0);
    }
    line.push('}');
    true
}

/// The comment with a time as ISO 8601 has it, in UTC: `/* 2026-11-29T08:15:00+0000 */`. There is
/// none on the epoch itself and on what isn't a time.
fn date(line: &mut String, seconds: i64, nanos: i64) {
    const DAY: i64 = 86_400;
    /// Years of seven digits begin here; nothing is that late.
    const LAST: i64 = 1 << 44;
    let good = (0..1_000_000_000).contains(&nanos) && (-LAST..LAST).contains(&seconds);
    if (seconds, nanos) == (0, 0) || !good {
        return;
    }
    // Days from the epoch to a date, the other way round: an era is 400 years, which begin in March.
    let days = seconds.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let rest = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let _ = write!(
        line,
        " /* {year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    if nanos != 0 {
        let _ = write!(line, ".{nanos:09}");
    }
    line.push_str("+0000 */");
}

/// `struct clone_args` (linux/sched.h).
fn clone_args(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([how, pidfd, child, parent, signal, stack, size, tls]) = words(address, memory) else {
        return false;
    };
    line.push_str("{flags=");
    flags(line, how, names::CLONE, "0");
    for (bits, name, value) in [
        (0x1000, "pidfd", pidfd),
        (0x0100_0000 | 0x0020_0000, "child_tid", child),
        (0x0010_0000, "parent_tid", parent),
    ] {
        if how & bits != 0 {
            let _ = write!(line, ", {name}={value:#x}");
        }
    }
    line.push_str(", exit_signal=");
    names::signal(line, low32(signal).cast_signed());
    line.push_str(", stack=");
    super::pointer(line, stack);
    let _ = match size {
        0 => write!(line, ", stack_size=0"),
        _ => write!(line, ", stack_size={size:#x}"),
    };
    if how & 0x0008_0000 != 0 {
        let _ = write!(line, ", tls={tls:#x}");
    }
    line.push('}');
    true
}

/// `struct sigevent` (asm-generic/siginfo.h).
fn sigevent(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let (Some([data]), Some([signal, how])) = (
        words(address, memory),
        halves(address.wrapping_add(8), memory),
    ) else {
        return false;
    };
    line.push('{');
    if data != 0 {
        let number = low32(data).cast_signed();
        let _ = write!(
            line,
            "sigev_value={{sival_int={number}, sival_ptr={data:#x}}}, "
        );
    }
    line.push_str("sigev_signo=");
    names::signal(line, signal.cast_signed());
    line.push_str(", sigev_notify=");
    let table: &names::Names = &[
        (0, "SIGEV_SIGNAL"),
        (1, "SIGEV_NONE"),
        (2, "SIGEV_THREAD"),
        (4, "SIGEV_THREAD_ID"),
    ];
    one_of(line, u64::from(how), table);
    line.push('}');
    true
}
