//! System V semaphores (semget(2), semop(2), semctl(2)).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::ipc::sem::{MAX_VALUE, Op, Outcome, SemSet, UNDO};
use kiln_core::ipc::{Ids, PERM_SIZE, Perm};
use kiln_core::num::{u64_of, usize_of};

use super::{Object, Table};
use crate::fs::memory::try_arc;
use crate::sched::{Deadline, Mode, WaitQueue, Wake};
use crate::sync::{SpinLock, SpinLockGuard};

/// `/proc/sys/kernel/sem`: semaphores of a set and of all, operations of a call, and sets, at first
/// `SEMMSL`, `SEMMNS`, `SEMOPM` and `SEMMNI` (linux/sem.h).
pub(super) static LIMITS: [AtomicU64; 4] = [
    AtomicU64::new(32000),
    AtomicU64::new(32000 * 32000),
    AtomicU64::new(500),
    AtomicU64::new(32000),
];

/// The limits as they are now.
pub(crate) fn limits() -> [usize; 4] {
    LIMITS
        .each_ref()
        .map(|limit| usize_of(limit.load(Ordering::Relaxed)))
}

/// Bytes of `struct semid64_ds` and `struct seminfo`.
pub(crate) const DS_SIZE: usize = 104;
pub(crate) const INFO_SIZE: usize = 40;

/// A set of semaphores.
pub(crate) struct Set {
    perm: SpinLock<Perm>,
    state: SpinLock<State>,
    count: usize,
    queue: WaitQueue,
}

struct State {
    sems: SemSet,
    changed: i64,
    removed: bool,
}

pub(super) static SETS: Table<Set> = SpinLock::new(Ids::new());
/// Some process has, or had, something to undo.
static UNDOING: AtomicBool = AtomicBool::new(false);

impl Object for Set {
    fn perm(&self) -> &SpinLock<Perm> {
        &self.perm
    }

    fn entered(&self, _: i32) {}
}

/// semget(2).
///
/// # Errors
/// As there.
pub(crate) fn get(key: i32, count: i32, flags: u32, creds: &Credentials) -> Result<i32, Errno> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let [per_set, most, _, sets] = limits();
    if count > per_set {
        return Err(Errno::EINVAL);
    }
    let fits = |set: &Set| {
        if count > set.count {
            return Err(Errno::EINVAL);
        }
        Ok(())
    };
    super::get(&SETS, key, flags, creds, sets, fits, |perm| {
        if count == 0 {
            return Err(Errno::EINVAL);
        }
        if in_all() + count > most {
            return Err(Errno::ENOSPC);
        }
        try_arc(Set {
            perm: SpinLock::new(perm),
            state: SpinLock::new(State {
                sems: SemSet::new(count)?,
                changed: super::now(),
                removed: false,
            }),
            count,
            queue: WaitQueue::new(),
        })
    })
}

impl Set {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// When it was last operated on, and changed.
    pub(super) fn times(&self) -> (i64, i64) {
        let state = self.state.lock();
        (state.sems.changed, state.changed)
    }

    fn alive(&self) -> Result<SpinLockGuard<'_, State>, Errno> {
        let state = self.state.lock();
        if state.removed {
            return Err(Errno::EIDRM);
        }
        Ok(state)
    }

    fn check(&self, flags: u32, creds: &Credentials) -> Result<(), Errno> {
        let perm = *self.perm.lock();
        perm.check(flags, creds)
    }

    fn served(&self, any: bool) {
        if any {
            self.queue.wake_all();
        }
    }
}

/// semop(2) and semtimedop(2).
///
/// # Errors
/// As there; `EINTR` is never restarted.
pub(crate) fn operate(
    id: i32,
    ops: &[Op],
    deadline: Deadline,
    pid: u32,
    creds: &Credentials,
) -> Result<(), Errno> {
    let set = super::find(&SETS, id)?;
    if ops.iter().any(|op| usize::from(op.number) >= set.count) {
        return Err(Errno::EFBIG);
    }
    let alters = ops.iter().any(|op| op.change != 0);
    set.check(if alters { 0o222 } else { 0o444 }, creds)?;
    if ops.iter().any(|op| op.flags & UNDO != 0) {
        UNDOING.store(true, Ordering::Relaxed);
    }
    let now = super::now();
    let ticket = match set.alive()?.sems.operate(ops, pid, now)? {
        Outcome::Waiting(ticket) => ticket,
        Outcome::Done(served) => {
            set.served(served);
            return Ok(());
        }
    };
    let result = || set.state.lock().sems.take_result(ticket);
    match set.queue.wait(Mode::Interruptible, deadline, result) {
        Ok(result) => result,
        Err(wake) => {
            let late = set.state.lock().sems.give_up(ticket);
            late.unwrap_or(Err(match wake {
                Wake::Signal => Errno::EINTR,
                Wake::Timeout => Errno::EAGAIN,
            }))
        }
    }
}

/// A process has ended: what it has to undo is undone.
pub(crate) fn process_ended(pid: u32) {
    if !UNDOING.load(Ordering::Relaxed) {
        return;
    }
    let now = super::now();
    let mut at = 0;
    loop {
        let ids = SETS.lock();
        let Some((slot, _, set)) = ids.next(at) else {
            return;
        };
        let set = Arc::clone(set);
        drop(ids);
        at = slot + 1;
        let served = set.state.lock().sems.process_ended(pid, now);
        set.served(served);
    }
}

/// Semaphores of all sets.
fn in_all() -> usize {
    let (mut at, mut all) = (0, 0);
    let ids = SETS.lock();
    while let Some((slot, _, set)) = ids.next(at) {
        all += set.count;
        at = slot + 1;
    }
    all
}

/// `IPC_INFO` and `SEM_INFO`: the highest slot, and `struct seminfo`.
pub(crate) fn info(used: bool) -> (i32, [u8; INFO_SIZE]) {
    /// `SEMUSZ`.
    const UNDO_SIZE: usize = 20;
    let (sets, highest) = {
        let ids = SETS.lock();
        (ids.len(), i32::try_from(ids.highest()).unwrap_or(0))
    };
    let most = usize::try_from(MAX_VALUE).unwrap_or(0);
    let (size, last) = if used {
        (sets, in_all())
    } else {
        (UNDO_SIZE, most)
    };
    let [per_set, most_of_all, ops, most_sets] = limits();
    let words = [
        most_of_all,
        most_sets,
        most_of_all,
        most_of_all,
        per_set,
        ops,
        // `SEMUME`: entries of a process's undo list, which isn't bounded.
        500,
        size,
        most,
        last,
    ];
    let mut bytes = [0; INFO_SIZE];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        let word = kiln_core::num::low32(u64_of(word));
        place.copy_from_slice(&word.to_le_bytes());
    }
    (highest, bytes)
}

/// `IPC_STAT` and, by slot, `SEM_STAT` and `SEM_STAT_ANY`.
pub(crate) fn stat(
    id: i32,
    by_slot: bool,
    any: bool,
    creds: &Credentials,
) -> Result<(i32, [u8; DS_SIZE]), Errno> {
    let (id, set) = super::find_to_show(&SETS, id, by_slot, any, creds)?;
    let perm = *set.perm.lock();
    let (operated, changed) = set.times();
    let words = [operated, 0, changed, 0].map(i64::cast_unsigned);
    let [a, b, c, d] = words;
    let bytes = super::with_perm(&perm, id, &[a, b, c, d, u64_of(set.count)]);
    Ok((if by_slot { id } else { 0 }, bytes))
}

/// `IPC_SET`.
pub(crate) fn set_perm(id: i32, new: &[u8; PERM_SIZE], creds: &Credentials) -> Result<(), Errno> {
    let set = super::find_own(&SETS, id, creds)?;
    set.perm.lock().set(new)?;
    let now = super::now();
    set.alive()?.changed = now;
    Ok(())
}

/// `IPC_RMID`.
pub(crate) fn remove(id: i32, creds: &Credentials) -> Result<(), Errno> {
    let set = super::find_own(&SETS, id, creds)?;
    let removed = SETS.lock().remove(id);
    let mut state = set.alive()?;
    state.removed = true;
    let any = state.sems.remove();
    drop(state);
    set.served(any);
    drop(removed);
    Ok(())
}

/// What is asked of one semaphore.
#[derive(Clone, Copy)]
pub(crate) enum Ask {
    /// `GETVAL`.
    Value,
    /// `GETPID`.
    Pid,
    /// `GETNCNT`.
    WaitingToGrow,
    /// `GETZCNT`.
    WaitingForZero,
}

/// `GETVAL` and its kin.
pub(crate) fn ask(id: i32, number: i32, what: Ask, creds: &Credentials) -> Result<u64, Errno> {
    let set = super::find(&SETS, id)?;
    set.check(0o444, creds)?;
    let state = set.alive()?;
    let index = usize::try_from(number).map_err(|_| Errno::EINVAL)?;
    let sem = *state.sems.sems().get(index).ok_or(Errno::EINVAL)?;
    let number = u16::try_from(number).map_err(|_| Errno::EINVAL)?;
    Ok(match what {
        Ask::Value => u64::from(sem.value.unsigned_abs()),
        Ask::Pid => u64::from(sem.pid),
        Ask::WaitingToGrow => u64_of(state.sems.waiting(number, false)),
        Ask::WaitingForZero => u64_of(state.sems.waiting(number, true)),
    })
}

/// `GETALL`.
pub(crate) fn all(id: i32, creds: &Credentials) -> Result<Vec<u8>, Errno> {
    let set = super::find(&SETS, id)?;
    set.check(0o444, creds)?;
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(2 * set.count)
        .map_err(|_| Errno::ENOMEM)?;
    for sem in set.alive()?.sems.sems() {
        bytes.extend_from_slice(&u16::try_from(sem.value).unwrap_or(0).to_le_bytes());
    }
    Ok(bytes)
}

/// How many semaphores a set has, for `SETALL`.
pub(crate) fn size_to_set(id: i32, creds: &Credentials) -> Result<usize, Errno> {
    let set = super::find(&SETS, id)?;
    set.check(0o222, creds)?;
    Ok(set.count)
}

/// `SETALL`.
pub(crate) fn set_all(id: i32, values: &[u16], pid: u32) -> Result<(), Errno> {
    let set = super::find(&SETS, id)?;
    let now = super::now();
    let mut state = set.alive()?;
    let served = state.sems.set_all(values, pid, now)?;
    state.changed = now;
    drop(state);
    set.served(served);
    Ok(())
}

/// `SETVAL`.
pub(crate) fn set_value(
    id: i32,
    number: i32,
    value: i32,
    pid: u32,
    creds: &Credentials,
) -> Result<(), Errno> {
    if !(0..=MAX_VALUE).contains(&value) {
        return Err(Errno::ERANGE);
    }
    let set = super::find(&SETS, id)?;
    let index = usize::try_from(number).map_err(|_| Errno::EINVAL)?;
    if index >= set.count {
        return Err(Errno::EINVAL);
    }
    set.check(0o222, creds)?;
    let now = super::now();
    let mut state = set.alive()?;
    let served = state.sems.set(index, value, pid, now)?;
    state.changed = now;
    drop(state);
    set.served(served);
    Ok(())
}
