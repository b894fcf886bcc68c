//! [`SemSet`]: the semaphores of a set, who waits for them, and what is undone when a process ends
//! (semop(2)).
//!
//! An operation that can't be carried out stands in line with a ticket. Whoever changes the set
//! carries out what has become possible, first come first served, and leaves the result for the
//! ticket's holder: values never go through states that no program asked for.

use alloc::vec::Vec;

use crate::errno::Errno;
use crate::num::u64_of;

/// Largest value of a semaphore, and adjustment at a process's end (`SEMVMX`, `SEMAEM`).
pub const MAX_VALUE: i32 = 32767;
/// `SEM_UNDO` (linux/sem.h).
pub const UNDO: u16 = 0x1000;
/// `IPC_NOWAIT` in an operation's flags.
const NOWAIT: u16 = 0o4000;

/// `struct sembuf`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Op {
    /// Which semaphore of the set.
    pub number: u16,
    /// Added; 0 waits for zero.
    pub change: i16,
    /// `IPC_NOWAIT`, `SEM_UNDO`.
    pub flags: u16,
}

/// A semaphore.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Sem {
    /// Its value.
    pub value: i32,
    /// Who changed it last.
    pub pid: u32,
}

/// Operations that wait.
#[derive(Debug)]
struct Waiter {
    ticket: u64,
    ops: Vec<Op>,
    pid: u32,
    /// The operation that can't be carried out yet.
    blocking: Op,
}

/// What a process has to undo: a change for each semaphore.
#[derive(Debug)]
struct Undo {
    pid: u32,
    changes: Vec<i32>,
}

/// How trying to carry operations out ends.
enum Tried {
    Done,
    Blocked(Op),
}

/// How [`SemSet::operate`] ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Carried out; whether waiters were served by it.
    Done(bool),
    /// In line, with this ticket.
    Waiting(u64),
}

/// The semaphores of a set.
#[derive(Debug)]
pub struct SemSet {
    sems: Vec<Sem>,
    waiters: Vec<Waiter>,
    finished: Vec<(u64, Result<(), Errno>)>,
    undos: Vec<Undo>,
    next_ticket: u64,
    /// When operations were last carried out, in seconds.
    pub changed: i64,
}

impl SemSet {
    /// `count` semaphores at zero.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(count: usize) -> Result<Self, Errno> {
        Ok(Self {
            sems: filled(count, Sem::default())?,
            waiters: Vec::new(),
            finished: Vec::new(),
            undos: Vec::new(),
            next_ticket: 0,
            changed: 0,
        })
    }

    /// The semaphores.
    #[must_use]
    pub fn sems(&self) -> &[Sem] {
        &self.sems
    }

    /// How many wait for semaphore `number` to grow, or to become zero.
    #[must_use]
    pub fn waiting(&self, number: u16, for_zero: bool) -> usize {
        let waits = |waiter: &&Waiter| {
            let op = waiter.blocking;
            op.number == number && (op.change == 0) == for_zero
        };
        self.waiters.iter().filter(waits).count()
    }

    /// Carries `ops` out, all or none, or puts them in line.
    ///
    /// # Errors
    /// `EAGAIN` when they would wait and mustn't, `EFBIG` for a semaphore that isn't there,
    /// `ERANGE`, `ENOMEM`.
    pub fn operate(&mut self, ops: &[Op], pid: u32, now: i64) -> Result<Outcome, Errno> {
        let count = self.sems.len();
        if ops.iter().any(|op| usize::from(op.number) >= count) {
            return Err(Errno::EFBIG);
        }
        if ops.iter().any(|op| op.flags & UNDO != 0) {
            self.undo_of(pid)?;
        }
        match self.attempt(ops, pid)? {
            Tried::Done => {
                self.changed = now;
                Ok(Outcome::Done(self.serve(now)))
            }
            Tried::Blocked(op) if op.flags & NOWAIT != 0 => Err(Errno::EAGAIN),
            Tried::Blocked(blocking) => {
                let mut kept = Vec::new();
                kept.try_reserve_exact(ops.len())
                    .map_err(|_| Errno::ENOMEM)?;
                kept.extend_from_slice(ops);
                // Room for the result is there from the start.
                let places = self.waiters.len() + 1;
                self.finished
                    .try_reserve(places)
                    .map_err(|_| Errno::ENOMEM)?;
                self.waiters.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.waiters.push(Waiter {
                    ticket,
                    ops: kept,
                    pid,
                    blocking,
                });
                Ok(Outcome::Waiting(ticket))
            }
        }
    }

    /// The result of the operations with this ticket, once there is one.
    pub fn take_result(&mut self, ticket: u64) -> Option<Result<(), Errno>> {
        let at = self.finished.iter().position(|(done, _)| *done == ticket)?;
        Some(self.finished.swap_remove(at).1)
    }

    /// Takes operations out of the line. Their result, if they have one already.
    pub fn give_up(&mut self, ticket: u64) -> Option<Result<(), Errno>> {
        self.waiters.retain(|waiter| waiter.ticket != ticket);
        self.take_result(ticket)
    }

    /// Sets one value (`SETVAL`); nothing of it is undone. Answers whether waiters were served.
    ///
    /// # Errors
    /// `ERANGE`; `EINVAL` for a semaphore that isn't there.
    pub fn set(&mut self, number: usize, value: i32, pid: u32, now: i64) -> Result<bool, Errno> {
        if !(0..=MAX_VALUE).contains(&value) {
            return Err(Errno::ERANGE);
        }
        *self.sems.get_mut(number).ok_or(Errno::EINVAL)? = Sem { value, pid };
        for undo in &mut self.undos {
            if let Some(change) = undo.changes.get_mut(number) {
                *change = 0;
            }
        }
        Ok(self.serve(now))
    }

    /// Sets all values (`SETALL`).
    ///
    /// # Errors
    /// `ERANGE`, and then none is set.
    pub fn set_all(&mut self, values: &[u16], pid: u32, now: i64) -> Result<bool, Errno> {
        if values.iter().any(|value| i32::from(*value) > MAX_VALUE) {
            return Err(Errno::ERANGE);
        }
        for (sem, value) in self.sems.iter_mut().zip(values) {
            *sem = Sem {
                value: i32::from(*value),
                pid,
            };
        }
        self.undos.clear();
        Ok(self.serve(now))
    }

    /// The set is removed: everybody who waits learns it. Answers whether anybody did.
    pub fn remove(&mut self) -> bool {
        let any = !self.waiters.is_empty();
        for waiter in self.waiters.drain(..) {
            self.finished.push((waiter.ticket, Err(Errno::EIDRM)));
        }
        any
    }

    /// A process has ended: its changes are undone, as far as values allow. Answers whether
    /// waiters were served.
    pub fn process_ended(&mut self, pid: u32, now: i64) -> bool {
        let Some(at) = self.undos.iter().position(|undo| undo.pid == pid) else {
            return false;
        };
        let undo = self.undos.swap_remove(at);
        for (sem, change) in self.sems.iter_mut().zip(undo.changes) {
            if change != 0 {
                sem.value = (sem.value + change).clamp(0, MAX_VALUE);
                sem.pid = pid;
            }
        }
        self.serve(now)
    }

    /// The undo list of a process.
    fn undo_of(&mut self, pid: u32) -> Result<&mut Undo, Errno> {
        let at = match self.undos.iter().position(|undo| undo.pid == pid) {
            Some(at) => at,
            None => {
                let changes = filled(self.sems.len(), 0)?;
                self.undos.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                self.undos.push(Undo { pid, changes });
                self.undos.len() - 1
            }
        };
        self.undos.get_mut(at).ok_or(Errno::ENOMEM)
    }

    /// Carries out all of `ops` or, when one can't be, none.
    fn attempt(&mut self, ops: &[Op], pid: u32) -> Result<Tried, Errno> {
        for (index, op) in ops.iter().enumerate() {
            let blocked = match self.apply(*op, pid) {
                Ok(None) => continue,
                Ok(Some(op)) => Ok(Tried::Blocked(op)),
                Err(errno) => Err(errno),
            };
            for done in ops.iter().take(index).rev() {
                self.revert(*done, pid);
            }
            return blocked;
        }
        for op in ops {
            if let Some(sem) = self.sems.get_mut(usize::from(op.number)) {
                sem.pid = pid;
            }
        }
        Ok(Tried::Done)
    }

    /// Carries one operation out; answers it when it must wait.
    fn apply(&mut self, op: Op, pid: u32) -> Result<Option<Op>, Errno> {
        let change = i32::from(op.change);
        let sem = self.sems.get_mut(usize::from(op.number));
        let sem = sem.ok_or(Errno::EFBIG)?;
        let result = sem.value + change;
        if change == 0 && sem.value != 0 || result < 0 {
            return Ok(Some(op));
        }
        if result > MAX_VALUE {
            return Err(Errno::ERANGE);
        }
        if op.flags & UNDO != 0 {
            let undo = self.undo_of(pid)?.changes.get_mut(usize::from(op.number));
            let undo = undo.ok_or(Errno::EFBIG)?;
            if !(-MAX_VALUE - 1..=MAX_VALUE).contains(&(*undo - change)) {
                return Err(Errno::ERANGE);
            }
            *undo -= change;
        }
        if let Some(sem) = self.sems.get_mut(usize::from(op.number)) {
            sem.value = result;
        }
        Ok(None)
    }

    fn revert(&mut self, op: Op, pid: u32) {
        let number = usize::from(op.number);
        if let Some(sem) = self.sems.get_mut(number) {
            sem.value -= i32::from(op.change);
        }
        let mut undos = self.undos.iter_mut().filter(|undo| undo.pid == pid);
        if op.flags & UNDO != 0
            && let Some(undo) = undos.next()
            && let Some(change) = undo.changes.get_mut(number)
        {
            *change += i32::from(op.change);
        }
    }

    /// Carries out whatever in line has become possible. Answers whether anything was.
    fn serve(&mut self, now: i64) -> bool {
        let mut served = false;
        let mut at = 0;
        while let Some(waiter) = self.waiters.get_mut(at) {
            let (ops, pid) = (core::mem::take(&mut waiter.ops), waiter.pid);
            let tried = self.attempt(&ops, pid);
            let result = match tried {
                Ok(Tried::Blocked(blocking)) => {
                    if let Some(waiter) = self.waiters.get_mut(at) {
                        (waiter.ops, waiter.blocking) = (ops, blocking);
                    }
                    at += 1;
                    continue;
                }
                Ok(Tried::Done) => Ok(()),
                Err(errno) => Err(errno),
            };
            let changes = result.is_ok() && ops.iter().any(|op| op.change != 0);
            let waiter = self.waiters.remove(at);
            self.finished.push((waiter.ticket, result));
            if result.is_ok() {
                self.changed = now;
            }
            served = true;
            if changes {
                // Those before it may be possible now.
                at = 0;
            }
        }
        served
    }

    /// Bytes of memory it takes, about.
    #[must_use]
    pub fn weight(count: usize) -> u64 {
        u64_of(count * size_of::<Sem>())
    }
}

fn filled<T: Clone>(count: usize, value: T) -> Result<Vec<T>, Errno> {
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    list.resize(count, value);
    Ok(list)
}

#[cfg(test)]
#[path = "sem_tests.rs"]
mod tests;
