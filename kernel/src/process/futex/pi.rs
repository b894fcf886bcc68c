//! Locks with an owner (`FUTEX_LOCK_PI` and its kin): the word holds the owner's thread number, and
//! the kernel hands the lock over, so that nobody can come between.
//!
//! Who sleeps for a lock stands in the word's bucket with a [`Claim`]. The first in it is the heir.
//! When an owner ends without unlocking, its heir is told and writes itself into the word, with
//! `FUTEX_OWNER_DIED`; until it has, it stands in the bucket as the owner to be.
//!
//! Owners borrow the priority of those who sleep: [`lend`]. Sleepers of other words who come to a lock:
//! [`requeue`].

mod requeue;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;

use super::super::table;
use super::super::task::Task;
use super::{BUCKETS, Key, Kind, Place, Sleepers, Waiter, Word, bucket, leave, lend};
use crate::mm::user;
use crate::sched::{Deadline, Mode, Wake};
pub(crate) use requeue::{requeue_to_lock, wait_for_lock};

const TID: u32 = abi::FUTEX_TID_MASK;
const WAITERS: u32 = abi::FUTEX_WAITERS;
const OWNER_DIED: u32 = abi::FUTEX_OWNER_DIED;

/// How many sleep for locks: an ending task need not look for heirs when nobody does.
static CLAIMS: AtomicUsize = AtomicUsize::new(0);

/// Who wants a lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// The sleeper's thread number.
    tid: u32,
    /// The lock's owner.
    owner: u32,
    /// The owner has ended and this one inherits.
    inherits: bool,
}

/// What became of an attempt at a lock.
enum Attempt {
    /// The caller owns it.
    Taken,
    /// It sleeps for it.
    Queued,
}

/// Brings the page and says to try again, when the word couldn't be used under the lock.
fn fault(word: Word<'_>, sleepers: Sleepers) -> Result<(), Errno> {
    drop(sleepers);
    word.bring(true)
}

fn claims(sleepers: &[Arc<Waiter>], key: Key) -> impl Iterator<Item = (&Arc<Waiter>, Claim)> {
    sleepers
        .iter()
        .filter_map(move |waiter| match waiter.kind_on(key) {
            Some(Kind::Owner(claim)) => Some((waiter, claim)),
            _ => None,
        })
}

/// The numbers of those in a bucket who sleep for locks of `owner`'s.
pub(super) fn owned_by(sleepers: &[Arc<Waiter>], owner: u32) -> impl Iterator<Item = u32> {
    sleepers
        .iter()
        .filter_map(|waiter| waiter.claim())
        .filter(move |claim| claim.owner == owner)
        .map(|claim| claim.tid)
}

impl Waiter {
    fn claim(&self) -> Option<Claim> {
        match *self.place.lock() {
            Some(Place {
                kind: Kind::Owner(claim),
                ..
            }) => Some(claim),
            _ => None,
        }
    }

    /// Lines up anew where it sleeps for a lock: its task is as urgent as it is now.
    pub(super) fn line_up_again(self: &Arc<Self>, task: &Task) {
        let Some(Place { key, .. }) = *self.place.lock() else {
            return;
        };
        let mut sleepers = bucket(key.bucket_number()).lock();
        let before = sleepers.len();
        self.press(task);
        if self.place.lock().is_some_and(|place| place.key == key) {
            sleepers.retain(|other| !Arc::ptr_eq(other, self));
            if sleepers.len() < before {
                Arc::clone(self).line_up(&mut sleepers);
            }
        }
    }

    /// Whose lock it sleeps for.
    pub(super) fn claimed_from(&self) -> Option<u32> {
        self.claim().map(|claim| claim.owner)
    }
}

/// EINVAL when somebody sleeps on the word who doesn't want the lock.
fn check_claims(sleepers: &[Arc<Waiter>], key: Key) -> Result<(), Errno> {
    let all = sleepers
        .iter()
        .filter_map(|waiter| waiter.kind_on(key))
        .all(|kind| matches!(kind, Kind::Owner(_)));
    all.then_some(()).ok_or(Errno::EINVAL)
}

/// `FUTEX_LOCK_PI`, `FUTEX_LOCK_PI2` and, with `tries`, `FUTEX_TRYLOCK_PI`.
///
/// # Errors
/// `EDEADLK` when the caller owns it, `ESRCH` when its owner doesn't exist, `EAGAIN` when a mere try
/// fails, `ETIMEDOUT`, `ERESTARTNOINTR`, `EINVAL`, `EFAULT`, `ENOMEM`.
pub(crate) fn lock(
    task: &Arc<Task>,
    word: Word<'_>,
    deadline: Deadline,
    tries: bool,
) -> Result<(), Errno> {
    let key = word.key()?;
    let attempt = loop {
        let mut sleepers = bucket(key.bucket_number()).lock();
        match attempt(task, &mut sleepers, word, key, tries) {
            Err(Errno::EFAULT) => fault(word, sleepers)?,
            outcome => break outcome?,
        }
    };
    match attempt {
        Attempt::Taken => Ok(()),
        Attempt::Queued => sleep(task, word, deadline).map_err(|(wake, _)| match wake {
            Wake::Timeout => Errno::ETIMEDOUT,
            Wake::Signal => Errno::ERESTARTNOINTR,
        }),
    }
}

fn attempt(
    task: &Arc<Task>,
    sleepers: &mut Sleepers,
    word: Word<'_>,
    key: Key,
    tries: bool,
) -> Result<Attempt, Errno> {
    check_claims(sleepers, key)?;
    let owner = match claim_word(sleepers, word, key, task.tid())? {
        None => return Ok(Attempt::Taken),
        Some(_) if tries => return Err(Errno::EAGAIN),
        Some(owner) => owner,
    };
    enqueue(task, sleepers, key, owner)?;
    Ok(Attempt::Queued)
}

/// Makes `tid` the owner of a free lock; else marks that there are waiters, and answers the owner.
fn claim_word(
    sleepers: &Sleepers,
    word: Word<'_>,
    key: Key,
    tid: u32,
) -> Result<Option<u32>, Errno> {
    let mut value = user::load_u32(word.addr).map_err(|_| Errno::EFAULT)?;
    loop {
        if value & TID == tid {
            return Err(Errno::EDEADLK);
        }
        let heir = claims(sleepers, key).find(|(_, claim)| claim.inherits);
        if let Some((_, claim)) = heir {
            return Ok(Some(claim.tid));
        }
        let waited_for = claims(sleepers, key).next().is_some();
        let owner = value & TID;
        let new = match owner {
            0 if waited_for => tid | WAITERS | value & OWNER_DIED,
            0 => tid | value & OWNER_DIED,
            _ => value | WAITERS,
        };
        let seen = user::compare_exchange_u32(word.addr, value, new).map_err(|_| Errno::EFAULT)?;
        if seen != value {
            value = seen;
            continue;
        }
        if owner == 0 {
            return Ok(None);
        }
        let lives = table::task(owner).is_some_and(|task| task.space().is_ok());
        return if lives {
            Ok(Some(owner))
        } else {
            Err(Errno::ESRCH)
        };
    }
}

fn enqueue(task: &Arc<Task>, sleepers: &mut Sleepers, key: Key, owner: u32) -> Result<(), Errno> {
    sleepers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let waiter = &task.futex;
    waiter.prepare(task);
    let claim = Claim {
        tid: task.tid(),
        owner,
        inherits: false,
    };
    *waiter.place.lock() = Some(Place {
        key,
        bits: u32::MAX,
        kind: Kind::Owner(claim),
    });
    Arc::clone(waiter).line_up(sleepers);
    CLAIMS.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Sleeps until the lock is the caller's. When it doesn't become that: why, and which word it slept on.
fn sleep(task: &Arc<Task>, word: Word<'_>, deadline: Deadline) -> Result<(), (Wake, Key)> {
    let waiter = &task.futex;
    let inherits = || waiter.claim().is_some_and(|claim| claim.inherits);
    if let Some(owner) = waiter.claimed_from() {
        lend::claims(task, owner);
    }
    let over = || (waiter.woken.load(Ordering::Acquire) || inherits()).then_some(());
    let slept = waiter.queue.wait(Mode::Interruptible, deadline, over);
    CLAIMS.fetch_sub(1, Ordering::Relaxed);
    if inherits() {
        inherit(task, word);
        lend::refresh(task.tid());
        return Ok(());
    }
    let owner = waiter.claimed_from();
    let Err(wake) = slept else { return Ok(()) };
    let Some(word) = leave(waiter) else {
        return Ok(());
    };
    if let Some(owner) = owner {
        lend::refresh(owner);
    }
    Err((wake, word))
}

/// The owner has ended: the word becomes the caller's.
fn inherit(task: &Arc<Task>, word: Word<'_>) {
    let Ok(key) = word.key() else { return };
    loop {
        let mut sleepers = bucket(key.bucket_number()).lock();
        // Linux too says that there are waiters, whether or not there are.
        let new = task.tid() | OWNER_DIED | WAITERS;
        let swapped = user::load_u32(word.addr)
            .and_then(|old| Ok(user::compare_exchange_u32(word.addr, old, new)? == old));
        match swapped {
            Ok(false) => {}
            Ok(true) => {
                take_out(&mut sleepers, &task.futex);
                return;
            }
            Err(_) => {
                drop(sleepers);
                if word.bring(true).is_err() {
                    // The word is gone; so is the lock.
                    leave(&task.futex);
                    return;
                }
            }
        }
    }
}

fn take_out(sleepers: &mut Sleepers, waiter: &Arc<Waiter>) {
    *waiter.place.lock() = None;
    sleepers.retain(|other| !Arc::ptr_eq(other, waiter));
}

/// Tells those who sleep for the lock whose it is now.
fn set_owner(sleepers: &Sleepers, key: Key, owner: u32) {
    for (waiter, claim) in claims(sleepers, key) {
        if let Some(place) = waiter.place.lock().as_mut() {
            place.kind = Kind::Owner(Claim { owner, ..claim });
        }
    }
}

/// `FUTEX_UNLOCK_PI`: the first who sleeps for the lock gets it.
///
/// # Errors
/// `EPERM` when it isn't the caller's, `EINVAL`, `EFAULT`.
pub(crate) fn unlock(task: &Arc<Task>, word: Word<'_>) -> Result<(), Errno> {
    let own = |value: u32| {
        let owns = value & TID == task.tid();
        owns.then_some(()).ok_or(Errno::EPERM)
    };
    own(word.space.load_u32(word.addr)?)?;
    let key = word.key()?;
    loop {
        let mut sleepers = bucket(key.bucket_number()).lock();
        let Ok(value) = user::load_u32(word.addr) else {
            fault(word, sleepers)?;
            continue;
        };
        own(value)?;
        check_claims(&sleepers, key)?;
        let heir = claims(&sleepers, key)
            .next()
            .map(|(waiter, claim)| (Arc::clone(waiter), claim.tid));
        let new = heir.as_ref().map_or(0, |(_, tid)| tid | WAITERS);
        let Ok(seen) = user::compare_exchange_u32(word.addr, value, new) else {
            fault(word, sleepers)?;
            continue;
        };
        if seen != value {
            continue;
        }
        let Some((waiter, tid)) = heir else {
            return Ok(());
        };
        sleepers.retain(|other| !Arc::ptr_eq(other, &waiter));
        waiter.wake();
        set_owner(&sleepers, key, tid);
        drop(sleepers);
        lend::refresh(tid);
        lend::refresh(task.tid());
        return Ok(());
    }
}

/// A task ends: the heirs of the locks it still owns get them.
pub(crate) fn end(task: &Task) {
    if CLAIMS.load(Ordering::SeqCst) == 0 {
        return;
    }
    for number in 0..BUCKETS {
        let sleepers = bucket(number).lock();
        for waiter in sleepers.iter() {
            let mut place = waiter.place.lock();
            let Some(Place {
                key,
                kind: Kind::Owner(claim),
                ..
            }) = *place
            else {
                continue;
            };
            if claim.owner != task.tid() {
                continue;
            }
            let heir = Claim {
                inherits: true,
                owner: claim.tid,
                ..claim
            };
            if let Some(place) = place.as_mut() {
                place.kind = Kind::Owner(heir);
            }
            drop(place);
            // The others of this lock are the heir's now, and not heirs themselves.
            set_owner(&sleepers, key, claim.tid);
            waiter.queue.wake_all();
        }
    }
}
