//! Descriptors: `dup`, `fcntl`, `flock`, `close_range`.

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::locks::{Kind, Range, Record};
use kiln_core::num::{int_arg, low8, low32, usize_of32};

use super::{Call, SysResult, descriptor_limit, fd_result, file, owner};
use crate::fs::{File, dnotify, fasync, identity, lease, vfs};
use crate::process::unshare;

pub(in crate::syscall) fn dup(call: &mut Call<'_>, fd: i32) -> SysResult {
    let files = call.files;
    let file = files.get_any(fd)?;
    super::install(call, file, false)
}

pub(in crate::syscall) fn dup2(call: &mut Call<'_>, old: i32, new: i32) -> SysResult {
    if old == new {
        call.files.get_any(old)?;
        return fd_result(new);
    }
    replace(call, old, new, false)
}

pub(in crate::syscall) fn dup3(call: &mut Call<'_>, old: i32, new: i32, flags: u32) -> SysResult {
    super::known_flags(flags, abi::O_CLOEXEC)?;
    if old == new {
        return Err(Errno::EINVAL);
    }
    replace(call, old, new, flags & abi::O_CLOEXEC != 0)
}

fn replace(call: &Call<'_>, old: i32, new: i32, close_on_exec: bool) -> SysResult {
    let files = call.files;
    let file = files.get_any(old)?;
    fd_result(files.replace(new, file, close_on_exec, descriptor_limit(call))?)
}

pub(in crate::syscall) fn close_range(
    call: &mut Call<'_>,
    first: u32,
    last: u32,
    flags: u32,
) -> SysResult {
    /// Get a table of one's own first.
    const UNSHARE: u32 = 2;
    const CLOEXEC: u32 = 4;
    super::known_flags(flags, UNSHARE | CLOEXEC)?;
    if first > last {
        return Err(Errno::EINVAL);
    }
    let files = if flags & UNSHARE != 0 {
        &unshare::own_files(call.task)?
    } else {
        call.files
    };
    let range = (usize_of32(first), usize_of32(last));
    files.close_range(range.0, range.1, flags & CLOEXEC != 0);
    Ok(0)
}

/// Commands of `fcntl` that the bindings lack (linux/fcntl.h, asm-generic/fcntl.h).
mod command {
    pub(super) const DUPFD_CLOEXEC: u32 = 1030;
    pub(super) const SETPIPE_SZ: u32 = 1031;
    pub(super) const GETPIPE_SZ: u32 = 1032;
    pub(super) const ADD_SEALS: u32 = 1033;
    pub(super) const GET_SEALS: u32 = 1034;
    pub(super) const GET_RW_HINT: u32 = 1035;
    pub(super) const SET_RW_HINT: u32 = 1036;
}

/// `RWH_WRITE_LIFE_EXTREME` (linux/fcntl.h), the last of the hints how long written data will live.
const WRITE_LIFE_EXTREME: u64 = 5;

pub(in crate::syscall) fn fcntl(call: &mut Call<'_>, fd: i32, what: u32, arg: u64) -> SysResult {
    let files = call.files;
    let file = files.get_any(fd)?;
    let on_path = matches!(
        what,
        abi::F_DUPFD | command::DUPFD_CLOEXEC | abi::F_GETFD | abi::F_SETFD | abi::F_GETFL
    );
    if file.is_path() && !on_path {
        return Err(Errno::EBADF);
    }
    match what {
        abi::F_DUPFD | command::DUPFD_CLOEXEC => {
            let (from, limit) = (usize_of32(low32(arg)), descriptor_limit(call));
            if from >= limit {
                return Err(Errno::EINVAL);
            }
            let cloexec = what == command::DUPFD_CLOEXEC;
            fd_result(files.install_from(file, cloexec, from, limit)?)
        }
        abi::F_GETFD => Ok(u64::from(files.is_close_on_exec(fd)?)),
        abi::F_SETFD => {
            let on = arg & u64::from(abi::FD_CLOEXEC) != 0;
            files.set_close_on_exec(fd, on).map(|()| 0)
        }
        abi::F_GETFL => Ok(u64::from(file.flags())),
        abi::F_SETFL => set_status_flags(call, &file, fd, low32(arg)),
        abi::F_GETLK | abi::F_SETLK | abi::F_SETLKW => {
            let owner = files.lock_owner();
            record_lock(call, &file, what, arg, owner, false)
        }
        abi::F_OFD_GETLK | abi::F_OFD_SETLK | abi::F_OFD_SETLKW => {
            let what = what - abi::F_OFD_GETLK + abi::F_GETLK;
            record_lock(call, &file, what, arg, file.id(), true)
        }
        _ => other(call, &file, fd, what, arg),
    }
}

/// `F_SETFL`.
fn set_status_flags(call: &Call<'_>, file: &Arc<File>, fd: i32, flags: u32) -> SysResult {
    let fresh = flags & !file.flags();
    if file.has(abi::O_APPEND) && flags & abi::O_APPEND == 0 {
        vfs::check_not_append_only(&file.inode)?;
    }
    let creds = call.creds;
    let owns = |attr: &Attr| identity(creds).owns(attr);
    if fresh & abi::O_NOATIME != 0 && !file.inode.with_attr(owns) {
        return Err(Errno::EPERM);
    }
    let direct = || match file.inode.kind() {
        FileType::Regular => file.ops.contents(file).is_some(),
        kind => matches!(kind, FileType::BlockDevice | FileType::Fifo),
    };
    if fresh & abi::O_DIRECT != 0 && !direct() {
        return Err(Errno::EINVAL);
    }
    match fasync::set_async(file, fd, flags & abi::FASYNC != 0) {
        // What never tells anything takes the flag for nothing.
        Ok(()) | Err(Errno::ENOTTY) => {}
        Err(error) => return Err(error),
    }
    file.set_flags(flags);
    Ok(0)
}

fn other(call: &Call<'_>, file: &Arc<File>, fd: i32, what: u32, arg: u64) -> SysResult {
    match what {
        abi::F_SETOWN..=abi::F_GETSIG | abi::F_SETOWN_EX..=abi::F_GETOWNER_UIDS => {
            owner::control(call, file, what, arg)
        }
        abi::F_GETLEASE => Ok(lease::get(file).into()),
        abi::F_SETLEASE => owner::set_lease(call, file, fd, low32(arg)),
        abi::F_NOTIFY => {
            let table = call.files.lock_owner();
            dnotify::set(file, table, fd, low32(arg)).map(|()| 0)
        }
        command::GETPIPE_SZ => file
            .ops
            .pipe()
            .ok_or(Errno::EBADF)
            .map(|pipe| pipe.capacity()),
        command::SETPIPE_SZ => {
            let pipe = file.ops.pipe().ok_or(Errno::EBADF)?;
            let bytes = usize_of32(low32(arg));
            if bytes > 1 << 31 {
                return Err(Errno::EINVAL);
            }
            pipe.resize(&identity(call.creds), bytes)
        }
        command::ADD_SEALS => crate::fs::memfd::add_seals(file, low32(arg)).map(|()| 0),
        command::GET_SEALS => crate::fs::memfd::seals(file).map(u64::from),
        command::GET_RW_HINT | command::SET_RW_HINT => {
            let (space, at) = (call.space, UserAddr::new(arg));
            if what == command::GET_RW_HINT {
                space.write_val(at, &u64::from(file.inode.write_hint(None)))?;
                return Ok(0);
            }
            let hint: u64 = space.read_val(at)?;
            if hint > WRITE_LIFE_EXTREME {
                return Err(Errno::EINVAL);
            }
            file.inode.write_hint(Some(low8(hint)));
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Bytes of `struct flock` (asm-generic/fcntl.h): type, whence, start, length, process.
const FLOCK_SIZE: usize = 32;

/// `struct flock`.
struct Flock {
    kind: u16,
    whence: u16,
    start: i64,
    len: i64,
    pid: i32,
}

impl Flock {
    fn decode(raw: &[u8; FLOCK_SIZE]) -> Self {
        let at = |from: usize| {
            let bytes = raw
                .get(from..from + 8)
                .and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.unwrap_or([0; 8]))
        };
        Self {
            kind: kiln_core::num::low16(at(0)),
            whence: kiln_core::num::low16(at(0) >> 16),
            start: at(8).cast_signed(),
            len: at(16).cast_signed(),
            pid: int_arg(at(24)),
        }
    }

    fn encode(&self) -> [u8; FLOCK_SIZE] {
        let head = u64::from(self.kind) | u64::from(self.whence) << 16;
        let words = [
            head,
            self.start.cast_unsigned(),
            self.len.cast_unsigned(),
            u64::from(self.pid.cast_unsigned()),
        ];
        let mut raw = [0; FLOCK_SIZE];
        for (to, word) in raw.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        raw
    }
}

const F_RDLCK: u16 = kiln_core::num::low16(abi::F_RDLCK as u64);
const F_WRLCK: u16 = kiln_core::num::low16(abi::F_WRLCK as u64);
const F_UNLCK: u16 = kiln_core::num::low16(abi::F_UNLCK as u64);

fn record_lock(
    call: &Call<'_>,
    file: &File,
    what: u32,
    arg: u64,
    owner: u64,
    open_file: bool,
) -> SysResult {
    let space = call.space;
    let mut raw = [0; FLOCK_SIZE];
    space.copy_in(&mut raw, UserAddr::new(arg))?;
    let mut flock = Flock::decode(&raw);
    let base = match u32::from(flock.whence) {
        abi::SEEK_SET => 0,
        abi::SEEK_CUR => *file.position(),
        abi::SEEK_END => file.inode.size(),
        _ => return Err(Errno::EINVAL),
    };
    let range = Range::new(base, flock.start, flock.len)?;
    let kind = match flock.kind {
        F_RDLCK => Some(Kind::Read),
        F_WRLCK => Some(Kind::Write),
        F_UNLCK => None,
        _ => return Err(Errno::EINVAL),
    };
    match kind {
        Some(Kind::Read) if what != abi::F_GETLK => file.check_readable()?,
        Some(Kind::Write) if what != abi::F_GETLK => file.check_writable()?,
        _ => {}
    }
    if open_file && flock.pid != 0 {
        return Err(Errno::EINVAL);
    }
    let pid = if open_file {
        -1
    } else {
        int_arg(u64::from(call.task.pid()))
    };
    let wanted = kind.map(|kind| Record {
        owner,
        file: file.id(),
        pid,
        kind,
        range,
    });
    if what != abi::F_GETLK {
        return set_record(file, wanted, owner, range, what == abi::F_SETLKW).map(|()| 0);
    }
    let wanted = wanted.ok_or(Errno::EINVAL)?;
    let held = file
        .inode
        .existing_locks()
        .and_then(|locks| locks.conflict(&wanted));
    match held {
        None => flock.kind = F_UNLCK,
        Some(held) => {
            flock = Flock {
                kind: if held.kind == Kind::Write {
                    F_WRLCK
                } else {
                    F_RDLCK
                },
                whence: 0,
                start: held.range.start.cast_signed(),
                len: held.range.len().cast_signed(),
                pid: held.pid,
            }
        }
    }
    space.copy_out(UserAddr::new(arg), &flock.encode())?;
    Ok(0)
}

fn set_record(
    file: &File,
    wanted: Option<Record>,
    owner: u64,
    range: Range,
    wait: bool,
) -> Result<(), Errno> {
    let Some(wanted) = wanted else {
        return match file.inode.existing_locks() {
            Some(locks) => locks.clear(owner, range),
            None => Ok(()),
        };
    };
    file.inode.locks()?.set(wanted, wait)
}

pub(in crate::syscall) fn flock(call: &mut Call<'_>, fd: i32, operation: u32) -> SysResult {
    /// Mandatory locks, which are no more; the call does nothing.
    const LOCK_MAND: u32 = 32;
    if operation & LOCK_MAND != 0 {
        return Ok(0);
    }
    if !matches!(
        operation & !abi::LOCK_NB,
        abi::LOCK_SH | abi::LOCK_EX | abi::LOCK_UN
    ) {
        return Err(Errno::EINVAL);
    }
    let file = file(call, fd)?;
    let wait = operation & abi::LOCK_NB == 0;
    let kind = match operation & !abi::LOCK_NB {
        abi::LOCK_SH => Kind::Read,
        abi::LOCK_EX => Kind::Write,
        abi::LOCK_UN => {
            if let Some(locks) = file.inode.existing_locks() {
                locks.unlock_file(file.id());
            }
            return Ok(0);
        }
        _ => return Err(Errno::EINVAL),
    };
    let locks = file.inode.locks()?;
    let pid = int_arg(u64::from(call.task.pid()));
    locks.lock_file(file.id(), pid, kind, wait).map(|()| 0)
}
