//! futex(2): sleeping on a word of a program's memory.
//!
//! Sleepers are in buckets by the word's identity ([`Key`]): the address space and address, or for
//! shared mappings the file and place. The word is read and the sleeper entered under the bucket's
//! lock, so no wake-up comes between; when the word's page isn't there, the lock is given up,
//! the page brought, and all of it done again. [`pi`] has the operations on locks with an owner,
//! [`lend`] makes those owners as urgent as who waits for them, [`vector`] is the wait for several words,
//! [`requeue`](mod@requeue) moves sleepers from one word to another, [`robust`] lets go what a task holds at its end.

mod lend;
mod pi;
mod requeue;
mod robust;
mod vector;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::futex::WakeOp;
use kiln_core::num::{u64_of, usize_of};

use super::task::Task;

pub(crate) use lend::rescheduled;
pub(crate) use pi::{end as end_ownership, lock, requeue_to_lock, unlock, wait_for_lock};
pub(crate) use requeue::requeue;
pub(super) use robust::release_robust_list;
pub(crate) use robust::{robust_list, set_robust_list};
pub(crate) use vector::{One, wait_for_any};

use crate::mm::user;
use crate::sched::{Deadline, Mode, WaitQueue, Wake};
use crate::sync::{SpinLock, SpinLockGuard};
use crate::vm::AddressSpace;

/// Which word it is, wherever it is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    /// Address of the kernel's object: an address space, or a file's pages.
    object: usize,
    /// Address or file offset.
    at: u64,
}

impl Key {
    fn of(space: &Arc<AddressSpace>, addr: UserAddr, private: bool) -> Result<Self, Errno> {
        if !addr.is_aligned(4) {
            return Err(Errno::EINVAL);
        }
        if !addr.range_is_user(4) {
            return Err(Errno::EFAULT);
        }
        if !private && let Some((object, at)) = space.shared_place(addr) {
            return Ok(Self { object, at });
        }
        Ok(Self {
            object: Arc::as_ptr(space).addr(),
            at: addr.raw(),
        })
    }

    fn bucket_number(&self) -> usize {
        let mixed = (u64_of(self.object) >> 4) ^ (self.at >> 2);
        usize_of(mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % BUCKETS
    }
}

const BUCKETS: usize = 64;

type Bucket = SpinLock<Vec<Arc<Waiter>>>;
/// A locked bucket.
type Sleepers = SpinLockGuard<'static, Vec<Arc<Waiter>>>;

static TABLE: [Bucket; BUCKETS] = [const { SpinLock::new(Vec::new()) }; BUCKETS];

#[expect(clippy::indexing_slicing, reason = "the number is a remainder")]
fn bucket(number: usize) -> &'static Bucket {
    &TABLE[number % BUCKETS]
}

/// Where somebody sleeps, and what for.
#[derive(Clone, Copy)]
struct Place {
    key: Key,
    bits: u32,
    kind: Kind,
}

/// How somebody sleeps on a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// To be woken.
    Plain,
    /// To own the lock that the word is.
    Owner(pi::Claim),
    /// To be moved to a lock by `FUTEX_CMP_REQUEUE_PI`.
    Moves(pi::Claim, Key),
}

/// A place among the sleepers. Each task sleeps on one word at most, but for futex_waitv(2).
#[derive(Default)]
pub(super) struct Waiter {
    place: SpinLock<Option<Place>>,
    woken: AtomicBool,
    queue: WaitQueue,
    /// The more, the sooner it is woken: 0 for threads that share by virtual time.
    pressure: AtomicU64,
    /// Whose queue to wake, where several belong to one sleeper.
    chief: Option<Arc<Waiter>>,
}

impl Waiter {
    /// Whether it sleeps on this word with any of these bits.
    fn matches(&self, key: Key, bits: u32) -> bool {
        self.place
            .lock()
            .is_some_and(|place| place.key == key && place.bits & bits != 0)
    }

    /// How it sleeps on this word; `None` when it doesn't.
    fn kind_on(&self, key: Key) -> Option<Kind> {
        let place = *self.place.lock();
        place
            .filter(|place| place.key == key)
            .map(|place| place.kind)
    }

    /// Takes its place in a bucket: before all that are less urgent. There is room.
    fn line_up(self: Arc<Self>, sleepers: &mut Vec<Arc<Self>>) {
        let own = self.pressure.load(Ordering::Relaxed);
        let behind = |other: &Arc<Self>| other.pressure.load(Ordering::Relaxed) < own;
        let at = match own {
            0 => sleepers.len(),
            _ => sleepers.iter().position(behind).unwrap_or(sleepers.len()),
        };
        sleepers.insert(at, self);
    }

    /// Before it lines up for a task.
    fn prepare(&self, task: &Task) {
        self.woken.store(false, Ordering::Relaxed);
        self.press(task);
    }

    fn press(&self, task: &Task) {
        let urgency = task.thread().and_then(|thread| thread.urgency());
        let pressure = urgency.map_or(0, |urgency| !urgency);
        self.pressure.store(pressure, Ordering::Relaxed);
    }

    fn wake(&self) {
        *self.place.lock() = None;
        self.woken.store(true, Ordering::Release);
        self.queue.wake_all();
        if let Some(chief) = &self.chief {
            chief.queue.wake_all();
        }
    }
}

/// EINVAL when somebody sleeps on the word for a lock, which only the lock's operations wake.
fn check_plain(sleepers: &[Arc<Waiter>], key: Key) -> Result<(), Errno> {
    let all = sleepers
        .iter()
        .filter_map(|waiter| waiter.kind_on(key))
        .all(|kind| kind == Kind::Plain);
    all.then_some(()).ok_or(Errno::EINVAL)
}

/// A word in the caller's memory.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    /// The caller's memory.
    pub(crate) space: &'a Arc<AddressSpace>,
    /// Where the word is.
    pub(crate) addr: UserAddr,
    /// No other address space uses it.
    pub(crate) private: bool,
}

impl Word<'_> {
    fn key(&self) -> Result<Key, Errno> {
        Key::of(self.space, self.addr, self.private)
    }

    /// Brings the word's page, for writing if `write`.
    fn bring(&self, write: bool) -> Result<(), Errno> {
        if write {
            // Changes nothing, wherever the value isn't the expected one.
            let old = self.space.load_u32(self.addr)?;
            self.space.compare_exchange_u32(self.addr, old, old)?;
        } else {
            self.space.load_u32(self.addr)?;
        }
        Ok(())
    }
}

/// Sleeps until woken by one of `bits`, as long as the word holds `value`.
///
/// # Errors
/// `EAGAIN` when it doesn't, `ETIMEDOUT`, `ERESTARTSYS`, `EINVAL`, `EFAULT`, `ENOMEM`.
pub(crate) fn wait(
    task: &Arc<Task>,
    word: Word<'_>,
    value: u32,
    bits: u32,
    deadline: Deadline,
) -> Result<(), Errno> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = word.key()?;
    let waiter = &task.futex;
    drop(enter(task, word, key, value, bits, Kind::Plain)?);
    let woken = || waiter.woken.load(Ordering::Acquire).then_some(());
    let slept = waiter.queue.wait(Mode::Interruptible, deadline, woken);
    let Err(wake) = slept else { return Ok(()) };
    if leave(waiter).is_none() {
        return Ok(());
    }
    Err(match wake {
        Wake::Timeout => Errno::ETIMEDOUT,
        Wake::Signal => Errno::ERESTARTSYS,
    })
}

/// Enters the caller among a word's sleepers, as long as the word holds `value`; their bucket is still locked.
///
/// # Errors
/// `EAGAIN` when it doesn't, `EFAULT`, `ENOMEM`.
fn enter(
    task: &Task,
    word: Word<'_>,
    key: Key,
    value: u32,
    bits: u32,
    kind: Kind,
) -> Result<Sleepers, Errno> {
    let waiter = &task.futex;
    loop {
        let mut sleepers = bucket(key.bucket_number()).lock();
        let Ok(now) = user::load_u32(word.addr) else {
            drop(sleepers);
            word.bring(false)?;
            continue;
        };
        if now != value {
            return Err(Errno::EAGAIN);
        }
        sleepers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        waiter.prepare(task);
        *waiter.place.lock() = Some(Place { key, bits, kind });
        Arc::clone(waiter).line_up(&mut sleepers);
        return Ok(sleepers);
    }
}

/// Takes a sleeper out of its bucket, which a requeue may have changed. Answers the word it slept on;
/// `None` when somebody had woken it.
fn leave(waiter: &Arc<Waiter>) -> Option<Key> {
    loop {
        let Place { key, .. } = (*waiter.place.lock())?;
        let mut sleepers = bucket(key.bucket_number()).lock();
        let still_there = waiter.place.lock().is_some_and(|now| now.key == key);
        if still_there {
            *waiter.place.lock() = None;
            sleepers.retain(|other| !Arc::ptr_eq(other, waiter));
            return Some(key);
        }
    }
}

/// Wakes up to `count` sleepers of a key in its bucket.
fn wake_in(sleepers: &mut Vec<Arc<Waiter>>, key: Key, bits: u32, count: usize) -> usize {
    let mut woken = 0;
    sleepers.retain(|waiter| {
        let wakes = woken < count && waiter.matches(key, bits);
        if wakes {
            woken += 1;
            waiter.wake();
        }
        !wakes
    });
    woken
}

/// Wakes up to `count` sleepers that have one of `bits`. Answers how many.
///
/// # Errors
/// `EINVAL`, `EFAULT`.
pub(crate) fn wake(word: Word<'_>, bits: u32, count: usize) -> Result<usize, Errno> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = word.key()?;
    let mut sleepers = bucket(key.bucket_number()).lock();
    check_plain(&sleepers, key)?;
    Ok(wake_in(&mut sleepers, key, bits, count))
}

/// Wakes sleepers of a word that may be shared, for the kernel's own purposes.
pub(super) fn wake_word(space: &Arc<AddressSpace>, addr: UserAddr, count: usize) {
    let word = Word {
        space,
        addr,
        private: false,
    };
    // A word that can't be has no sleepers.
    let _ = wake(word, u32::MAX, count);
}

/// The buckets of two keys, locked in order; the second is `None` when it is the first.
fn lock_both(first: Key, second: Key) -> (Sleepers, Option<Sleepers>) {
    let (a, b) = (first.bucket_number(), second.bucket_number());
    if a == b {
        return (bucket(a).lock(), None);
    }
    if a < b {
        let first = bucket(a).lock();
        (first, Some(bucket(b).lock()))
    } else {
        let second = bucket(b).lock();
        (bucket(a).lock(), Some(second))
    }
}

/// `FUTEX_WAKE_OP`: changes the second word, wakes sleepers of the first, and of the second when
/// its old value compares. Answers how many woke.
///
/// # Errors
/// `EINVAL`, `EFAULT`, `ENOSYS`.
pub(crate) fn wake_op(
    first: Word<'_>,
    second: Word<'_>,
    wakes: usize,
    wakes_second: usize,
    op: WakeOp,
) -> Result<usize, Errno> {
    let (key, second_key) = (first.key()?, second.key()?);
    loop {
        let (mut sleepers, mut others) = lock_both(key, second_key);
        let Some(old) = change_word(second.addr, op) else {
            drop((sleepers, others));
            second.bring(true)?;
            continue;
        };
        if !op.compares() {
            return Err(Errno::ENOSYS);
        }
        let mut woken = wake_in(&mut sleepers, key, u32::MAX, wakes);
        if op.holds(old) {
            let others = others.as_deref_mut().unwrap_or(&mut sleepers);
            woken += wake_in(others, second_key, u32::MAX, wakes_second);
        }
        return Ok(woken);
    }
}

/// Applies the operation to the word; `None` when its page isn't there for writing.
fn change_word(addr: UserAddr, op: WakeOp) -> Option<u32> {
    let mut old = user::load_u32(addr).ok()?;
    loop {
        let seen = user::compare_exchange_u32(addr, old, op.apply(old)).ok()?;
        if seen == old {
            return Some(old);
        }
        old = seen;
    }
}
