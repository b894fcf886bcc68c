//! futex(2): its many operations taken apart.

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::futex::{Command, Operation, WakeOp};
use kiln_core::num::{low32, u64_of, usize_of32};

use super::time::{absolute_deadline, read_timespec, relative_deadline};
use super::{Call, SysResult};
use crate::process::futex::{self as queues, One, Word};
use crate::process::{Restart, Task};
use crate::sched::Deadline;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Every sleeper matches (`FUTEX_BITSET_MATCH_ANY`).
const ANY: u32 = u32::MAX;

pub(super) fn futex(
    call: &mut Call<'_>,
    addr: UserAddr,
    op: u32,
    value: u32,
    timeout: u64,
    second: UserAddr,
    third: u32,
) -> SysResult {
    let command = Command::decode(op)?;
    let space = call.space;
    let at = |addr| Word {
        space,
        addr,
        private: command.private,
    };
    let word = at(addr);
    let bits = if command.bitset { third } else { ANY };
    // Where there is no timeout its register is a count.
    let second_count = count(low32(timeout));
    let absolute = || -> Result<Deadline, Errno> {
        if timeout == 0 {
            return Ok(None);
        }
        let ns = read_timespec(call, UserAddr::new(timeout))?.to_ns()?;
        Ok(Some(if command.realtime {
            absolute_deadline(ns, true)
        } else {
            ns
        }))
    };
    let woken = match command.operation {
        Operation::Lock { tries: true } => return done(queues::lock(call.task, word, None, true)),
        Operation::Lock { tries: false } => {
            let deadline = absolute()?;
            return done(queues::lock(call.task, word, deadline, false));
        }
        Operation::Unlock => return done(queues::unlock(call.task, word)),
        Operation::WaitForLock => {
            let deadline = absolute()?;
            let waited = queues::wait_for_lock(call.task, word, value, at(second), deadline);
            return done(waited);
        }
        Operation::RequeueToLock => {
            let (wakes, moves) = (signed_count(value)?, signed_count(low32(timeout))?);
            if wakes != 1 {
                return Err(Errno::EINVAL);
            }
            queues::requeue_to_lock(word, at(second), moves, third)?
        }
        Operation::Wait { .. } => return wait(call, word, value, bits, command, timeout),
        Operation::Wake => queues::wake(word, bits, count(value).max(1))?,
        Operation::Requeue { compare } => {
            let (wakes, moves) = (signed_count(value)?, signed_count(low32(timeout))?);
            let expected = compare.then_some(third);
            let (woken, moved) = queues::requeue(word, at(second), wakes, moves, expected)?;
            // FUTEX_REQUEUE too answers with both: Linux's man page errs.
            woken + moved
        }
        Operation::WakeOp => {
            let op = WakeOp::decode(third)?;
            queues::wake_op(
                word,
                at(second),
                count(value).max(1),
                second_count.max(1),
                op,
            )?
        }
    };
    Ok(u64_of(woken))
}

fn done(result: Result<(), Errno>) -> SysResult {
    result.map(|()| 0)
}

/// Most words of futex_waitv(2).
const WAITV_MAX: usize = 128;
/// `FUTEX2_SIZE_U32` and `FUTEX2_PRIVATE` (linux/futex.h).
const SIZE_U32: u32 = 2;
const PRIVATE: u32 = abi::FUTEX_PRIVATE_FLAG;

/// futex_waitv(2): `struct futex_waitv` is a value, an address, flags and a reserved word.
pub(super) fn futex_waitv(
    call: &mut Call<'_>,
    list: UserAddr,
    count: u32,
    flags: u32,
    timeout: UserAddr,
    clock: u32,
) -> SysResult {
    let count = usize_of32(count);
    if flags != 0 || count == 0 || count > WAITV_MAX || list.is_null() {
        return Err(Errno::EINVAL);
    }
    let deadline = if timeout.is_null() {
        None
    } else {
        let ns = |call: &Call<'_>| read_timespec(call, timeout)?.to_ns();
        Some(match clock {
            abi::CLOCK_MONOTONIC => ns(call)?,
            abi::CLOCK_REALTIME => absolute_deadline(ns(call)?, true),
            _ => return Err(Errno::EINVAL),
        })
    };
    let space = call.space;
    let mut words = Vec::new();
    words.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    let mut at = list;
    for _ in 0..count {
        let [value, addr, how]: [u64; 3] = space.read_val(at)?;
        let (how, reserved) = (low32(how), kiln_core::num::high32(how));
        if how & !(SIZE_U32 | PRIVATE) != 0 || how & SIZE_U32 == 0 || reserved != 0 {
            return Err(Errno::EINVAL);
        }
        words.push(One {
            word: Word {
                space,
                addr: UserAddr::new(addr),
                private: how & PRIVATE != 0,
            },
            value: low32(value),
        });
        at = at.checked_add(24).ok_or(Errno::EFAULT)?;
    }
    queues::wait_for_any(call.task, &words, deadline).map(u64_of)
}

/// How many to wake: a negative number is as good as one.
fn count(value: u32) -> usize {
    usize::try_from(value.cast_signed()).unwrap_or(1)
}

fn signed_count(value: u32) -> Result<usize, Errno> {
    usize::try_from(value.cast_signed()).map_err(|_| Errno::EINVAL)
}

fn wait(
    call: &Call<'_>,
    word: Word<'_>,
    value: u32,
    bits: u32,
    command: Command,
    timeout: u64,
) -> SysResult {
    let absolute = command.operation == Operation::Wait { absolute: true };
    let deadline = if timeout == 0 {
        None
    } else {
        let ns = read_timespec(call, UserAddr::new(timeout))?.to_ns()?;
        Some(match (absolute, command.realtime) {
            (true, true) => absolute_deadline(ns, true),
            (true, false) => ns,
            (false, _) => relative_deadline(ns),
        })
    };
    let slept = queues::wait(call.task, word, value, bits, deadline);
    match (slept, deadline) {
        (Err(Errno::ERESTARTSYS), Some(deadline)) => {
            call.task.set_restart(Restart::Futex {
                addr: word.addr,
                value,
                bitset: bits,
                private: word.private,
                deadline,
            });
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        (slept, _) => slept.map(|()| 0),
    }
}

/// Goes on with an interrupted wait.
pub(super) fn resume(task: &Arc<Task>, restart: Restart) -> SysResult {
    let Restart::Futex {
        addr,
        value,
        bitset,
        private,
        deadline,
    } = restart
    else {
        return Err(Errno::EINTR);
    };
    let space = task.space()?;
    let word = Word {
        space: &space,
        addr,
        private,
    };
    let slept = queues::wait(task, word, value, bitset, Some(deadline));
    if slept == Err(Errno::ERESTARTSYS) {
        task.set_restart(restart);
        return Err(Errno::ERESTART_RESTARTBLOCK);
    }
    slept.map(|()| usize_of32(0)).map(u64_of)
}
