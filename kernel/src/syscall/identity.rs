//! Who a task is: user and group ids, supplementary groups, capabilities.

use alloc::vec::Vec;

use kiln_core::addr::UserAddr;
use kiln_core::cred::{CapSet, Credentials, Ids};
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of32};

use super::{Call, SysResult};
use crate::process::table;

pub(super) fn getuid(call: &mut Call<'_>) -> SysResult {
    Ok(call.creds.uids.real.into())
}

pub(super) fn geteuid(call: &mut Call<'_>) -> SysResult {
    Ok(call.creds.uids.effective.into())
}

pub(super) fn getgid(call: &mut Call<'_>) -> SysResult {
    Ok(call.creds.gids.real.into())
}

pub(super) fn getegid(call: &mut Call<'_>) -> SysResult {
    Ok(call.creds.gids.effective.into())
}

/// Changes ids, and what else goes by them.
fn change<R>(
    call: &Call<'_>,
    change: impl FnOnce(&mut Credentials) -> Result<R, Errno>,
) -> Result<R, Errno> {
    call.task.change_ids(change)
}

pub(super) fn setuid(call: &mut Call<'_>, uid: u32) -> SysResult {
    change(call, |creds| creds.set_uid(uid)).map(|()| 0)
}

pub(super) fn setgid(call: &mut Call<'_>, gid: u32) -> SysResult {
    change(call, |creds| creds.set_gid(gid)).map(|()| 0)
}

pub(super) fn setreuid(call: &mut Call<'_>, real: u32, effective: u32) -> SysResult {
    change(call, |creds| creds.set_reuid(real, effective)).map(|()| 0)
}

pub(super) fn setregid(call: &mut Call<'_>, real: u32, effective: u32) -> SysResult {
    change(call, |creds| creds.set_regid(real, effective)).map(|()| 0)
}

pub(super) fn setresuid(call: &mut Call<'_>, real: u32, effective: u32, saved: u32) -> SysResult {
    change(call, |creds| creds.set_resuid([real, effective, saved])).map(|()| 0)
}

pub(super) fn setresgid(call: &mut Call<'_>, real: u32, effective: u32, saved: u32) -> SysResult {
    change(call, |creds| creds.set_resgid([real, effective, saved])).map(|()| 0)
}

pub(super) fn setfsuid(call: &mut Call<'_>, uid: u32) -> SysResult {
    change(call, |creds| Ok(creds.set_fsuid(uid))).map(u64::from)
}

pub(super) fn setfsgid(call: &mut Call<'_>, gid: u32) -> SysResult {
    change(call, |creds| Ok(creds.set_fsgid(gid))).map(u64::from)
}

fn tell(call: &Call<'_>, ids: &Ids, places: [UserAddr; 3]) -> SysResult {
    let space = call.space;
    for (place, id) in places.into_iter().zip([ids.real, ids.effective, ids.saved]) {
        space.write_val(place, &id)?;
    }
    Ok(0)
}

pub(super) fn getresuid(
    call: &mut Call<'_>,
    real: UserAddr,
    effective: UserAddr,
    saved: UserAddr,
) -> SysResult {
    tell(call, &call.creds.uids, [real, effective, saved])
}

pub(super) fn getresgid(
    call: &mut Call<'_>,
    real: UserAddr,
    effective: UserAddr,
    saved: UserAddr,
) -> SysResult {
    tell(call, &call.creds.gids, [real, effective, saved])
}

/// Most supplementary groups (`NGROUPS_MAX`, linux/limits.h).
const GROUPS_MAX: u32 = 65536;

pub(super) fn getgroups(call: &mut Call<'_>, room: i32, list: UserAddr) -> SysResult {
    let creds = call.creds;
    let count = creds.groups.len();
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    if room > 0 {
        if room < count {
            return Err(Errno::EINVAL);
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(count * 4)
            .map_err(|_| Errno::ENOMEM)?;
        bytes.extend(creds.groups.iter().flat_map(|group| group.to_le_bytes()));
        call.space.copy_out(list, &bytes)?;
    }
    Ok(u64_of(count))
}

pub(super) fn setgroups(call: &mut Call<'_>, count: u32, list: UserAddr) -> SysResult {
    if !call.creds.has(kiln_core::abi::CAP_SETGID) {
        return Err(Errno::EPERM);
    }
    if count > GROUPS_MAX {
        return Err(Errno::EINVAL);
    }
    let count = usize_of32(count);
    let (mut bytes, mut groups) = (Vec::new(), Vec::new());
    bytes
        .try_reserve_exact(count * 4)
        .map_err(|_| Errno::ENOMEM)?;
    groups.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(count * 4, 0);
    call.space.copy_in(&mut bytes, list)?;
    let ids = bytes
        .chunks_exact(4)
        .map(|group| u32::from_le_bytes(group.try_into().unwrap_or_default()));
    groups.extend(ids);
    change(call, |creds| creds.set_groups(groups)).map(|()| 0)
}

/// Versions of capget's and capset's header (linux/capability.h): one of 32 bits, two of 64.
const CAP_VERSIONS: [(u32, usize); 3] = [(0x1998_0330, 1), (0x2007_1026, 2), (0x2008_0522, 2)];
/// What an unknown version is answered with.
const CAP_PREFERRED: u32 = 0x2008_0522;

/// Reads the header: how many 32-bit parts the sets have, and of which thread.
fn cap_header(call: &Call<'_>, header: UserAddr) -> Result<(Option<usize>, i32), Errno> {
    let space = call.space;
    let version: u32 = space.read_val(header)?;
    let parts = CAP_VERSIONS.iter().find(|(known, _)| *known == version);
    if parts.is_none() {
        space.write_val(header, &CAP_PREFERRED)?;
        return Ok((None, 0));
    }
    let [_, pid]: [u32; 2] = space.read_val(header)?;
    Ok((parts.map(|(_, parts)| *parts), pid.cast_signed()))
}

pub(super) fn capget(call: &mut Call<'_>, header: UserAddr, data: UserAddr) -> SysResult {
    let (parts, pid) = cap_header(call, header)?;
    let Some(parts) = parts else {
        // Asking with no place for the answer is how a program learns the version.
        return if data.is_null() {
            Ok(0)
        } else {
            Err(Errno::EINVAL)
        };
    };
    if data.is_null() {
        return Ok(0);
    }
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    let caps = table::task_or(call.task, pid)?.creds().caps;
    let sets = [caps.effective, caps.permitted, caps.inheritable].map(CapSet::bits);
    let space = call.space;
    let mut at = data;
    for part in 0..parts {
        let words = sets.map(|bits| kiln_core::num::low32(bits >> (32 * part)));
        space.write_val(at, &words)?;
        at = at.checked_add(12).ok_or(Errno::EFAULT)?;
    }
    Ok(0)
}

pub(super) fn capset(call: &mut Call<'_>, header: UserAddr, data: UserAddr) -> SysResult {
    let (parts, pid) = cap_header(call, header)?;
    let parts = parts.ok_or(Errno::EINVAL)?;
    if pid != 0 && pid.unsigned_abs() != call.task.tid() {
        return Err(Errno::EPERM);
    }
    let space = call.space;
    let mut sets = [0u64; 3];
    let mut at = data;
    for part in 0..parts {
        let words: [u32; 3] = space.read_val(at)?;
        for (set, word) in sets.iter_mut().zip(words) {
            *set |= u64::from(word) << (32 * part);
        }
        at = at.checked_add(12).ok_or(Errno::EFAULT)?;
    }
    let [effective, permitted, inheritable] = sets.map(CapSet::from_bits);
    change(call, |creds| {
        creds.set_caps(effective, permitted, inheritable)
    })
    .map(|()| 0)
}
