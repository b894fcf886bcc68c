//! A program's half of the address space: [`UserTables`], the [`Root`] a CPU loads, and [`Gather`],
//! which frees a frame only after no TLB knows it any more.
//!
//! An entry in use owns one handle of its frame. It may be not present for the hardware and still
//! own one ([`PageFlags::NO_ACCESS`]). How many entries of a table are in use stands in the record of
//! the table's frame, so a table that becomes empty is found and freed at once.
//!
//! An entry of level 2 names a leaf table, one that other spaces may have too (`share`), or is a page
//! of 2 MiB itself (`huge`). The latter two are taken apart before a single page below them changes,
//! for which a table lies in reserve (`spare`), so that this never fails.
//!
//! The tables are changed by whoever holds `&mut UserTables`; the hardware sets accessed and dirty
//! bits meanwhile.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::{PAGE_SIZE, PhysAddr, TASK_SIZE, UserAddr};
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;

use super::frame::{self, FrameRef, OutOfMemory};
use super::layout::PHYSMAP;
use super::table::{self, ADDRESS, Bits, ENTRIES, Table};
use super::{kernel, kmem, layout};
use crate::arch::cpu::{MAX_CPUS, this_cpu};
use crate::sync::SpinLock;

mod fork;
mod gather;
mod huge;
mod range;
mod share;
pub(crate) mod shootdown;
mod spare;
mod window;

pub(crate) use gather::Gather;
pub(crate) use huge::Occupancy;
pub(crate) use range::Seen;
use spare::Spares;
pub(crate) use window::Unready;

const PAGE: u64 = PAGE_SIZE as u64;
/// Software bit: the entry owns a handle.
const OWNED: u64 = Bits::BIT_9.bits();
/// Software bit of [`PageFlags::SOFT_COW`].
const COW: u64 = Bits::BIT_10.bits();
/// Software bit: the leaf table that the entry names may be other spaces' too, and is read-only.
const SHARED: u64 = Bits::BIT_11.bits();
/// The entry, of level 2, is a page of 2 MiB.
const HUGE: u64 = Bits::HUGE_PAGE.bits();
/// Bytes that a leaf table covers, and a huge page has.
const SPAN: u64 = PAGE << 9;

bitflags::bitflags! {
    /// What a page may be used for, and what has been done with it. Reading is always allowed,
    /// unless `NO_ACCESS` is there.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct PageFlags: u8 {
        /// May be written.
        const WRITE = 1 << 0;
        /// May be executed.
        const EXEC = 1 << 1;
        /// Was written since the bit was cleared.
        const DIRTY = 1 << 2;
        /// Was used since the bit was cleared.
        const ACCESSED = 1 << 3;
        /// Shared until written: `protect_range` doesn't make it writable.
        const SOFT_COW = 1 << 4;
        /// May not be used at all (PROT_NONE); the frame stays.
        const NO_ACCESS = 1 << 5;
    }
}

impl PageFlags {
    #[inline]
    fn to_entry(self) -> u64 {
        let mut bits = OWNED | Bits::USER_ACCESSIBLE.bits();
        let pairs = [
            (Self::WRITE, Bits::WRITABLE.bits()),
            (Self::DIRTY, Bits::DIRTY.bits()),
            (Self::ACCESSED, Bits::ACCESSED.bits()),
            (Self::SOFT_COW, COW),
        ];
        for (flag, bit) in pairs {
            if self.contains(flag) {
                bits |= bit;
            }
        }
        if !self.contains(Self::EXEC) {
            bits |= Bits::NO_EXECUTE.bits();
        }
        if !self.contains(Self::NO_ACCESS) {
            bits |= Bits::PRESENT.bits();
        }
        bits
    }

    /// What an entry says; of a table that is `shared` nothing may be written.
    fn of_shared(entry: u64, shared: bool) -> Self {
        let mut flags = Self::of_entry(entry);
        if shared && flags.contains(Self::WRITE) {
            flags.remove(Self::WRITE);
            flags.insert(Self::SOFT_COW);
        }
        flags
    }

    fn of_entry(entry: u64) -> Self {
        let mut flags = Self::empty();
        flags.set(Self::WRITE, entry & Bits::WRITABLE.bits() != 0);
        flags.set(Self::DIRTY, entry & Bits::DIRTY.bits() != 0);
        flags.set(Self::ACCESSED, entry & Bits::ACCESSED.bits() != 0);
        flags.set(Self::SOFT_COW, entry & COW != 0);
        flags.set(Self::EXEC, entry & Bits::NO_EXECUTE.bits() == 0);
        flags.set(Self::NO_ACCESS, entry & Bits::PRESENT.bits() == 0);
        flags
    }
}

/// A page of a program.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// A handle of its frame; the entry holds another.
    pub(crate) frame: FrameRef,
    /// What its entry says.
    pub(crate) flags: PageFlags,
}

/// A PML4: what CR3 is loaded with. It outlives its [`UserTables`] as long as a thread or a CPU
/// holds on to it; its lower half is empty then. Cloning makes another hold on the same one.
#[derive(Clone, Debug)]
pub(crate) struct Root(Arc<Pml4>);

#[derive(Debug)]
struct Pml4 {
    frame: FrameRef,
    /// The CPUs whose TLBs may know what it maps: a bit for each that has it loaded.
    cpus: AtomicU64,
}

impl PartialEq for Root {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Root {}

impl Root {
    fn new() -> Result<Self, OutOfMemory> {
        let _charge = kmem::charge(size_of::<Pml4>() + 2 * size_of::<usize>())?;
        let frame = kmem::patiently(FrameRef::alloc_ordinary_zeroed)?;
        clear_record(frame.addr());
        let root = Self(Arc::new(Pml4 {
            frame,
            cpus: AtomicU64::new(0),
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

    fn addr(&self) -> u64 {
        self.0.frame.addr().raw()
    }

    /// The CPUs that have it loaded: a bit for each.
    fn cpus(&self) -> u64 {
        self.0.cpus.load(Ordering::SeqCst)
    }

    fn table(&self) -> &Table {
        // SAFETY: the frame is a page table as long as `self` lives.
        unsafe { table::at(PHYSMAP, self.addr()) }
    }

    /// Whether this CPU has it loaded.
    fn is_loaded(&self) -> bool {
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
        }
    }
}

/// What CR3 holds.
fn loaded_root() -> u64 {
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
fn load_kernel_tables() {
    write_cr3(kernel::root());
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

/// The page tables of a program's half. Dropping them frees what they map.
#[derive(Debug)]
pub(crate) struct UserTables {
    root: Root,
    /// Pages mapped.
    resident: u64,
    /// The most there were before pages were last unmapped.
    most_resident: u64,
    /// No CPU has them loaded, nor will have.
    retired: bool,
    /// A table for each entry of level 2 that may have to be taken apart.
    spares: Spares,
}

/// The entry that maps an address.
struct Found<'a> {
    entry: &'a AtomicU64,
    /// Level of its table: 1, or 2 for a huge page.
    level: u32,
    /// Its table is other spaces' too.
    shared: bool,
}

impl Found<'_> {
    /// Where the frame for `va` lies, by the entry's value.
    fn frame(&self, value: u64, va: u64) -> PhysAddr {
        let within = if self.level == 2 {
            va & (SPAN - 1) & ADDRESS
        } else {
            0
        };
        PhysAddr::new((value & ADDRESS) + within)
    }
}

impl UserTables {
    /// An empty half.
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            root: Root::new()?,
            resident: 0,
            most_resident: 0,
            retired: false,
            spares: Spares::new(),
        })
    }

    /// No thread uses them any more: takes them from the CPUs that still happen to have them loaded.
    /// One change of root for each is less than a flush for every few frames.
    pub(crate) fn retire(&mut self) {
        if self.retired {
            return;
        }
        if self.root.is_loaded() {
            load_kernel();
        }
        shootdown::make_all_leave(&self.root);
        self.retired = true;
    }

    /// What the scheduler loads.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Pages mapped, those without access included.
    pub(crate) fn resident(&self) -> u64 {
        self.resident
    }

    /// The most that were mapped at any time.
    pub(crate) fn most_resident(&self) -> u64 {
        self.most_resident.max(self.resident)
    }

    /// Counts the most that are mapped from now on.
    pub(crate) fn forget_most_resident(&mut self) {
        self.most_resident = 0;
    }

    /// Enters `frame` at `va`, where nothing is mapped. (If something is, it stays, and the frame is
    /// dropped.)
    pub(crate) fn map(
        &mut self,
        va: UserAddr,
        frame: FrameRef,
        flags: PageFlags,
        gather: &mut Gather,
    ) -> Result<(), OutOfMemory> {
        self.make_private(va, gather);
        let table = match self.leaf_table(va.raw()) {
            Ok(table) => table,
            Err(Unready::OutOfMemory) => return Err(OutOfMemory),
            Err(Unready::Shared | Unready::Huge) => return Ok(()),
        };
        let entry = table.entry(va.raw(), 1);
        debug_assert!(entry.load(Ordering::Relaxed) == 0, "{va} is mapped already");
        if entry.load(Ordering::Relaxed) == 0 {
            entry.store(frame.into_raw().raw() | flags.to_entry(), Ordering::Release);
            populate(table, group(va.raw(), 1), 1);
            self.resident += 1;
        }
        Ok(())
    }

    /// Whether something is mapped at `va`.
    pub(crate) fn is_mapped(&self, va: UserAddr) -> bool {
        self.find(va.raw())
            .is_some_and(|found| found.entry.load(Ordering::Relaxed) & OWNED != 0)
    }

    /// What is mapped at `va`.
    #[inline]
    pub(crate) fn lookup(&self, va: UserAddr) -> Option<Mapped> {
        let found = self.find(va.raw())?;
        let entry = found.entry.load(Ordering::Acquire);
        if entry & OWNED == 0 {
            return None;
        }
        let addr = found.frame(entry, va.raw());
        frame::retain(addr);
        // SAFETY: the handle just counted.
        let frame = unsafe { FrameRef::from_raw(addr) };
        Some(Mapped {
            frame,
            flags: PageFlags::of_shared(entry, found.shared),
        })
    }

    /// Puts `frame` in the place of what is mapped at `va`; the old one goes to `gather`. Where
    /// nothing is mapped, nothing happens and `frame` comes back.
    pub(crate) fn replace(
        &mut self,
        va: UserAddr,
        frame: FrameRef,
        flags: PageFlags,
        gather: &mut Gather,
    ) -> Result<(), FrameRef> {
        self.open(va.raw(), gather);
        let entry = match self.find(va.raw()) {
            Some(found) if found.entry.load(Ordering::Relaxed) & OWNED != 0 => found.entry,
            _ => return Err(frame),
        };
        let old = entry.swap(frame.into_raw().raw() | flags.to_entry(), Ordering::AcqRel);
        gather.release(&self.root, va.raw(), old);
        Ok(())
    }

    /// Sets the flags of the page at `va`, if one is mapped; the frame stays.
    pub(crate) fn set_flags(&mut self, va: UserAddr, flags: PageFlags, gather: &mut Gather) {
        self.open(va.raw(), gather);
        let Some(found) = self.find(va.raw()) else {
            return;
        };
        let old = found.entry.load(Ordering::Relaxed);
        if old & OWNED != 0 {
            let new = old & ADDRESS | flags.to_entry();
            found.entry.store(new, Ordering::Release);
            gather.changed(&self.root, va.raw(), old, new);
        }
    }

    /// The entry for `va`, if its table is there.
    #[inline]
    fn find(&self, va: u64) -> Option<Found<'_>> {
        let upper = self.find_upper(va)?;
        let value = upper.load(Ordering::Acquire);
        let shared = value & SHARED != 0;
        let (entry, level) = match value {
            0 => return None,
            huge if huge & HUGE != 0 => (upper, 2),
            // SAFETY: tables are freed through `&mut self` only, and upper entries name tables.
            _ => (unsafe { table::at(PHYSMAP, value) }.entry(va, 1), 1),
        };
        Some(Found {
            entry,
            level,
            shared,
        })
    }

    /// The entry of level 2 for `va`, if its table is there.
    #[inline]
    fn find_upper(&self, va: u64) -> Option<&'static AtomicU64> {
        if va >= TASK_SIZE {
            return None;
        }
        let mut addr = self.root.addr();
        for level in [4, 3] {
            // SAFETY: tables are freed through `&mut self` only, and upper entries name tables; the
            // reference isn't kept beyond a change.
            let table: &'static Table = unsafe { table::at(PHYSMAP, addr) };
            addr = table.entry(va, level).load(Ordering::Acquire);
            if addr == 0 {
                return None;
            }
        }
        // SAFETY: as above.
        let table: &'static Table = unsafe { table::at(PHYSMAP, addr) };
        Some(table.entry(va, 2))
    }

    /// The table of level 2 for `va`, made if it isn't there.
    fn upper_table(&mut self, va: u64) -> Result<&'static Table, OutOfMemory> {
        debug_assert!(va < TASK_SIZE, "{va:#x} isn't a program's");
        let mut addr = self.root.addr();
        for level in [4, 3] {
            // SAFETY: tables are freed through `&mut self` only; the reference is used up before.
            let table: &'static Table = unsafe { table::at(PHYSMAP, addr) };
            let entry = table.entry(va, level);
            addr = match entry.load(Ordering::Acquire) {
                0 => {
                    let new = new_table()?;
                    set_upper(table, va, level, new | table_bits());
                    new
                }
                present => present & ADDRESS,
            };
        }
        // SAFETY: as above.
        Ok(unsafe { table::at(PHYSMAP, addr) })
    }

    /// The table that holds the entry for `va`, made if it isn't there.
    fn leaf_table(&mut self, va: u64) -> Result<&'static Table, Unready> {
        let va = va & ((1 << 47) - 1);
        let upper = self.upper_table(va)?;
        let addr = match upper.entry(va, 2).load(Ordering::Acquire) {
            0 => {
                let new = new_table()?;
                set_upper(upper, va, 2, new | table_bits());
                new
            }
            huge if huge & HUGE != 0 => return Err(Unready::Huge),
            shared if shared & SHARED != 0 => return Err(Unready::Shared),
            present => present & ADDRESS,
        };
        // SAFETY: as in `upper_table`.
        Ok(unsafe { table::at(PHYSMAP, addr) })
    }

    /// Frees tables that were made for an entry which couldn't be made in the end. Nothing is mapped.
    fn sweep(&mut self) {
        let groups = frame::table_record(addr_of(self.root.table())).groups;
        let groups = groups.load(Ordering::Relaxed);
        let used = (0..32).filter(|group| groups >> group & 1 != 0);
        for index in used.flat_map(|group| group * 16..group * 16 + 16) {
            let entry = self.root.table().at(index);
            let addr = entry.load(Ordering::Relaxed);
            if addr == 0 {
                continue;
            }
            // SAFETY: an entry in the PML4's lower half names a table; nobody else uses it.
            let table: &Table = unsafe { table::at(PHYSMAP, addr) };
            for addr in (0..ENTRIES).map(|index| table.at(index).swap(0, Ordering::Relaxed)) {
                if addr != 0 {
                    // SAFETY: the entry's own handle of an empty table.
                    unsafe { FrameRef::from_raw(PhysAddr::new(addr & ADDRESS)).free_zeroed() };
                }
            }
            entry.store(0, Ordering::Relaxed);
            // SAFETY: as above.
            unsafe { FrameRef::from_raw(PhysAddr::new(addr & ADDRESS)).free_zeroed() };
        }
    }
}

impl Drop for UserTables {
    fn drop(&mut self) {
        self.retire();
        // Empty tables are freed at once, so there are none where nothing is mapped.
        if self.resident != 0 {
            let mut gather = Gather::new();
            self.unmap_range(UserAddr::NULL, UserAddr::new(TASK_SIZE), &mut gather);
        }
        self.sweep();
    }
}

/// An empty table, owned by the entry that will name it.
fn new_table() -> Result<u64, OutOfMemory> {
    let addr = kmem::with_reclaim(FrameRef::alloc_ordinary_zeroed)?.into_raw();
    clear_record(addr);
    Ok(addr.raw())
}

/// Sets the entry for `va` of an upper table, which was 0.
fn set_upper(table: &Table, va: u64, level: u32, value: u64) {
    table.entry(va, level).store(value, Ordering::Release);
    populate(table, group(va, level), 1);
}

/// The rights are those of the leaf alone.
const fn table_bits() -> u64 {
    Bits::PRESENT.bits() | Bits::WRITABLE.bits() | Bits::USER_ACCESSIBLE.bits()
}

/// The physical address of a table seen in the physmap.
fn addr_of(table: &Table) -> PhysAddr {
    PhysAddr::new(kiln_core::num::u64_of(core::ptr::from_ref(table).addr()) - PHYSMAP)
}

fn clear_record(addr: PhysAddr) {
    let record = frame::table_record(addr);
    record.population.store(0, Ordering::Relaxed);
    record.groups.store(0, Ordering::Relaxed);
}

/// The indexes of `range` whose group of 16 entries is one of `groups`.
fn in_groups(groups: u32, range: core::ops::Range<usize>) -> impl Iterator<Item = usize> {
    let (first, end) = (range.start, range.end);
    (first / 16..end.div_ceil(16))
        .filter(move |group| groups >> group & 1 != 0)
        .flat_map(move |group| first.max(group * 16)..end.min(group * 16 + 16))
}

/// Counts `more` entries of `table` in use, all of them among `groups` (a bit for each 16).
fn populate(table: &Table, groups: u32, more: u32) {
    // Tables are changed by one CPU at a time, so no read-modify-write has to be atomic.
    let record = frame::table_record(addr_of(table));
    let population = record.population.load(Ordering::Relaxed) + more;
    record.population.store(population, Ordering::Relaxed);
    record.groups.store(
        record.groups.load(Ordering::Relaxed) | groups,
        Ordering::Relaxed,
    );
}

/// The bit of the 16 entries among which `va`'s is in a table of `level`.
fn group(va: u64, level: u32) -> u32 {
    1 << ((va >> (12 + 9 * (level - 1) + 4)) % 32)
}
