//! Calls that hardly any program makes, answered as a Linux answers that has the device, the swap
//! space or the namespace in question not.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::ldt;
use kiln_core::num::{low32, u64_of, usize_of32};
use kiln_core::timex::{Discipline, TIMEX_SIZE};

use super::fs::named;
use super::limits::targets;
use super::{Call, SysResult};
use crate::arch::time::now_ns;
use crate::fs::procfs::namespace_kind;
use crate::fs::{clock, superblock};
use crate::sync::SpinLock;
use crate::vm::AddressSpace;

fn check(call: &Call<'_>, capability: u32) -> Result<(), Errno> {
    let has = call.creds.has(capability);
    has.then_some(()).ok_or(Errno::EPERM)
}

pub(super) fn vhangup(call: &mut Call<'_>) -> SysResult {
    check(call, abi::CAP_SYS_TTY_CONFIG)?;
    crate::process::terminal::hang_up_own();
    Ok(0)
}

/// There is no swapping: whoever may ask for it, and does so correctly, learns that.
pub(super) fn swapon(call: &mut Call<'_>, path: UserAddr, flags: u32) -> SysResult {
    /// `SWAP_FLAGS_VALID` (linux/swap.h).
    const VALID: u32 = 0x7_ffff;
    if flags & !VALID != 0 {
        return Err(Errno::EINVAL);
    }
    check(call, abi::CAP_SYS_ADMIN)?;
    named(call, path)?;
    Err(Errno::ENOSYS)
}

/// Nothing is swapped to.
pub(super) fn swapoff(call: &mut Call<'_>, path: UserAddr) -> SysResult {
    check(call, abi::CAP_SYS_ADMIN)?;
    named(call, path)?;
    Err(Errno::EINVAL)
}

/// There is one namespace of each kind: to enter it is to stay.
pub(super) fn setns(call: &mut Call<'_>, fd: i32, kind: u32) -> SysResult {
    let file = call.files.get(fd)?;
    let of_file = namespace_kind(&file.inode).filter(|own| kind == 0 || kind == *own);
    match of_file.ok_or(Errno::EINVAL)? {
        // One's own user namespace can't be entered again.
        abi::CLONE_NEWUSER => Err(Errno::EINVAL),
        _ => check(call, abi::CAP_SYS_ADMIN).map(|()| 0),
    }
}

/// sysfs(2): the kinds of file systems by number.
pub(super) fn sysfs(call: &mut Call<'_>, option: i32, first: u64, second: UserAddr) -> SysResult {
    let space = call.space;
    match option {
        1 => {
            let name = space.copy_path(UserAddr::new(first))?;
            let found = superblock::types().position(|kind| kind.name.as_bytes() == name);
            found.map(u64_of).ok_or(Errno::EINVAL)
        }
        2 => {
            let kind = superblock::types().nth(usize_of32(low32(first)));
            let name = kind.ok_or(Errno::EINVAL)?.name;
            space.copy_out(second, name.as_bytes())?;
            let end = second
                .checked_add(u64_of(name.len()))
                .ok_or(Errno::EFAULT)?;
            space.copy_out(end, &[0])?;
            Ok(0)
        }
        3 => Ok(u64_of(superblock::types().count())),
        _ => Err(Errno::EINVAL),
    }
}

/// `struct ustat` in 64-bit words: free blocks, free inodes, two names of six bytes.
const USTAT_WORDS: usize = 4;

pub(super) fn ustat(call: &mut Call<'_>, device: u32, to: UserAddr) -> SysResult {
    let mounts = call.fs.namespace().mounts()?;
    let wanted =
        |mount: &&alloc::sync::Arc<crate::fs::Mount>| low32(mount.sb().dev().encode()) == device;
    let mount = mounts.iter().find(wanted).ok_or(Errno::EINVAL)?;
    let told = mount.sb().ops().statfs()?;
    let words: [u64; USTAT_WORDS] = [told.free, told.files_free, 0, 0];
    call.space.write_val(to, &words)?;
    Ok(0)
}

/// Commands of quotactl(2) (linux/quota.h, linux/dqblk_xfs.h).
const Q_SYNC: u32 = 0x80_0001;
const Q_QUOTAON: u32 = 0x80_0002;
const Q_QUOTAOFF: u32 = 0x80_0003;
const Q_GETFMT: u32 = 0x80_0004;
const Q_GETINFO: u32 = 0x80_0005;
const Q_GETQUOTA: u32 = 0x80_0007;
const Q_ALL: core::ops::RangeInclusive<u32> = 0x80_0001..=0x80_0009;
const Q_XQUOTAON: u32 = 0x5801;
const Q_XQUOTAOFF: u32 = 0x5802;
const Q_XGETQUOTA: u32 = 0x5803;
const Q_XGETQSTAT: u32 = 0x5805;
const Q_XQUOTARM: u32 = 0x5806;
const Q_XQUOTASYNC: u32 = 0x5807;
const Q_XGETQSTATV: u32 = 0x5808;
const Q_XFREE: [u32; 3] = [0x5805, 0x5807, 0x5808];
const Q_XALL: core::ops::RangeInclusive<u32> = 0x5801..=0x5809;

/// The command, once the kind of quota that it is for (a user's, a group's, a project's) has been looked at.
fn quota_command(raw: u32) -> Result<(u32, u32), Errno> {
    let kind = raw & 0xFF;
    (kind < 3).then_some((raw >> 8, kind)).ok_or(Errno::EINVAL)
}

/// No quotas are ever on: what a command comes to on a file system that could have some.
fn quota(call: &Call<'_>, command: u32, kind: u32, id: u32, at: UserAddr) -> SysResult {
    let creds = call.creds;
    let free = match command {
        Q_SYNC | Q_GETFMT | Q_GETINFO => true,
        Q_GETQUOTA | Q_XGETQUOTA => match kind {
            0 => creds.uids.effective == id,
            1 => creds.gids.effective == id || creds.groups.contains(&id),
            _ => false,
        },
        _ => Q_XFREE.contains(&command),
    };
    if !free && !creds.has(abi::CAP_SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    match command {
        Q_SYNC | Q_QUOTAOFF | Q_XQUOTASYNC => Ok(0),
        // Of another file system.
        Q_XQUOTAON | Q_XQUOTAOFF | Q_XGETQSTAT | Q_XQUOTARM => Err(Errno::ENOSYS),
        Q_XGETQSTATV => {
            let version: u8 = call.space.read_val(at)?;
            Err(if version == 1 {
                Errno::ENOSYS
            } else {
                Errno::EINVAL
            })
        }
        // None were asked for with the mount.
        Q_QUOTAON => Err(Errno::EINVAL),
        _ if Q_ALL.contains(&command) || Q_XALL.contains(&command) => Err(Errno::ESRCH),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn quotactl(
    call: &mut Call<'_>,
    command: u32,
    device: UserAddr,
    id: u32,
    at: UserAddr,
) -> SysResult {
    let (command, kind) = quota_command(command)?;
    if device.is_null() {
        return if command == Q_SYNC {
            Ok(0)
        } else {
            Err(Errno::ENODEV)
        };
    }
    let path = named(call, device)?;
    let inode = path.inode()?;
    if inode.kind() != FileType::BlockDevice {
        return Err(Errno::ENOTBLK);
    }
    let mounts = call.fs.namespace().mounts()?;
    let device = inode.rdev();
    if !mounts.iter().any(|mount| mount.sb().dev() == device) {
        return Err(Errno::ENODEV);
    }
    match quota(call, command, kind, id, at) {
        // Where they would be kept is looked up first.
        Err(Errno::EINVAL) if command == Q_QUOTAON => named(call, at).and(Err(Errno::EINVAL)),
        done => done,
    }
}

static DISCIPLINE: SpinLock<Discipline> = SpinLock::new(Discipline::new());

pub(super) fn adjtimex(call: &mut Call<'_>, at: UserAddr) -> SysResult {
    let space = call.space;
    let mut bytes: [u8; TIMEX_SIZE] = space.read_val(at)?;
    if Discipline::is_change(&bytes) {
        check(call, abi::CAP_SYS_TIME)?;
    }
    let now = clock::boot_time().wrapping_add(now_ns());
    let (state, moved, tai) = {
        let mut discipline = DISCIPLINE.lock();
        let (state, moved) = discipline.adjust(&mut bytes, now)?;
        (state, moved, discipline.tai())
    };
    clock::set_tai(tai);
    if moved != 0 {
        let base = clock::boot_time().checked_add_signed(moved);
        clock::set_boot_time(base.ok_or(Errno::EINVAL)?);
    }
    space.copy_out(at, &bytes)?;
    Ok(state)
}

pub(super) fn clock_adjtime(call: &mut Call<'_>, clock: i32, at: UserAddr) -> SysResult {
    // Read before the clock is judged.
    let _: [u64; 26] = call.space.read_val(at)?;
    match u32::try_from(clock) {
        Ok(abi::CLOCK_REALTIME) => adjtimex(call, at),
        Ok(id) if id <= abi::CLOCK_TAI && id != 10 => Err(Errno::EOPNOTSUPP),
        // Clocks of processor time; those of descriptors have their number end in 3.
        Err(_) if clock & 7 != 3 => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::EINVAL),
    }
}

/// modify_ldt(2). What it answers is an `int`, errors too: programs find them in the low half of RAX alone.
pub(super) fn modify_ldt(
    call: &mut Call<'_>,
    function: i32,
    at: UserAddr,
    bytes: usize,
) -> SysResult {
    let space = call.space;
    let done = match function {
        0 => read_ldt(space, at, bytes),
        1 | 0x11 => write_ldt(space, at, bytes, function == 1),
        2 => {
            // The default table, of zeros.
            let len = bytes.min(128);
            space.zero_out(at, len).map(|()| u64_of(len))
        }
        _ => Err(Errno::ENOSYS),
    };
    Ok(done.unwrap_or_else(|error| u64::from(low32(error.to_return()))))
}

fn read_ldt(space: &Arc<AddressSpace>, at: UserAddr, bytes: usize) -> SysResult {
    let Some(table) = space.root().ldt() else {
        return Ok(0);
    };
    let bytes = bytes.min(usize_of32(ldt::ENTRIES) * ldt::ENTRY_SIZE);
    let mut at = at;
    let mut left = bytes;
    for entry in table.iter() {
        let entry = entry.to_le_bytes();
        let part = entry.get(..left).unwrap_or(&entry);
        space.copy_out(at, part)?;
        at = at.checked_add(u64_of(part.len())).ok_or(Errno::EFAULT)?;
        left -= part.len();
    }
    space.zero_out(at, left)?;
    Ok(u64_of(bytes))
}

fn write_ldt(space: &Arc<AddressSpace>, at: UserAddr, bytes: usize, old: bool) -> SysResult {
    if bytes != ldt::USER_DESC_SIZE {
        return Err(Errno::EINVAL);
    }
    let entry = ldt::UserDesc::new(space.read_val(at)?);
    let descriptor = entry.descriptor(old).map_err(|_| Errno::EINVAL)?;
    space.set_descriptor(entry.number, descriptor)?;
    Ok(0)
}

pub(super) fn quotactl_fd(
    call: &mut Call<'_>,
    fd: i32,
    command: u32,
    id: u32,
    at: UserAddr,
) -> SysResult {
    let file = call.files.get_any(fd)?;
    let (command, kind) = quota_command(command)?;
    if !matches!(file.path.mount.sb().kind(), "ext4" | "tmpfs") {
        return Err(Errno::ENOSYS);
    }
    quota(call, command, kind, id, at)
}

/// Whose I/O priority: a process's (linux/ioprio.h); a group's and a user's follow, as with getpriority(2).
const IOPRIO_WHO_PROCESS: u32 = 1;

pub(super) fn ioprio_set(call: &mut Call<'_>, which: u32, who: i32, value: u32) -> SysResult {
    // Beyond the three bits of the level hints may follow.
    let (class, level) = (value >> 13 & 7, value & 0x1fff);
    match class {
        1 if !call.creds.has(abi::CAP_SYS_ADMIN) => return Err(Errno::EPERM),
        0 if level != 0 => return Err(Errno::EINVAL),
        0..=3 => {}
        _ => return Err(Errno::EINVAL),
    }
    let own = call.creds;
    for task in targets(call, which.wrapping_sub(IOPRIO_WHO_PROCESS), who)? {
        let theirs = task.creds().uids;
        let may = [theirs.real, theirs.effective].contains(&own.uids.effective);
        if !may && !own.has(abi::CAP_SYS_NICE) {
            return Err(Errno::EPERM);
        }
        task.io_priority.store(value, Ordering::Relaxed);
    }
    Ok(0)
}

pub(super) fn ioprio_get(call: &mut Call<'_>, which: u32, who: i32) -> SysResult {
    let tasks = targets(call, which.wrapping_sub(IOPRIO_WHO_PROCESS), who)?;
    let values = tasks
        .iter()
        .map(|task| task.io_priority.load(Ordering::Relaxed));
    Ok(values.max().unwrap_or(0).into())
}
