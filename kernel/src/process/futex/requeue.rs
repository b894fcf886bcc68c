//! `FUTEX_REQUEUE`, `FUTEX_CMP_REQUEUE`: sleepers of one word become another's without waking.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::errno::Errno;

use super::{Key, Waiter, Word, check_plain, lock_both, wake_in};
use crate::mm::user;

/// Wakes up to `wakes` sleepers of `from` and moves up to `moves` others to `to`; only when `from`
/// holds `expected`, if that is given. Answers how many were woken and how many moved.
///
/// # Errors
/// `EAGAIN` when it doesn't hold it, `EINVAL`, `EFAULT`, `ENOMEM`.
pub(crate) fn requeue(
    from: Word<'_>,
    to: Word<'_>,
    wakes: usize,
    moves: usize,
    expected: Option<u32>,
) -> Result<(usize, usize), Errno> {
    let (source, target) = (from.key()?, to.key()?);
    loop {
        let (mut sleepers, mut others) = lock_both(source, target);
        if let Some(expected) = expected {
            match user::load_u32(from.addr) {
                Ok(now) if now != expected => return Err(Errno::EAGAIN),
                Ok(_) => {}
                Err(_) => {
                    drop((sleepers, others));
                    from.bring(false)?;
                    continue;
                }
            }
        }
        check_plain(&sleepers, source)?;
        let woken = wake_in(&mut sleepers, source, u32::MAX, wakes);
        let moved = move_in(&mut sleepers, others.as_deref_mut(), source, target, moves)?;
        return Ok((woken, moved));
    }
}

/// Moves up to `count` sleepers from one key to another.
fn move_in(
    sleepers: &mut Vec<Arc<Waiter>>,
    mut others: Option<&mut Vec<Arc<Waiter>>>,
    source: Key,
    target: Key,
    count: usize,
) -> Result<usize, Errno> {
    if source == target {
        let same = sleepers
            .iter()
            .filter(|waiter| waiter.matches(source, u32::MAX));
        return Ok(same.take(count).count());
    }
    if let Some(others) = others.as_deref_mut() {
        let matching = sleepers
            .iter()
            .filter(|waiter| waiter.matches(source, u32::MAX));
        let room = matching.count().min(count);
        others.try_reserve(room).map_err(|_| Errno::ENOMEM)?;
    }
    let mut moved = 0;
    sleepers.retain(|waiter| {
        if moved == count || !waiter.matches(source, u32::MAX) {
            return true;
        }
        moved += 1;
        if let Some(place) = waiter.place.lock().as_mut() {
            place.key = target;
        }
        match others.as_deref_mut() {
            Some(others) => {
                Arc::clone(waiter).line_up(others);
                false
            }
            None => true,
        }
    });
    Ok(moved)
}
