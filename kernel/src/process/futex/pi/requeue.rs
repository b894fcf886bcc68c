//! Sleepers of a word who are moved to a lock, as condition variables are: `FUTEX_WAIT_REQUEUE_PI`,
//! `FUTEX_CMP_REQUEUE_PI`.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::errno::Errno;

use super::{CLAIMS, Claim, claim_word, claims, sleep};
use crate::mm::user;
use crate::process::futex::{Key, Kind, Place, Sleepers, Word, enter, lend, lock_both};
use crate::process::task::Task;
use crate::sched::{Deadline, Wake};

/// `FUTEX_WAIT_REQUEUE_PI`: sleeps on `word` as long as it holds `value`, until the lock `target`
/// is the caller's.
///
/// # Errors
/// `EAGAIN` when it doesn't hold it, or a signal came after the move; `ETIMEDOUT`,
/// `ERESTARTNOINTR`, `EINVAL`, `EFAULT`, `ENOMEM`.
pub(crate) fn wait_for_lock(
    task: &Arc<Task>,
    word: Word<'_>,
    value: u32,
    target: Word<'_>,
    deadline: Deadline,
) -> Result<(), Errno> {
    let (key, lock) = (word.key()?, target.key()?);
    if key == lock {
        return Err(Errno::EINVAL);
    }
    let claim = Claim {
        tid: task.tid(),
        owner: 0,
        inherits: false,
    };
    let sleepers = enter(task, word, key, value, u32::MAX, Kind::Moves(claim, lock))?;
    CLAIMS.fetch_add(1, Ordering::SeqCst);
    drop(sleepers);
    sleep(task, target, deadline).map_err(|(wake, at)| match wake {
        Wake::Timeout => Errno::ETIMEDOUT,
        // Made anew, the call would sleep on the first word again, where nobody looks for it any more.
        Wake::Signal if at == lock => Errno::EAGAIN,
        Wake::Signal => Errno::ERESTARTNOINTR,
    })
}

/// `FUTEX_CMP_REQUEUE_PI`: gives the lock `to` to the first who sleeps on `from`, if it is free, and
/// moves up to `moves` others to sleep for it; only when `from` holds `expected`. Answers how many.
///
/// # Errors
/// `EAGAIN` when it doesn't, `EINVAL` for sleepers that didn't ask for this lock, `EDEADLK`, `ESRCH`,
/// `EFAULT`, `ENOMEM`.
pub(crate) fn requeue_to_lock(
    from: Word<'_>,
    to: Word<'_>,
    moves: usize,
    expected: u32,
) -> Result<usize, Errno> {
    let (source, target) = (from.key()?, to.key()?);
    if source == target {
        return Err(Errno::EINVAL);
    }
    loop {
        let (mut sleepers, mut others) = lock_both(source, target);
        match user::load_u32(from.addr) {
            Ok(now) if now != expected => return Err(Errno::EAGAIN),
            Ok(_) => {}
            Err(_) => {
                drop((sleepers, others));
                from.bring(false)?;
                continue;
            }
        }
        let moved = move_claims(
            &mut sleepers,
            others.as_mut(),
            to,
            [source, target],
            moves.saturating_add(1),
        );
        match moved {
            Err(Errno::EFAULT) => {
                drop((sleepers, others));
                to.bring(true)?;
            }
            moved => {
                let owner = claims(others.as_deref().unwrap_or(&sleepers), target)
                    .next()
                    .map(|(_, claim)| claim.owner);
                drop((sleepers, others));
                if let Some(owner) = owner {
                    lend::refresh(owner);
                }
                return moved;
            }
        }
    }
}

fn move_claims(
    sleepers: &mut Sleepers,
    mut others: Option<&mut Sleepers>,
    to: Word<'_>,
    [source, target]: [Key; 2],
    count: usize,
) -> Result<usize, Errno> {
    let mut done = 0;
    while done < count {
        let next = sleepers
            .iter()
            .find_map(|waiter| Some((Arc::clone(waiter), waiter.kind_on(source)?)));
        let Some((waiter, kind)) = next else { break };
        let Kind::Moves(claim, lock) = kind else {
            return Err(Errno::EINVAL);
        };
        if lock != target {
            return Err(Errno::EINVAL);
        }
        let there = others.as_deref_mut().unwrap_or(sleepers);
        there.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        match claim_word(there, to, target, claim.tid)? {
            None => {
                sleepers.retain(|other| !Arc::ptr_eq(other, &waiter));
                waiter.wake();
            }
            Some(owner) => {
                *waiter.place.lock() = Some(Place {
                    key: target,
                    bits: u32::MAX,
                    kind: Kind::Owner(Claim { owner, ..claim }),
                });
                if let Some(others) = others.as_deref_mut() {
                    sleepers.retain(|other| !Arc::ptr_eq(other, &waiter));
                    waiter.line_up(others);
                }
            }
        }
        done += 1;
    }
    Ok(done)
}
