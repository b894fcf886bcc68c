//! Interrupts that CPUs send each other, for two reasons: to [`kick`] a CPU that shall look at its
//! `need_resched`, and to [`ask`] CPUs to do something at once and wait until they have.
//!
//! A CPU answers what it is asked in the interrupt, or, where interrupts are off, while it spins for
//! a lock ([`relax`]). So whoever asks may hold any lock: those who spin for it answer.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use super::apic;
use super::cpu::{self, PerCpu, this_cpu};

/// CPUs that have been asked and haven't answered: a bit for each.
static ASKED: AtomicU64 = AtomicU64::new(0);
/// Somebody asks: one at a time.
static ASKING: AtomicBool = AtomicBool::new(false);
static ON_ASKED: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Says what a CPU does that is asked: with interrupts off, without locks.
pub(crate) fn on_asked(handler: fn()) {
    ON_ASKED.store(handler as *mut (), Ordering::Release);
}

/// Makes the CPU look at its `need_resched` soon: it comes out of user mode or of its halt.
pub(crate) fn kick(target: &PerCpu) {
    wake_from_user(target, target.set_need_resched());
}

/// Makes the CPU's thread look at its notices soon: it comes out of user mode.
pub(crate) fn prod(target: &PerCpu) {
    wake_from_user(target, target.set_look());
}

/// Whoever `asked` it before has sent the interrupt, or is the CPU itself, which looks before it enters user mode or
/// halts.
fn wake_from_user(target: &PerCpu, asked: bool) {
    if !asked && !core::ptr::eq(target, this_cpu()) && target.is_online() {
        apic::send_to(target.apic_id());
    }
}

/// One who asks; others wait until it is dropped.
pub(crate) struct Asking(());

impl Asking {
    /// Waits for its turn, answering meanwhile. What the answer needs to know is this one's to write
    /// until it is dropped.
    pub(crate) fn begin() -> Self {
        while ASKING
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            relax();
        }
        Self(())
    }

    /// Asks the CPUs in `mask`, of which this one is none, and waits for all of them.
    pub(crate) fn ask(&self, mask: u64) {
        if mask == 0 {
            return;
        }
        ASKED.store(mask, Ordering::SeqCst);
        if mask.count_ones() + 1 == cpu::online().count_ones() && mask.count_ones() > 1 {
            apic::send_to_others();
        } else {
            let targets = (0..u64::BITS).filter(|id| mask >> id & 1 != 0);
            for target in targets.filter_map(cpu::block) {
                apic::send_to(target.apic_id());
            }
        }
        while ASKED.load(Ordering::Acquire) != 0 {
            core::hint::spin_loop();
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.store(false, Ordering::Release);
    }
}

/// The interrupt came. That was all, for a CPU that was kicked.
pub(super) fn received() {
    answer();
}

/// Does what this CPU was asked to do, if it was.
#[inline]
fn answer() {
    if ASKED.load(Ordering::Relaxed) != 0 {
        answer_now();
    }
}

#[cold]
fn answer_now() {
    let own = 1 << this_cpu().id();
    if ASKED.load(Ordering::Acquire) & own == 0 {
        return;
    }
    let handler = ON_ASKED.load(Ordering::Acquire);
    if !handler.is_null() {
        // SAFETY: only `on_asked` stores here, and it stores such functions.
        let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
        // An interrupt within would answer a second time, perhaps what is asked next.
        x86_64::instructions::interrupts::without_interrupts(|| {
            if ASKED.load(Ordering::Acquire) & own != 0 {
                handler();
                ASKED.fetch_and(!own, Ordering::AcqRel);
            }
        });
    }
}

/// One round of spinning: for whoever waits for another CPU.
#[inline]
pub(crate) fn relax() {
    core::hint::spin_loop();
    answer();
}
