//! The way through the tables to an address's entry ([`Found`]), the tables that are made on it, and how many
//! entries of a table are in use.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::{PhysAddr, TASK_SIZE};

use super::entry::{HUGE, SHARED, SPAN};
use super::{Unready, UserTables};
use crate::mm::frame::{self, FrameRef, OutOfMemory};
use crate::mm::kmem;
use crate::mm::layout::PHYSMAP;
use crate::mm::table::{self, ADDRESS, Bits, ENTRIES, Table};

/// The entry that maps an address.
pub(super) struct Found<'a> {
    pub(super) entry: &'a AtomicU64,
    /// Level of its table: 1, or 2 for a huge page.
    pub(super) level: u32,
    /// Its table is other spaces' too.
    pub(super) shared: bool,
}

impl Found<'_> {
    /// Where the frame for `va` lies, by the entry's value.
    pub(super) fn frame(&self, value: u64, va: u64) -> PhysAddr {
        let within = if self.level == 2 {
            va & (SPAN - 1) & ADDRESS
        } else {
            0
        };
        PhysAddr::new((value & ADDRESS) + within)
    }
}

impl UserTables {
    /// The entry for `va`, if its table is there.
    #[inline]
    pub(super) fn find(&self, va: u64) -> Option<Found<'_>> {
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
    pub(super) fn find_upper(&self, va: u64) -> Option<&'static AtomicU64> {
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
    #[inline(always)]
    pub(super) fn upper_table(&mut self, va: u64) -> Result<&'static Table, OutOfMemory> {
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
    pub(super) fn leaf_table(&mut self, va: u64) -> Result<&'static Table, Unready> {
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

    /// Frames that the tables below the root take, with those in reserve for huge pages.
    pub(crate) fn table_frames(&self) -> u64 {
        let below = in_use(self.root.table()).map(|addr| {
            // SAFETY: tables are freed through `&mut self` only, and upper entries name tables.
            let table: &Table = unsafe { table::at(PHYSMAP, addr.raw()) };
            let leaves = in_use(table).map(|addr| {
                let population = frame::table_record(addr).population;
                1 + u64::from(population.load(Ordering::Relaxed))
            });
            1 + leaves.sum::<u64>()
        });
        below.sum()
    }

    /// Frees tables that were made for an entry which couldn't be made in the end. Nothing is mapped.
    pub(super) fn sweep(&mut self) {
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

/// What an upper table's entries for a program name.
fn in_use(table: &Table) -> impl Iterator<Item = PhysAddr> {
    let groups = frame::table_record(addr_of(table)).groups;
    let entries = in_groups(groups.load(Ordering::Relaxed), 0..ENTRIES);
    let addrs = entries.map(|index| table.at(index).load(Ordering::Acquire) & ADDRESS);
    addrs.filter(|addr| *addr != 0).map(PhysAddr::new)
}

/// An empty table, owned by the entry that will name it.
fn new_table() -> Result<u64, OutOfMemory> {
    let addr = kmem::with_reclaim(FrameRef::alloc_ordinary_zeroed)?.into_raw();
    clear_record(addr);
    Ok(addr.raw())
}

/// Sets the entry for `va` of an upper table, which was 0.
pub(super) fn set_upper(table: &Table, va: u64, level: u32, value: u64) {
    table.entry(va, level).store(value, Ordering::Release);
    populate(table, group(va, level), 1);
}

/// The rights are those of the leaf alone.
pub(super) const fn table_bits() -> u64 {
    Bits::PRESENT.bits() | Bits::WRITABLE.bits() | Bits::USER_ACCESSIBLE.bits()
}

/// The physical address of a table seen in the physmap.
pub(super) fn addr_of(table: &Table) -> PhysAddr {
    PhysAddr::new(kiln_core::num::u64_of(core::ptr::from_ref(table).addr()) - PHYSMAP)
}

pub(super) fn clear_record(addr: PhysAddr) {
    let record = frame::table_record(addr);
    record.population.store(0, Ordering::Relaxed);
    record.groups.store(0, Ordering::Relaxed);
}

/// The indexes of `range` whose group of 16 entries is one of `groups`.
pub(super) fn in_groups(
    groups: u32,
    range: core::ops::Range<usize>,
) -> impl Iterator<Item = usize> {
    let (first, end) = (range.start, range.end);
    (first / 16..end.div_ceil(16))
        .filter(move |group| groups >> group & 1 != 0)
        .flat_map(move |group| first.max(group * 16)..end.min(group * 16 + 16))
}

/// Counts `more` entries of `table` in use, all of them among `groups` (a bit for each 16).
pub(super) fn populate(table: &Table, groups: u32, more: u32) {
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
pub(super) fn group(va: u64, level: u32) -> u32 {
    1 << ((va >> (12 + 9 * (level - 1) + 4)) % 32)
}
