//! Events as files: `timerfd_create` and its kin, `signalfd`, `inotify_init` and its kin.

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::Want;
use kiln_core::signal::SigSet;
use kiln_core::time::{TIMESPEC_SIZE, Timespec};

use super::fs::{file, install, with_path};
use super::{Call, SysResult};
use crate::fs::timerfd::{self, Setting};
use crate::fs::{inotify, vfs};
use crate::process::signal::fd as signalfd;

fn may_wake(call: &Call<'_>) -> bool {
    call.creds.has(abi::CAP_WAKE_ALARM)
}

pub(super) fn timerfd_create(call: &mut Call<'_>, clock: i32, flags: u32) -> SysResult {
    let file = timerfd::create(clock, flags, may_wake(call))?;
    install(call, file, flags & abi::O_CLOEXEC != 0)
}

/// The second timespec of a `struct itimerspec`.
fn second(at: UserAddr) -> Result<UserAddr, Errno> {
    at.checked_add(kiln_core::num::u64_of(TIMESPEC_SIZE))
        .ok_or(Errno::EFAULT)
}

fn write_setting(call: &Call<'_>, at: UserAddr, setting: Setting) -> Result<(), Errno> {
    let space = call.space;
    space.copy_out(at, &Timespec::from_ns(setting.interval).encode())?;
    space.copy_out(second(at)?, &Timespec::from_ns(setting.value).encode())
}

pub(super) fn timerfd_settime(
    call: &mut Call<'_>,
    fd: i32,
    flags: u32,
    new: UserAddr,
    old: UserAddr,
) -> SysResult {
    let space = call.space;
    let interval = Timespec::decode(&space.read_val(new)?);
    let value = Timespec::decode(&space.read_val(second(new)?)?);
    if flags & !(abi::TFD_TIMER_ABSTIME | abi::TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let setting = Setting {
        value: value.to_ns()?,
        interval: interval.to_ns()?,
    };
    let file = file(call, fd)?;
    let before = timerfd::of(&file)?.set(setting, flags, may_wake(call))?;
    if !old.is_null() {
        write_setting(call, old, before)?;
    }
    Ok(0)
}

pub(super) fn timerfd_gettime(call: &mut Call<'_>, fd: i32, at: UserAddr) -> SysResult {
    let file = file(call, fd)?;
    write_setting(call, at, timerfd::of(&file)?.get())?;
    Ok(0)
}

pub(super) fn signalfd4(
    call: &mut Call<'_>,
    fd: i32,
    set: UserAddr,
    size: usize,
    flags: u32,
) -> SysResult {
    if size != abi::SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = SigSet::from_bits(call.space.read_val(set)?);
    if fd == -1 {
        let file = signalfd::create(set, flags)?;
        return install(call, file, flags & abi::O_CLOEXEC != 0);
    }
    let file = file(call, fd)?;
    signalfd::change(call.task, &file, set, flags)?;
    Ok(u64::from(fd.cast_unsigned()))
}

pub(super) fn signalfd(call: &mut Call<'_>, fd: i32, set: UserAddr, size: usize) -> SysResult {
    signalfd4(call, fd, set, size, 0)
}

pub(super) fn inotify_init1(call: &mut Call<'_>, flags: u32) -> SysResult {
    let file = inotify::create(flags)?;
    install(call, file, flags & abi::O_CLOEXEC != 0)
}

pub(super) fn inotify_init(call: &mut Call<'_>) -> SysResult {
    inotify_init1(call, 0)
}

pub(super) fn inotify_add_watch(
    call: &mut Call<'_>,
    fd: i32,
    path: UserAddr,
    mask: u32,
) -> SysResult {
    inotify::check_mask(mask)?;
    let file = file(call, fd)?;
    if mask & abi::IN_MASK_ADD != 0 && mask & abi::IN_MASK_CREATE != 0 {
        return Err(Errno::EINVAL);
    }
    let group = inotify::of(&file)?;
    let follow = mask & abi::IN_DONT_FOLLOW == 0;
    let watch = with_path(call, abi::AT_FDCWD, path, |lookup, path| {
        let found = vfs::resolve(lookup, path, follow)?;
        let inode = found.inode()?;
        if mask & abi::IN_ONLYDIR != 0 && inode.kind() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        lookup.check(inode, Want::READ)?;
        group.add(inode, mask)
    })?;
    Ok(u64::from(watch.cast_unsigned()))
}

pub(super) fn inotify_rm_watch(call: &mut Call<'_>, fd: i32, watch: i32) -> SysResult {
    let file = file(call, fd)?;
    inotify::of(&file)?.remove(watch)?;
    Ok(0)
}
