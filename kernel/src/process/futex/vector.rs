//! futex_waitv(2): sleeping on several words at once.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kiln_core::errno::Errno;

use super::super::task::Task;
use super::{Kind, Place, Waiter, Word, bucket, leave};
use crate::mm::{kmem, user};
use crate::sched::{Deadline, Mode, Wake};

/// One of the words, and the value it must hold.
#[derive(Clone, Copy)]
pub(crate) struct One<'a> {
    /// The word.
    pub(crate) word: Word<'a>,
    /// Its value.
    pub(crate) value: u32,
}

/// Sleeps until one of the words is woken, as long as all hold their values. Answers which.
///
/// # Errors
/// `EAGAIN` when one doesn't, `ETIMEDOUT`, `ERESTARTSYS`, `EINVAL`, `EFAULT`, `ENOMEM`.
pub(crate) fn wait_for_any(
    task: &Arc<Task>,
    words: &[One<'_>],
    deadline: Deadline,
) -> Result<usize, Errno> {
    let mut waiters: Vec<Arc<Waiter>> = Vec::new();
    waiters
        .try_reserve_exact(words.len())
        .map_err(|_| Errno::ENOMEM)?;
    let _charge = kmem::charge(words.len() * (size_of::<Waiter>() + 16))?;
    let entered = words.iter().try_for_each(|one| {
        let waiter = Arc::new(Waiter {
            chief: Some(Arc::clone(&task.futex)),
            ..Waiter::default()
        });
        waiter.press(task);
        enter(&waiter, one)?;
        waiters.push(waiter);
        Ok(())
    });
    let woken = || {
        let woken = |waiter: &Arc<Waiter>| waiter.woken.load(Ordering::Acquire);
        waiters.iter().position(woken)
    };
    let slept = match entered {
        Ok(()) => task
            .futex
            .queue
            .wait(Mode::Interruptible, deadline, woken)
            .map_err(|wake| match wake {
                Wake::Timeout => Errno::ETIMEDOUT,
                Wake::Signal => Errno::ERESTARTSYS,
            }),
        Err(errno) => Err(errno),
    };
    // A wake-up that comes before all have left counts.
    for waiter in &waiters {
        leave(waiter);
    }
    woken().map_or(slept, Ok)
}

fn enter(waiter: &Arc<Waiter>, one: &One<'_>) -> Result<(), Errno> {
    let key = one.word.key()?;
    loop {
        let mut sleepers = bucket(key.bucket_number()).lock();
        let Ok(now) = user::load_u32(one.word.addr) else {
            drop(sleepers);
            one.word.bring(false)?;
            continue;
        };
        if now != one.value {
            return Err(Errno::EAGAIN);
        }
        sleepers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        *waiter.place.lock() = Some(Place {
            key,
            bits: u32::MAX,
            kind: Kind::Plain,
        });
        Arc::clone(waiter).line_up(&mut sleepers);
        return Ok(());
    }
}
