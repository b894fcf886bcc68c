//! futex(2): its many operations taken apart.

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::futex::{Command, Operation, WakeOp};
use kiln_core::num::{low32, u64_of, usize_of32};

use super::time::{absolute_deadline, read_timespec, relative_deadline};
use super::{Call, SysResult};
use crate::process::futex::{self as queues, Word};
use crate::process::{Restart, Task};
use alloc::sync::Arc;

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
    let space = call.task.space()?;
    let at = |addr| Word {
        space: &space,
        addr,
        private: command.private,
    };
    let word = at(addr);
    let bits = if command.bitset { third } else { ANY };
    // Where there is no timeout its register is a count.
    let second_count = count(low32(timeout));
    let woken = match command.operation {
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
