//! The machine as programs see it.

use kiln_core::abi;
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;
use kiln_core::time::NS_PER_SEC;

use super::{Call, SysResult};
use crate::arch::time::now_ns;
use crate::arch::user::Bases;
use crate::drivers::random;
use crate::mm::frame;
use crate::process::{host, table};

pub(super) fn uname(call: &mut Call<'_>, at: UserAddr) -> SysResult {
    call.task.space()?.copy_out(at, &host::encode())?;
    Ok(0)
}

/// A name that a privileged program sets.
fn read_name(call: &Call<'_>, at: UserAddr, len: i32) -> Result<([u8; 64], usize), Errno> {
    if !call.task.creds().has(abi::CAP_SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len <= host::NAME_MAX);
    let len = len.ok_or(Errno::EINVAL)?;
    let mut name = [0; host::NAME_MAX];
    call.task
        .space()?
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
    call.task.space()?.write_val(at, &words)?;
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
    let space = call.task.space()?;
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
        let mut bases = Bases::get();
        if code == set_fs {
            bases.fs = addr;
        } else {
            bases.gs = addr;
        }
        bases.set();
    } else if code == get_fs {
        call.task.space()?.write_val(at, &Bases::get().fs)?;
    } else if code == get_gs {
        call.task.space()?.write_val(at, &Bases::get().gs)?;
    } else {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

/// syslog(2): there is no log that a program could read; its size is 0.
pub(super) fn syslog(call: &mut Call<'_>, action: u32, _: UserAddr, _: i32) -> SysResult {
    // As where `dmesg_restrict` is set, which is usual.
    if !call.task.creds().has(abi::CAP_SYSLOG) {
        return Err(Errno::EPERM);
    }
    if action > 10 {
        Err(Errno::EINVAL)
    } else {
        Ok(0)
    }
}

/// Only the kernel reaches the machine's ports: that is how the job's status can't be forged.
pub(super) fn iopl(_: &mut Call<'_>, level: u32) -> SysResult {
    if level > 3 {
        Err(Errno::EINVAL)
    } else {
        Err(Errno::EPERM)
    }
}

/// As [`iopl`].
pub(super) fn ioperm(_: &mut Call<'_>, _from: u64, _count: u64, _on: i32) -> SysResult {
    Err(Errno::EPERM)
}

/// The machine ends with the job, not before.
pub(super) fn reboot(
    _: &mut Call<'_>,
    _magic: u32,
    _magic2: u32,
    _command: u32,
    _arg: UserAddr,
) -> SysResult {
    Err(Errno::EPERM)
}
