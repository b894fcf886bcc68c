//! The machine as programs see it.

use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::time::NS_PER_SEC;

use super::{Call, SysResult};
use crate::arch::segments::Segments;
use crate::arch::time::now_ns;
use crate::drivers::random;
use crate::mm::frame;
use crate::process::{host, table};

pub(super) fn uname(call: &mut Call<'_>, at: UserAddr) -> SysResult {
    let personality = call.task.personality().load(Ordering::Relaxed);
    call.space.copy_out(at, &host::encode(personality))?;
    Ok(0)
}

/// A name that a privileged program sets.
fn read_name(call: &Call<'_>, at: UserAddr, len: i32) -> Result<([u8; 64], usize), Errno> {
    if !call.creds.has(abi::CAP_SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len <= host::NAME_MAX);
    let len = len.ok_or(Errno::EINVAL)?;
    let mut name = [0; host::NAME_MAX];
    call.space
        .copy_in(name.get_mut(..len).unwrap_or_default(), at)?;
    Ok((name, len))
}

pub(super) fn sethostname(call: &mut Call<'_>, at: UserAddr, len: i32) -> SysResult {
    let (name, len) = read_name(call, at, len)?;
    host::set_host_name(name.get(..len).unwrap_or_default())?;
    Ok(0)
}

pub(super) fn setdomainname(call: &mut Call<'_>, at: UserAddr, len: i32) -> SysResult {
    let (name, len) = read_name(call, at, len)?;
    host::set_domain_name(name.get(..len).unwrap_or_default())?;
    Ok(0)
}

pub(super) fn sysinfo(call: &mut Call<'_>, at: UserAddr) -> SysResult {
    let memory = frame::stats();
    let (threads, _) = table::counts();
    let bytes = |frames: usize| u64_of(frames) * 4096;
    let now = now_ns();
    let [one, five, fifteen] = crate::sched::load(now).averages();
    // uptime, loads, total, free, shared, buffers, swap total and free, threads, high total and
    // free, unit
    let words = [
        now / NS_PER_SEC,
        one,
        five,
        fifteen,
        bytes(memory.total),
        bytes(memory.free),
        0,
        0,
        0,
        0,
        u64_of(threads),
        0,
        0,
        1,
    ];
    call.space.write_val(at, &words)?;
    Ok(0)
}

/// Random bytes are made in pieces of this many.
const RANDOM_PIECE: usize = 256;
/// `GRND_NONBLOCK`, `GRND_RANDOM`, `GRND_INSECURE` (linux/random.h).
const GRND: [u32; 3] = [1, 2, 4];

pub(super) fn getrandom(call: &mut Call<'_>, at: UserAddr, len: usize, flags: u32) -> SysResult {
    let [nonblock, random, insecure] = GRND;
    if flags & !(nonblock | random | insecure) != 0
        || flags & (random | insecure) == random | insecure
    {
        return Err(Errno::EINVAL);
    }
    let space = call.space;
    let len = len.min(i32::MAX.unsigned_abs() as usize);
    let mut done = 0;
    let mut piece = [0; RANDOM_PIECE];
    while done < len {
        let part = piece
            .get_mut(..(len - done).min(RANDOM_PIECE))
            .unwrap_or_default();
        random::fill(part);
        let to = at.checked_add(u64_of(done)).ok_or(Errno::EFAULT)?;
        let copied = space.copy_out_some(to, part);
        done += copied;
        if copied < part.len() {
            break;
        }
        crate::sched::resched();
        if call.task.has_work() && done >= 4096 {
            break;
        }
    }
    if done == 0 && len > 0 {
        Err(Errno::EFAULT)
    } else {
        Ok(u64_of(done))
    }
}

/// `ARCH_SET_GS` and its kin (asm/prctl.h).
const ARCH: [u32; 4] = [0x1001, 0x1002, 0x1003, 0x1004];

pub(super) fn arch_prctl(call: &mut Call<'_>, code: u32, addr: u64) -> SysResult {
    let [set_gs, set_fs, get_fs, get_gs] = ARCH;
    let at = UserAddr::new(addr);
    if code == set_gs || code == set_fs {
        if addr >= TASK_SIZE {
            return Err(Errno::EPERM);
        }
        let mut segments = Segments::get();
        if code == set_fs {
            segments.fs = addr;
            segments.selectors.fs = 0;
        } else {
            segments.gs = addr;
            segments.selectors.gs = 0;
        }
        segments.set();
    } else if code == get_fs {
        call.space.write_val(at, &Segments::get().fs)?;
    } else if code == get_gs {
        call.space.write_val(at, &Segments::get().gs)?;
    } else {
        return match code {
            // CPUID is for everybody, and can't be made to fault.
            ARCH_GET_CPUID => Ok(1),
            ARCH_SET_CPUID => Err(Errno::ENODEV),
            _ => Err(Errno::EINVAL),
        };
    }
    Ok(0)
}

/// The same (asm/prctl.h).
const ARCH_GET_CPUID: u32 = 0x1011;
const ARCH_SET_CPUID: u32 = 0x1012;

/// syslog(2): there is no log that a program could read. Its arguments are checked as if there were.
pub(super) fn syslog(call: &mut Call<'_>, action: u32, buffer: UserAddr, len: i32) -> SysResult {
    /// Room for the log: what Linux has by default (`CONFIG_LOG_BUF_SHIFT`).
    const SIZE: u64 = 1 << 17;
    // As where `dmesg_restrict` is set, which is usual.
    if !call.creds.has(abi::CAP_SYSLOG) {
        return Err(Errno::EPERM);
    }
    let bad = match action {
        2..=4 => buffer.is_null() || len < 0,
        8 => !(1..=8).contains(&len),
        _ => action > 10,
    };
    match action {
        _ if bad => Err(Errno::EINVAL),
        2..=4 if len > 0 && !buffer.range_is_user(usize_of(u64::from(len.unsigned_abs()))) => {
            Err(Errno::EFAULT)
        }
        10 => Ok(SIZE),
        _ => Ok(0),
    }
}

/// Only the kernel reaches the machine's ports: that is how the job's status can't be forged.
pub(super) fn iopl(_: &mut Call<'_>, level: u32) -> SysResult {
    match level {
        // The level that every program has.
        0 => Ok(0),
        1..=3 => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// As [`iopl`].
pub(super) fn ioperm(_: &mut Call<'_>, from: u64, count: u64, on: i32) -> SysResult {
    /// `IO_BITMAP_BITS` (asm/processor.h).
    const PORTS: u64 = 65536;
    match from.checked_add(count) {
        None => Err(Errno::EINVAL),
        Some(end) if end <= from || end > PORTS => Err(Errno::EINVAL),
        Some(_) if on == 0 => Ok(0),
        Some(_) => Err(Errno::EPERM),
    }
}

/// `LINUX_REBOOT_*` (linux/reboot.h).
const REBOOT_MAGIC: u32 = 0xFEE1_DEAD;
const REBOOT_MAGICS: [u32; 4] = [0x2812_1969, 0x0512_1996, 0x1604_1998, 0x2011_2000];
const REBOOT_CAD_OFF: u32 = 0;
const REBOOT_CAD_ON: u32 = 0x89AB_CDEF;
/// Restart, halt, power off, restart with a message, kexec, suspend.
const REBOOT_ENDS: [u32; 6] = [
    0x0123_4567,
    0xCDEF_0123,
    0x4321_FEDC,
    0xA1B2_C3D4,
    0x4558_4543,
    0xD000_FCE2,
];

/// The machine ends with the job, not before. There are no keys to be pressed at once.
pub(super) fn reboot(
    call: &mut Call<'_>,
    magic: u32,
    magic2: u32,
    command: u32,
    _arg: UserAddr,
) -> SysResult {
    if !call.creds.has(abi::CAP_SYS_BOOT) {
        return Err(Errno::EPERM);
    }
    if magic != REBOOT_MAGIC || !REBOOT_MAGICS.contains(&magic2) {
        return Err(Errno::EINVAL);
    }
    match command {
        REBOOT_CAD_OFF | REBOOT_CAD_ON => Ok(0),
        _ if REBOOT_ENDS.contains(&command) => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}
