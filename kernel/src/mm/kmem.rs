//! Charging: the promise, made before objects are allocated infallibly, that memory is there.
//!
//! `Arc::new`, `Box::new` and `BTreeMap` abort the kernel when the heap can't grow. So whoever makes
//! an object that a program can multiply charges it first, and lets the program have ENOMEM. The
//! promise rests on the heap's reserve: while that is whole, the next few objects fit whatever
//! happens. A charge only looks whether it is whole, and refills it if need be.
//!
//! The same goes for memory whose length a program drives: tables that grow by `try_reserve` come after
//! a charge of something, which sees to it that a stock of frames is left for the kernel
//! ([`frame::is_short`]).
//!
//! No spin lock is held across a charge: it may call for memory to be reclaimed, wait for pages to be
//! written back, and in the end have a process killed.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::frame::{self, OutOfMemory};
use super::heap;
use crate::sync::Once;

/// Objects up to this are covered by the reserve; larger sums are tried out.
const COVERED: usize = 2048;

/// Proof of a charge.
#[derive(Debug)]
#[must_use = "the charge says whether memory is there"]
pub(crate) struct Charge(());

/// Makes sure that allocations of `bytes` in total, made next by this thread, succeed.
#[inline]
pub(crate) fn charge(bytes: usize) -> Result<Charge, OutOfMemory> {
    let ready = heap::reserve_is_whole() && !frame::is_short();
    if bytes <= COVERED && ready && COUNTDOWN.load(Ordering::Relaxed) == 0 {
        return Ok(Charge(()));
    }
    charge_slowly(bytes)
}

#[cold]
fn charge_slowly(bytes: usize) -> Result<Charge, OutOfMemory> {
    if fails_on_purpose() {
        return Err(OutOfMemory);
    }
    while frame::is_short() && make_room() {}
    let attempt = || {
        heap::fill_reserve()?;
        if bytes > COVERED {
            // In one piece now, so the heap has it afterwards, in one piece or in several.
            let mut probe = alloc::vec::Vec::<u8>::new();
            probe.try_reserve_exact(bytes).map_err(|_| OutOfMemory)?;
        }
        Ok(Charge(()))
    };
    if bytes <= COSTLY {
        patiently(attempt)
    } else {
        with_reclaim(attempt)
    }
}

/// Nobody is killed for the sake of larger objects (`PAGE_ALLOC_COSTLY_ORDER`).
const COSTLY: usize = 32 << 10;

/// As [`with_reclaim`]; when that doesn't help, waits until memory has become free by other means,
/// as long as there are any. No spin lock is held.
pub(crate) fn patiently<T>(
    mut attempt: impl FnMut() -> Result<T, OutOfMemory>,
) -> Result<T, OutOfMemory> {
    loop {
        let outcome = with_reclaim(&mut attempt);
        if outcome.is_ok() || !wait_for_memory() {
            return outcome;
        }
    }
}

static WAIT: Once<fn() -> bool> = Once::new();

/// Says who makes memory free when nothing can simply be given up: it may sleep, and answers whether
/// trying again has a point.
pub(crate) fn on_exhaustion(wait: fn() -> bool) {
    WAIT.call_once(|| wait);
}

fn wait_for_memory() -> bool {
    // Boot and interrupt handlers can't wait.
    x86_64::instructions::interrupts::are_enabled() && WAIT.get().is_some_and(|wait| wait())
}

fn make_room() -> bool {
    reclaim() > 0 || wait_for_memory()
}

/// Frees up to this many frames at a call.
const RECLAIMED: usize = 64;

static RECLAIM: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Says who frees memory that can be done without: clean pages of the page cache, say. `reclaim` is
/// given a number of frames, returns how many it has freed, never waits for a lock and doesn't
/// charge.
pub(crate) fn on_shortage(reclaim: fn(usize) -> usize) {
    RECLAIM.store(reclaim as *mut (), Ordering::Release);
}

/// Does `attempt`, and again as long as it fails and memory can be reclaimed.
pub(super) fn with_reclaim<T>(
    mut attempt: impl FnMut() -> Result<T, OutOfMemory>,
) -> Result<T, OutOfMemory> {
    loop {
        let outcome = attempt();
        if outcome.is_ok() || reclaim() == 0 {
            return outcome;
        }
    }
}

fn reclaim() -> usize {
    let reclaim = RECLAIM.load(Ordering::Acquire);
    if reclaim.is_null() {
        return 0;
    }
    // SAFETY: only `on_shortage` stores here, and it stores such functions.
    let reclaim = unsafe { core::mem::transmute::<*mut (), fn(usize) -> usize>(reclaim) };
    reclaim(RECLAIMED)
}

/// Charges still to come before the one that fails; 0 for never.
static COUNTDOWN: AtomicU64 = AtomicU64::new(0);

/// Makes the `nth` charge from now fail (the first is 1): the tests try every one. 0: none.
pub(crate) fn fail_nth(nth: u64) {
    COUNTDOWN.store(nth, Ordering::Relaxed);
}

fn fails_on_purpose() -> bool {
    match COUNTDOWN.load(Ordering::Relaxed) {
        0 => false,
        _ => COUNTDOWN.fetch_sub(1, Ordering::Relaxed) == 1,
    }
}
