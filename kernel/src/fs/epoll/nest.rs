//! Epoll files that watch epoll files: [`Nest`]. A wake-up goes from file to file on one kernel stack, so there are
//! never more than a few above one another, and none in a ring.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use kiln_core::errno::Errno;

use super::ready::Ready;
use crate::sched::{Mutex, MutexGuard};

/// How many epoll files may watch one another in a row (fs/eventpoll.c, `EP_MAX_NESTS`), beside the first.
const MAX_NESTING: usize = 4;

/// Those that watch this one, and those that it watches.
const ABOVE: usize = 0;
const BELOW: usize = 1;

/// Held while one is put below another, so that nothing gets deeper meanwhile; counts the looks.
static LOOKS: Mutex<u64> = Mutex::new(0);

/// An epoll file's place among others.
#[derive(Default)]
pub(super) struct Nest(Mutex<Links>);

#[derive(Default)]
struct Links {
    sides: [Vec<Weak<Ready>>; 2],
    /// The look that came here last, and the levels it found beyond.
    look: u64,
    levels: usize,
}

/// Puts `inner` below `outer`. Others wait as long as what is given is held.
///
/// # Errors
/// `ELOOP` when they would be too deep, or a ring; `ENOMEM`.
pub(super) fn link(
    outer: &Arc<Ready>,
    inner: &Arc<Ready>,
) -> Result<MutexGuard<'static, u64>, Errno> {
    let mut looks = LOOKS.lock();
    *looks += 2;
    let (up, down) = (*looks, *looks + 1);
    if levels(inner, BELOW, down, outer) + 1 + levels(outer, ABOVE, up, inner) > MAX_NESTING {
        return Err(Errno::ELOOP);
    }
    inner.nest.add(ABOVE, outer)?;
    if let Err(errno) = outer.nest.add(BELOW, inner) {
        inner.nest.remove(ABOVE, outer);
        return Err(errno);
    }
    Ok(looks)
}

/// `inner` is watched by `outer` under one descriptor less.
pub(super) fn unlink(outer: &Arc<Ready>, inner: &Arc<Ready>) {
    inner.nest.remove(ABOVE, outer);
    outer.nest.remove(BELOW, inner);
}

/// How many are beyond `from` on one side, each looked at once; too many when `avoid` is among them.
fn levels(from: &Ready, side: usize, look: u64, avoid: &Ready) -> usize {
    if core::ptr::eq(from, avoid) {
        return MAX_NESTING;
    }
    let mut links = from.nest.0.lock();
    if links.look != look {
        let beyond = links.sides.get(side).into_iter().flatten();
        let most = beyond
            .filter_map(Weak::upgrade)
            .map(|next| 1 + levels(&next, side, look, avoid))
            .max();
        links.levels = most.unwrap_or(0);
        links.look = look;
    }
    links.levels
}

impl Nest {
    fn add(&self, side: usize, other: &Arc<Ready>) -> Result<(), Errno> {
        if let Some(side) = self.0.lock().sides.get_mut(side) {
            side.retain(|link| link.strong_count() > 0);
            side.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            side.push(Arc::downgrade(other));
        }
        Ok(())
    }

    fn remove(&self, side: usize, other: &Arc<Ready>) {
        if let Some(side) = self.0.lock().sides.get_mut(side)
            && let Some(at) = side
                .iter()
                .position(|link| link.as_ptr() == Arc::as_ptr(other))
        {
            side.swap_remove(at);
        }
    }
}
