//! [`Root`]: what CR3 is loaded with, and which CPU has which loaded.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use kiln_core::num::u64_of;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;

use super::shootdown;
use super::walk::clear_record;
use crate::arch::cpu::{MAX_CPUS, this_cpu};
use crate::arch::{segments, tables};
use crate::mm::frame::{FrameRef, OutOfMemory};
use crate::mm::layout::{self, PHYSMAP};
use crate::mm::table::{self, Table};
use crate::mm::{kernel, kmem};
use crate::sync::SpinLock;

/// A PML4: what CR3 is loaded with. It outlives its [`UserTables`] as long as a thread or a CPU
/// holds on to it; its lower half is empty then. Cloning makes another hold on the same one.
#[derive(Clone, Debug)]
pub(crate) struct Root(Arc<Pml4>);

#[derive(Debug)]
struct Pml4 {
    frame: FrameRef,
    /// The CPUs whose TLBs may know what it maps: a bit for each that has it loaded.
    cpus: AtomicU64,
    /// The program's own descriptor table. It never changes: another takes its place.
    ldt: SpinLock<Option<Ldt>>,
}

/// A descriptor table of a program's own.
pub(crate) type Ldt = Arc<Vec<u64>>;

/// Whether there ever was one.
static LDT_USED: AtomicBool = AtomicBool::new(false);

impl PartialEq for Root {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Root {}

impl Root {
    pub(super) fn new() -> Result<Self, OutOfMemory> {
        let _charge = kmem::charge(size_of::<Pml4>() + 2 * size_of::<usize>())?;
        let frame = kmem::patiently(FrameRef::alloc_ordinary_zeroed)?;
        clear_record(frame.addr());
        let root = Self(Arc::new(Pml4 {
            frame,
            cpus: AtomicU64::new(0),
            ldt: SpinLock::new(None),
        }));
        // SAFETY: the kernel's root is never freed.
        let model = unsafe { table::at(PHYSMAP, kernel::root()) };
        for region in layout::REGIONS {
            let entry = model.entry(region, 4).load(Ordering::Relaxed);
            root.table()
                .entry(region, 4)
                .store(entry, Ordering::Relaxed);
        }
        Ok(root)
    }

    pub(super) fn addr(&self) -> u64 {
        self.0.frame.addr().raw()
    }

    /// The CPUs that have it loaded: a bit for each.
    pub(super) fn cpus(&self) -> u64 {
        self.0.cpus.load(Ordering::SeqCst)
    }

    pub(super) fn table(&self) -> &Table {
        // SAFETY: the frame is a page table as long as `self` lives.
        unsafe { table::at(PHYSMAP, self.addr()) }
    }

    /// Whether this CPU has it loaded.
    pub(super) fn is_loaded(&self) -> bool {
        loaded_root() == self.addr()
    }

    /// Loads it on this CPU, which holds on to it until it loads another. The thread that does so
    /// isn't moved to another CPU meanwhile.
    pub(crate) fn load(&self) {
        if !self.is_loaded() {
            // First this, so that whoever changes an entry from now on tells this CPU.
            self.0.cpus.fetch_or(1 << this_cpu().id(), Ordering::SeqCst);
            write_cr3(self.addr());
            keep(Some(self.clone()));
            if LDT_USED.load(Ordering::SeqCst) {
                self.load_ldt();
            }
        }
    }

    /// The program's own descriptor table, if it has one.
    pub(crate) fn ldt(&self) -> Option<Ldt> {
        self.0.ldt.lock().clone()
    }

    /// Gives it another, on every CPU that has the root loaded.
    pub(crate) fn set_ldt(&self, table: Ldt) {
        LDT_USED.store(true, Ordering::SeqCst);
        let place = (table.as_ptr().addr() as u64, u64_of(table.len()));
        let old = self.0.ldt.lock().replace(table);
        // A CPU that isn't seen here loads the root later, and this table with it.
        if self.is_loaded() {
            self.load_ldt();
            segments::reload_own();
        }
        shootdown::reload_ldt(self, place);
        drop(old);
    }

    #[cold]
    fn load_ldt(&self) {
        let table = self.0.ldt.lock();
        let words = table.as_ref().map_or(&[][..], |table| table.as_slice());
        // SAFETY: `LOADED` keeps the root, and that the table, until another is loaded; `set_ldt` lets the old one go
        // only after every CPU has the new one.
        unsafe { tables::load_ldt(words) };
    }
}

/// What CR3 holds.
pub(super) fn loaded_root() -> u64 {
    Cr3::read_raw().0.start_address().as_u64()
}

/// The root that each CPU has loaded, kept alive by this. `None`: the kernel's own.
static LOADED: [SpinLock<Option<Root>>; MAX_CPUS] = [const { SpinLock::new(None) }; MAX_CPUS];

/// Loads the kernel's own root, which has no program's half.
pub(crate) fn load_kernel() {
    load_kernel_tables();
    keep(None);
}

/// The same, but for the hold on the root before, which lasts until another is loaded.
pub(super) fn load_kernel_tables() {
    write_cr3(kernel::root());
    if LDT_USED.load(Ordering::Relaxed) {
        // SAFETY: an empty table isn't looked at.
        unsafe { tables::load_ldt(&[]) };
    }
}

/// Remembers what was loaded just now.
fn keep(root: Option<Root>) {
    let cpu = this_cpu().id();
    let slot = LOADED.get(kiln_core::num::usize_of32(cpu));
    let old = slot.and_then(|slot| core::mem::replace(&mut *slot.lock(), root));
    if let Some(old) = old {
        // This CPU's TLB has forgotten it; unless the same was loaded once more in between.
        if !old.is_loaded() {
            old.0.cpus.fetch_and(!(1 << cpu), Ordering::SeqCst);
        }
        // Freed, if this was the last hold, after the lock.
    }
}

fn write_cr3(root: u64) {
    let frame = PhysFrame::containing_address(x86_64::PhysAddr::new_truncate(root));
    // SAFETY: every root has the kernel's half; `LOADED` keeps this one alive while it is loaded.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
}
