//! Making the TLBs of other CPUs forget: which of them may know an address space, and asking those.
//!
//! A [`Root`](super::Root) knows the CPUs that have it loaded. One that is asked flushes and answers.
//! One that idles with it loaded is only told to flush before it goes on ([`leave_idle`]), because the
//! kernel doesn't touch a program's memory there; but where tables were taken out it is asked like the
//! others: hardware may walk them whenever it likes.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use kiln_core::num::{usize_of, usize_of32};
use x86_64::instructions::tlb;

use super::entry::PAGE;
use super::root::{Root, load_kernel_tables, loaded_root};
use crate::arch::cpu::{MAX_CPUS, this_cpu};
use crate::arch::ipi::{self, Asking};
use crate::arch::{segments, tables};

/// Pages flushed one by one; above that, the whole TLB is.
const FEW: u64 = 16;

/// The CPU runs a thread: it is asked.
const BUSY: u8 = 0;
/// It idles: it needs to be told only.
const IDLE: u8 = 1;
/// It idles and was told.
const STALE: u8 = 2;

/// What each CPU is at.
static STATES: [AtomicU8; MAX_CPUS] = [const { AtomicU8::new(BUSY) }; MAX_CPUS];

// What the CPUs are asked, written by the one who asks (`Asking`).
/// The root that it is about; [`KERNEL`], or [`LEAVE`] or [`RELOAD`] added to it.
static ROOT: AtomicU64 = AtomicU64::new(0);
static START: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);

/// Addresses of the kernel's half, which is loaded everywhere.
const KERNEL: u64 = 0;
/// Nothing is to be flushed.
const NOTHING: u64 = u64::MAX << 1;
/// Where a range ends that is the whole of the kernel's half.
const EVERYTHING: u64 = u64::MAX;
/// Don't flush: load the kernel's own root instead.
const LEAVE: u64 = 1;
/// Don't flush: load the descriptor table at `START`, of `END` entries.
const RELOAD: u64 = 2;

/// Makes the CPUs answer from here on. Before there is more than one.
pub(crate) fn init() {
    ipi::on_asked(answer);
}

fn state() -> Option<&'static AtomicU8> {
    STATES.get(usize_of32(this_cpu().id()))
}

/// This CPU begins to idle: it won't touch a program's memory until [`leave_idle`].
pub(crate) fn enter_idle() {
    if let Some(state) = state() {
        state.store(IDLE, Ordering::SeqCst);
    }
}

/// It goes on.
pub(crate) fn leave_idle() {
    let told = state().is_some_and(|state| state.swap(BUSY, Ordering::SeqCst) == STALE);
    if told {
        tlb::flush_all();
    }
}

/// Makes all TLBs forget `start..end` of the address space. `tables`: page tables were taken out too.
pub(super) fn forget(root: &Root, start: u64, end: u64, tables: bool) {
    // Between the change of the entries and the look at who has them: a CPU that isn't seen here
    // loads the root later, and sees the change.
    fence(Ordering::SeqCst);
    let own = 1 << this_cpu().id();
    let loaded = root.cpus();
    if loaded & own != 0 {
        flush(start, end);
    }
    let others = loaded & !own;
    if others != 0 {
        let others = if tables { others } else { without_idle(others) };
        ask(others, root.addr(), start, end);
    }
}

/// Makes every CPU but this one forget `start..end` of the kernel's half.
pub(crate) fn forget_kernel(start: u64, end: u64) {
    let own = 1 << this_cpu().id();
    flush(start, end);
    ask(crate::arch::cpu::online() & !own, KERNEL, start, end);
}

/// Makes every CPU forget all of the kernel's half.
pub(crate) fn forget_all_of_kernel() {
    forget_kernel(0, EVERYTHING);
}

/// Makes every other CPU go through a full barrier: what they did before is done when this returns.
pub(crate) fn barrier() {
    let own = 1 << this_cpu().id();
    ask(crate::arch::cpu::online() & !own, NOTHING, 0, 0);
}

/// Makes every CPU that idles with `root` loaded load the kernel's own. No thread uses it any more.
pub(super) fn make_all_leave(root: &Root) {
    let own = 1 << this_cpu().id();
    let others = root.cpus() & !own;
    if others != 0 {
        ask(others, root.addr() | LEAVE, 0, 0);
    }
}

/// Makes every other CPU that has `root` loaded load its new descriptor table: where that is, and how many entries it has.
pub(super) fn reload_ldt(root: &Root, (at, entries): (u64, u64)) {
    fence(Ordering::SeqCst);
    let own = 1 << this_cpu().id();
    ask(root.cpus() & !own, root.addr() | RELOAD, at, entries);
}

fn ask(mask: u64, root: u64, start: u64, end: u64) {
    if mask == 0 {
        return;
    }
    let asking = Asking::begin();
    ROOT.store(root, Ordering::Relaxed);
    START.store(start, Ordering::Relaxed);
    END.store(end, Ordering::Relaxed);
    asking.ask(mask);
}

/// Those of `mask` that must be asked; the rest idle, and are told.
fn without_idle(mask: u64) -> u64 {
    let mut busy = mask;
    for id in (0..u64::BITS).filter(|id| mask >> id & 1 != 0) {
        let Some(state) = STATES.get(usize_of32(id)) else {
            continue;
        };
        let told = state.load(Ordering::SeqCst) == STALE
            || state
                .compare_exchange(IDLE, STALE, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
            || state.load(Ordering::SeqCst) == STALE;
        if told {
            busy &= !(1 << id);
        }
    }
    busy
}

/// What a CPU does that was asked.
fn answer() {
    let root = ROOT.load(Ordering::Relaxed);
    if root == KERNEL || root == loaded_root() {
        flush(START.load(Ordering::Relaxed), END.load(Ordering::Relaxed));
    } else if root & LEAVE != 0 && root & !LEAVE == loaded_root() {
        load_kernel_tables();
    } else if root & RELOAD != 0 && root & !RELOAD == loaded_root() {
        let at = core::ptr::with_exposed_provenance(usize_of(START.load(Ordering::Relaxed)));
        let entries = usize_of(END.load(Ordering::Relaxed));
        // SAFETY: a table of the root that is loaded here, which isn't freed before another is loaded.
        unsafe { tables::load_ldt(core::slice::from_raw_parts(at, entries)) };
        segments::reload_own();
    }
}

fn flush(start: u64, end: u64) {
    if end == EVERYTHING {
        super::super::kernel::flush_all();
        return;
    }
    if (end - start) / PAGE > FEW && start >> 63 == 0 {
        // A program's pages are never global, so this drops them all.
        tlb::flush_all();
        return;
    }
    let mut va = start;
    while va < end {
        tlb::flush(x86_64::VirtAddr::new_truncate(va));
        va += PAGE;
    }
}
