//! System V IPC: shared memory, semaphores, message queues. The work is `process::ipc`'s.

use alloc::vec::Vec;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::ipc::PERM_SIZE;
use kiln_core::ipc::msg::Message;
use kiln_core::ipc::sem::Op;
use kiln_core::num::{int_arg, u64_of, usize_of};

use super::time::{read_timespec, relative_deadline};
use super::{Call, SysResult};
use crate::fs::memory::try_zeros;
use crate::process::ipc::{msg, sem, shm};

/// Commands that every kind has (linux/ipc.h).
const RMID: i32 = 0;
const SET: i32 = 1;
const STAT: i32 = 2;
const INFO: i32 = 3;

fn id_result(id: i32) -> SysResult {
    Ok(u64::from(id.cast_unsigned()))
}

fn copy_out(call: &Call<'_>, at: UserAddr, bytes: &[u8], result: i32) -> SysResult {
    call.space.copy_out(at, bytes)?;
    id_result(result)
}

fn not_negative(values: &[i32]) -> Result<(), Errno> {
    if values.iter().any(|value| *value < 0) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// The permissions at the start of a structure for `IPC_SET`, which is read as a whole.
fn read_perm<const N: usize>(
    call: &Call<'_>,
    at: UserAddr,
) -> Result<([u8; PERM_SIZE], [u8; N]), Errno> {
    let mut whole = [0; N];
    call.space.copy_in(&mut whole, at)?;
    let mut perm = [0; PERM_SIZE];
    for (to, from) in perm.iter_mut().zip(whole) {
        *to = from;
    }
    Ok((perm, whole))
}

pub(super) fn shmget(call: &mut Call<'_>, key: i32, size: u64, flags: u32) -> SysResult {
    /// Huge pages, whose size the highest bits tell as a power of two; there are none.
    const HUGETLB: u32 = 0o4000;
    const SIZES: [u32; 3] = [0, 21, 30];
    let made = shm::get(key, size, flags, call.creds);
    if made == Err(Errno::ENOMEM) && flags & HUGETLB != 0 {
        let may = call.creds.has(abi::CAP_IPC_LOCK) || call.creds.in_group(0);
        return Err(match SIZES.contains(&(flags >> 26)) {
            false => Errno::EINVAL,
            // `hugetlb_shm_group`.
            true if !may => Errno::EPERM,
            true => Errno::ENOMEM,
        });
    }
    // Files, which segments are, have no such size.
    if made == Err(Errno::ENOMEM) && i64::try_from(size).is_err() {
        return Err(Errno::EINVAL);
    }
    id_result(made?)
}

pub(super) fn shmat(call: &mut Call<'_>, id: i32, addr: u64, flags: u32) -> SysResult {
    shm::attach(call.space, id, addr, flags, call.creds)
}

pub(super) fn shmdt(call: &mut Call<'_>, addr: u64) -> SysResult {
    shm::detach(call.space, addr).map(|()| 0)
}

pub(super) fn shmctl(call: &mut Call<'_>, id: i32, command: i32, at: UserAddr) -> SysResult {
    const LOCK: i32 = 11;
    const UNLOCK: i32 = 12;
    const SLOT_STAT: i32 = 13;
    const USED: i32 = 14;
    const STAT_ANY: i32 = 15;
    not_negative(&[id, command])?;
    let creds = call.creds;
    let answer = match command {
        INFO => shm::limits(),
        USED => shm::in_use(),
        STAT | SLOT_STAT | STAT_ANY => shm::stat(id, command != STAT, command == STAT_ANY, creds)?,
        SET => {
            let (perm, _) = read_perm::<{ shm::DS_SIZE }>(call, at)?;
            shm::set(id, &perm, creds)?
        }
        RMID => shm::remove(id, creds)?,
        LOCK | UNLOCK => {
            let limit = call.task.process().limit(abi::RLIMIT_MEMLOCK);
            shm::lock(id, command == LOCK, creds, limit)?
        }
        _ => return Err(Errno::EINVAL),
    };
    match answer {
        shm::Answer::Number(number) => id_result(number),
        shm::Answer::Segment(number, bytes) => copy_out(call, at, &bytes, number),
        shm::Answer::Limits(number, bytes) => copy_out(call, at, &bytes, number),
        shm::Answer::Used(number, bytes) => copy_out(call, at, &bytes, number),
    }
}

pub(super) fn semget(call: &mut Call<'_>, key: i32, count: i32, flags: u32) -> SysResult {
    id_result(sem::get(key, count, flags, call.creds)?)
}

/// `struct sembuf`s.
fn read_ops(call: &Call<'_>, at: UserAddr, count: usize) -> Result<Vec<Op>, Errno> {
    const SIZE: usize = 6;
    let mut bytes = try_zeros(count * SIZE)?;
    call.space.copy_in(&mut bytes, at)?;
    let mut ops = Vec::new();
    ops.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    for raw in bytes.chunks_exact(SIZE) {
        let mut words = [0; 3];
        for (word, pair) in words.iter_mut().zip(raw.chunks_exact(2)) {
            *word = u16::from_le_bytes(pair.try_into().unwrap_or_default());
        }
        let [number, change, flags] = words;
        ops.push(Op {
            number,
            change: change.cast_signed(),
            flags,
        });
    }
    Ok(ops)
}

pub(super) fn semtimedop(
    call: &mut Call<'_>,
    id: i32,
    ops: UserAddr,
    count: u32,
    timeout: UserAddr,
) -> SysResult {
    let timeout = if timeout.is_null() {
        None
    } else {
        Some(read_timespec(call, timeout)?)
    };
    let count = usize_of(u64::from(count));
    let [_, _, most, _] = sem::limits();
    if count > most {
        return Err(Errno::E2BIG);
    }
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    let ops = read_ops(call, ops, count)?;
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    let deadline = match timeout {
        Some(time) => Some(relative_deadline(time.to_ns()?)),
        None => None,
    };
    sem::operate(id, &ops, deadline, call.task.pid(), call.creds).map(|()| 0)
}

pub(super) fn semop(call: &mut Call<'_>, id: i32, ops: UserAddr, count: u32) -> SysResult {
    semtimedop(call, id, ops, count, UserAddr::new(0))
}

pub(super) fn semctl(
    call: &mut Call<'_>,
    id: i32,
    number: i32,
    command: i32,
    arg: u64,
) -> SysResult {
    const GETPID: i32 = 11;
    const GETVAL: i32 = 12;
    const GETALL: i32 = 13;
    const GETNCNT: i32 = 14;
    const GETZCNT: i32 = 15;
    const SETVAL: i32 = 16;
    const SETALL: i32 = 17;
    const SLOT_STAT: i32 = 18;
    const USED: i32 = 19;
    const STAT_ANY: i32 = 20;
    not_negative(&[id])?;
    let (creds, pid) = (call.creds, call.task.pid());
    let at = UserAddr::new(arg);
    match command {
        INFO | USED => {
            let (highest, bytes) = sem::info(command == USED);
            copy_out(call, at, &bytes, highest)
        }
        STAT | SLOT_STAT | STAT_ANY => {
            let (result, bytes) = sem::stat(id, command != STAT, command == STAT_ANY, creds)?;
            copy_out(call, at, &bytes, result)
        }
        GETPID => sem::ask(id, number, sem::Ask::Pid, creds),
        GETVAL => sem::ask(id, number, sem::Ask::Value, creds),
        GETNCNT => sem::ask(id, number, sem::Ask::WaitingToGrow, creds),
        GETZCNT => sem::ask(id, number, sem::Ask::WaitingForZero, creds),
        GETALL => copy_out(call, at, &sem::all(id, creds)?, 0),
        SETVAL => sem::set_value(id, number, int_arg(arg), pid, creds).map(|()| 0),
        SETALL => {
            let mut bytes = try_zeros(2 * sem::size_to_set(id, creds)?)?;
            call.space.copy_in(&mut bytes, at)?;
            let mut values = Vec::new();
            values
                .try_reserve_exact(bytes.len() / 2)
                .map_err(|_| Errno::ENOMEM)?;
            let pairs = bytes.chunks_exact(2);
            values
                .extend(pairs.map(|pair| u16::from_le_bytes(pair.try_into().unwrap_or_default())));
            sem::set_all(id, &values, pid).map(|()| 0)
        }
        SET => {
            let (perm, _) = read_perm::<{ sem::DS_SIZE }>(call, at)?;
            sem::set_perm(id, &perm, creds).map(|()| 0)
        }
        RMID => sem::remove(id, creds).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn msgget(call: &mut Call<'_>, key: i32, flags: u32) -> SysResult {
    id_result(msg::get(key, flags, call.creds)?)
}

/// Bytes of a message's type, before its text.
const KIND: u64 = 8;

pub(super) fn msgsnd(
    call: &mut Call<'_>,
    id: i32,
    at: UserAddr,
    size: i64,
    flags: u32,
) -> SysResult {
    let space = call.space;
    let kind: i64 = space.read_val::<u64>(at)?.cast_signed();
    let max = msg::MAX_MESSAGE.load(core::sync::atomic::Ordering::Relaxed);
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    if size > max || id < 0 || kind < 1 {
        return Err(Errno::EINVAL);
    }
    let mut text = try_zeros(usize_of(size))?;
    let from = at.checked_add(KIND).ok_or(Errno::EFAULT)?;
    space.copy_in(&mut text, from)?;
    let message = Message {
        kind,
        text: text.into_boxed_slice(),
    };
    msg::send(id, message, flags, call.task.pid(), call.creds).map(|()| 0)
}

pub(super) fn msgrcv(
    call: &mut Call<'_>,
    id: i32,
    at: UserAddr,
    size: i64,
    kind: i64,
    flags: u32,
) -> SysResult {
    not_negative(&[id])?;
    let room = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
    let message = msg::receive(id, kind, room, flags, call.task.pid(), call.creds)?;
    let space = call.space;
    space.write_val(at, &message.kind.cast_unsigned())?;
    let text = message.text.get(..room).unwrap_or(&message.text);
    let to = at.checked_add(KIND).ok_or(Errno::EFAULT)?;
    space.copy_out(to, text)?;
    Ok(u64_of(text.len()))
}

pub(super) fn msgctl(call: &mut Call<'_>, id: i32, command: i32, at: UserAddr) -> SysResult {
    const SLOT_STAT: i32 = 11;
    const USED: i32 = 12;
    const STAT_ANY: i32 = 13;
    /// Where `msg_qbytes` stands.
    const MAX_BYTES: usize = 88;
    not_negative(&[id, command])?;
    let creds = call.creds;
    match command {
        INFO | USED => {
            let (highest, bytes) = msg::info(command == USED);
            copy_out(call, at, &bytes, highest)
        }
        STAT | SLOT_STAT | STAT_ANY => {
            let (result, bytes) = msg::stat(id, command != STAT, command == STAT_ANY, creds)?;
            copy_out(call, at, &bytes, result)
        }
        SET => {
            let (perm, whole) = read_perm::<{ msg::DS_SIZE }>(call, at)?;
            let max = whole.get(MAX_BYTES..MAX_BYTES + 8);
            let max = max.and_then(|bytes| bytes.try_into().ok());
            let max = u64::from_le_bytes(max.unwrap_or_default());
            msg::set(id, &perm, max, creds).map(|()| 0)
        }
        RMID => msg::remove(id, creds).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}
