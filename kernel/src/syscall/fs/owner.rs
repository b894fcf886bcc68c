//! The commands of `fcntl` about who is told by signals (fcntl(2), "Managing signals"), and leases.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{int_arg, low8, low32};

use super::{Call, SysResult};
use crate::fs::File;
use crate::fs::fasync::{Owner, Whom};
use crate::fs::lease::{self, Kind};
use crate::process::table;

/// `F_OWNER_*` (asm-generic/fcntl.h).
const OWNER_THREAD: u32 = 0;
const OWNER_PROCESS: u32 = 1;
const OWNER_GROUP: u32 = 2;

/// `F_SETOWN`, `F_GETOWN`, `F_SETSIG`, `F_GETSIG` and those with `_EX` or about users.
pub(super) fn control(call: &Call<'_>, file: &File, what: u32, arg: u64) -> SysResult {
    let at = UserAddr::new(arg);
    match what {
        abi::F_SETOWN => set(call, file, by_number(int_arg(arg))?),
        abi::F_GETOWN => Ok(file.owner().lock().number().cast_unsigned()),
        abi::F_SETSIG => {
            // An int, whatever the upper half of the register holds.
            if low32(arg) > abi::NSIG {
                return Err(Errno::EINVAL);
            }
            file.owner().lock().signal = low8(arg);
            Ok(0)
        }
        abi::F_GETSIG => Ok(file.owner().lock().signal.into()),
        abi::F_SETOWN_EX => {
            let [kind, number]: [u32; 2] = call.space.read_val(at)?;
            set(call, file, by_kind(kind, number)?)
        }
        abi::F_GETOWN_EX => {
            let told = match file.owner().lock().whom {
                Whom::Thread(number) => [OWNER_THREAD, number],
                Whom::Nobody => [OWNER_THREAD, 0],
                Whom::Process(number) => [OWNER_PROCESS, number],
                Whom::Group(number) => [OWNER_GROUP, number],
            };
            call.space.write_val(at, &told)?;
            Ok(0)
        }
        abi::F_GETOWNER_UIDS => {
            let Owner { uid, euid, .. } = *file.owner().lock();
            call.space.write_val(at, &[uid, euid])?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `FIOSETOWN`, `SIOCSPGRP`, `FIOGETOWN` and `SIOCGPGRP` of sockets (asm-generic/sockios.h).
pub(super) fn of_socket(call: &Call<'_>, file: &File, command: u32, at: UserAddr) -> SysResult {
    let space = call.space;
    if matches!(command, FIOSETOWN | SIOCSPGRP) {
        let number: u32 = space.read_val(at)?;
        return set(call, file, by_number(number.cast_signed())?);
    }
    let number = low32(file.owner().lock().number().cast_unsigned());
    space.write_val(at, &number)?;
    Ok(0)
}

pub(super) const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;
pub(super) const SIOCGPGRP: u32 = 0x8904;

/// The owner that `F_SETOWN` names: a negative number is a group's.
fn by_number(number: i32) -> Result<Whom, Errno> {
    if number == i32::MIN {
        return Err(Errno::EINVAL);
    }
    let kind = if number < 0 {
        OWNER_GROUP
    } else {
        OWNER_PROCESS
    };
    by_kind(kind, number.unsigned_abs())
}

/// The owner of a kind with a number; 0 is nobody.
fn by_kind(kind: u32, number: u32) -> Result<Whom, Errno> {
    let (whom, is_there) = match kind {
        OWNER_THREAD => (Whom::Thread(number), table::task(number).is_some()),
        OWNER_PROCESS => (Whom::Process(number), table::process_of(number).is_some()),
        OWNER_GROUP => {
            let known = !table::members(number)?.is_empty() || table::process_of(number).is_some();
            (Whom::Group(number), known)
        }
        _ => return Err(Errno::EINVAL),
    };
    match (number, is_there) {
        (0, _) => Ok(Whom::Nobody),
        (_, true) => Ok(whom),
        (_, false) => Err(Errno::ESRCH),
    }
}

fn set(call: &Call<'_>, file: &File, whom: Whom) -> SysResult {
    let uids = call.creds.uids;
    let mut owner = file.owner().lock();
    let (uid, euid) = match whom {
        Whom::Nobody => (owner.uid, owner.euid),
        _ => (uids.real, uids.effective),
    };
    let signal = owner.signal;
    *owner = Owner {
        whom,
        uid,
        euid,
        signal,
    };
    Ok(0)
}

/// `F_SETLEASE`: for the file's owner, or with `CAP_LEASE`.
pub(super) fn set_lease(call: &Call<'_>, file: &Arc<File>, fd: i32, kind: u32) -> SysResult {
    let kind = match kind {
        abi::F_RDLCK => Some(Kind::Read),
        abi::F_WRLCK => Some(Kind::Write),
        abi::F_UNLCK => None,
        _ => return Err(Errno::EINVAL),
    };
    if file.is_event() {
        return Err(Errno::EINVAL);
    }
    let creds = call.creds;
    let owner = file.inode.with_attr(|attr| attr.uid);
    if creds.uids.fs != owner && !creds.has(abi::CAP_LEASE) {
        return Err(Errno::EACCES);
    }
    lease::set(file, fd, kind).map(|()| 0)
}
