//! What of an address space is in memory: `/proc/PID/smaps`, `smaps_rollup`, `numa_maps`, `pagemap`,
//! and `clear_refs` (`fs/proc/task_mmu.c`).

use alloc::vec::Vec;
use core::fmt::Write;

use kiln_core::addr::{PAGE_SHIFT, TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::vma::{AreaFlags, Prot};

use super::area::{Object, VmArea};
use super::maps::{Line, describe, place_name};
use super::space::{AddressSpace, PAGE};
use crate::mm::frame;
use crate::mm::paging::{Gather, PageFlags, Seen};

/// Where a line that describes an area has its name (`seq_setwidth`).
const NAME_AT: usize = 73;

/// Bytes of an area, by kind.
#[derive(Default)]
struct Tally {
    rss: u64,
    /// Shared pages count in proportion; in 4096ths of a byte.
    pss: u64,
    pss_dirty: u64,
    pss_anon: u64,
    pss_file: u64,
    pss_shmem: u64,
    shared_clean: u64,
    shared_dirty: u64,
    private_clean: u64,
    private_dirty: u64,
    referenced: u64,
    anonymous: u64,
    huge: u64,
    locked: u64,
    /// Most entries that one of the pages has.
    mappers: u64,
}

/// How a page is counted.
struct Counted {
    /// Entries of programs that map it.
    mappers: u64,
    dirty: bool,
    anonymous: bool,
    /// It is a page of memory shared without a file, or of a file in memory.
    shmem: bool,
}

fn counted(area: &VmArea, page: &Seen) -> Counted {
    let handles = u64::from(page.handles);
    let used = page.flags.contains(PageFlags::DIRTY);
    let known = area.backing.mapping().and_then(|(mapping, offset)| {
        let index = (offset + (page.va - area.start)) / PAGE;
        Some((mapping, mapping.knows(index, page.frame)?))
    });
    match known {
        // What is a program's own was written, or will count as such.
        None => Counted {
            mappers: handles,
            dirty: true,
            anonymous: true,
            shmem: false,
        },
        // One of the handles is the file's.
        Some((mapping, dirty)) => Counted {
            mappers: handles.saturating_sub(1).max(1),
            dirty: dirty || used,
            anonymous: false,
            shmem: !mapping.has_source(),
        },
    }
}

impl Tally {
    fn add(&mut self, area: &VmArea, page: &Seen) {
        if frame::is_zeroes(page.frame) {
            return;
        }
        let counted = counted(area, page);
        let share = (PAGE << PAGE_SHIFT) / counted.mappers.max(1);
        self.rss += PAGE;
        self.pss += share;
        self.mappers = self.mappers.max(counted.mappers);
        let kind = match (counted.anonymous, counted.shmem) {
            (true, _) => &mut self.pss_anon,
            (false, true) => &mut self.pss_shmem,
            (false, false) => &mut self.pss_file,
        };
        *kind += share;
        let sum = match (counted.mappers > 1, counted.dirty) {
            (true, true) => &mut self.shared_dirty,
            (true, false) => &mut self.shared_clean,
            (false, true) => &mut self.private_dirty,
            (false, false) => &mut self.private_clean,
        };
        *sum += PAGE;
        let mut also = |when: bool, sum: fn(&mut Self) -> &mut u64, bytes: u64| {
            if when {
                *sum(self) += bytes;
            }
        };
        also(counted.dirty, |t| &mut t.pss_dirty, share);
        also(counted.anonymous, |t| &mut t.anonymous, PAGE);
        also(page.huge, |t| &mut t.huge, PAGE);
        also(
            page.flags.contains(PageFlags::ACCESSED),
            |t| &mut t.referenced,
            PAGE,
        );
        also(
            area.flags.contains(AreaFlags::LOCKED),
            |t| &mut t.locked,
            share,
        );
    }

    /// The lines that `smaps` and `smaps_rollup` have in common.
    fn show(&self, rollup: bool, out: &mut Line<'_>) -> core::fmt::Result {
        let proportional = |sum: u64| sum >> PAGE_SHIFT;
        let parts = [
            ("Pss_Anon:       ", proportional(self.pss_anon)),
            ("Pss_File:       ", proportional(self.pss_file)),
            ("Pss_Shmem:      ", proportional(self.pss_shmem)),
        ];
        let head = [
            ("Rss:            ", self.rss),
            ("Pss:            ", proportional(self.pss)),
            ("Pss_Dirty:      ", proportional(self.pss_dirty)),
        ];
        let tail = [
            ("Shared_Clean:   ", self.shared_clean),
            ("Shared_Dirty:   ", self.shared_dirty),
            ("Private_Clean:  ", self.private_clean),
            ("Private_Dirty:  ", self.private_dirty),
            ("Referenced:     ", self.referenced),
            ("Anonymous:      ", self.anonymous),
            ("LazyFree:       ", 0),
            ("AnonHugePages:  ", self.huge),
            ("ShmemPmdMapped: ", 0),
            ("FilePmdMapped:  ", 0),
            ("Shared_Hugetlb: ", 0),
            ("Private_Hugetlb:", 0),
            ("Swap:           ", 0),
            ("SwapPss:        ", 0),
            ("Locked:         ", proportional(self.locked)),
        ];
        let parts = if rollup { &parts[..] } else { &[] };
        for (label, bytes) in head.iter().chain(parts).chain(&tail) {
            writeln!(out, "{label}{:>8} kB", bytes >> 10)?;
        }
        Ok(())
    }
}

/// Two letters for each property, in the order of Linux's bits.
fn letters(area: &VmArea, out: &mut Line<'_>) -> core::fmt::Result {
    let (prot, flags) = (area.prot, area.flags);
    let shared = area.is_shared();
    let counted = !shared && flags.contains(AreaFlags::MAY_WRITE) && prot.contains(Prot::WRITE);
    let table = [
        ("rd", prot.contains(Prot::READ)),
        ("wr", prot.contains(Prot::WRITE)),
        ("ex", prot.contains(Prot::EXEC)),
        ("sh", shared && flags.contains(AreaFlags::MAY_WRITE)),
        ("mr", true),
        ("mw", flags.contains(AreaFlags::MAY_WRITE)),
        ("me", flags.contains(AreaFlags::MAY_EXEC)),
        ("ms", shared),
        ("gd", flags.contains(AreaFlags::GROWS_DOWN)),
        ("lo", flags.contains(AreaFlags::LOCKED)),
        ("sr", flags.contains(AreaFlags::SEQUENTIAL)),
        ("rr", flags.contains(AreaFlags::RANDOM)),
        ("dc", flags.contains(AreaFlags::DONT_FORK)),
        ("lf", flags.contains(AreaFlags::LOCK_ON_FAULT)),
        ("ac", counted && !flags.contains(AreaFlags::NO_RESERVE)),
        ("nr", flags.contains(AreaFlags::NO_RESERVE)),
        ("wf", flags.contains(AreaFlags::WIPE_ON_FORK)),
        ("dd", flags.contains(AreaFlags::DONT_DUMP)),
        ("hg", flags.contains(AreaFlags::HUGE_PAGE)),
        ("nh", flags.contains(AreaFlags::NO_HUGE_PAGE)),
        ("mg", flags.contains(AreaFlags::MERGEABLE)),
    ];
    out.write_str("VmFlags: ")?;
    for (letters, _) in table.iter().filter(|(_, has)| *has) {
        write!(out, "{letters} ")?;
    }
    out.write_str("\n")
}

/// Bits of a word of `pagemap` (admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;
const OF_FILE: u64 = 1 << 61;
const EXCLUSIVE: u64 = 1 << 56;

impl AddressSpace {
    fn tally(&self, area: &VmArea, tally: &mut Tally) {
        let (start, end) = (UserAddr::new(area.start), UserAddr::new(area.end));
        let tables = self.tables.lock();
        tables.visit_range(start, end, |page| tally.add(area, page));
    }

    /// Whether pages of an area are the program's own.
    #[inline(never)]
    pub(super) fn has_own_pages(&self, area: &VmArea) -> bool {
        let mut tally = Tally::default();
        self.tally(area, &mut tally);
        tally.anonymous != 0
    }

    /// The text of `/proc/PID/smaps`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn smaps(&self) -> Result<Vec<u8>, Errno> {
        let info = self.info();
        let areas = self.read_areas();
        let mut out = Vec::new();
        for area in areas.map.iter() {
            describe(&areas, &info, area, &mut out)?;
            let mut tally = Tally::default();
            self.tally(area, &mut tally);
            let show = |out: &mut Line<'_>| {
                writeln!(out, "Size:           {:>8} kB", area.size() >> 10)?;
                out.write_str("KernelPageSize:        4 kB\nMMUPageSize:           4 kB\n")?;
                tally.show(false, out)?;
                let private = matches!(area.backing, Object::Anonymous);
                let eligible = private && self.is_eligible(area);
                writeln!(out, "THPeligible:    {}", u8::from(eligible))?;
                letters(area, out)
            };
            show(&mut Line(&mut out)).map_err(|_| Errno::ENOMEM)?;
        }
        Ok(out)
    }

    /// The text of `/proc/PID/smaps_rollup`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn smaps_rollup(&self) -> Result<Vec<u8>, Errno> {
        let areas = self.read_areas();
        let mut tally = Tally::default();
        let (mut start, mut end) = (TASK_SIZE, 0);
        for area in areas.map.iter() {
            (start, end) = (start.min(area.start), end.max(area.end));
            self.tally(area, &mut tally);
        }
        drop(areas);
        let mut out = Vec::new();
        let start = start.min(end);
        let head = write!(
            Line(&mut out),
            "{start:08x}-{end:08x} ---p 00000000 00:00 0"
        );
        let room = NAME_AT.saturating_sub(out.len());
        let name = writeln!(Line(&mut out), "{:room$}[rollup]", "");
        let body = tally.show(true, &mut Line(&mut out));
        head.and(name).and(body).map_err(|_| Errno::ENOMEM)?;
        Ok(out)
    }

    /// The text of `/proc/PID/numa_maps`, on a machine with one node.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn numa_maps(&self) -> Result<Vec<u8>, Errno> {
        let info = self.info();
        let areas = self.read_areas();
        let mut out = Vec::new();
        for area in areas.map.iter() {
            let mut tally = Tally::default();
            self.tally(area, &mut tally);
            let policy = area.flags.policy().name();
            write!(Line(&mut out), "{:08x} {policy}", area.start).map_err(|_| Errno::ENOMEM)?;
            place_name(&areas, &info, area, &mut out)?;
            let pages = |bytes: u64| bytes / PAGE;
            let (all, anonymous) = (pages(tally.rss), pages(tally.anonymous));
            let dirty = pages(tally.shared_dirty + tally.private_dirty);
            let show = |out: &mut Line<'_>| {
                let mapped = if all != anonymous && all != dirty {
                    all
                } else {
                    0
                };
                let most = if tally.mappers > 1 { tally.mappers } else { 0 };
                let numbers = [
                    ("anon", anonymous),
                    ("dirty", dirty),
                    ("mapped", mapped),
                    ("mapmax", most),
                ];
                for (name, number) in numbers.iter().filter(|(_, number)| *number != 0) {
                    write!(out, " {name}={number}")?;
                }
                if all != 0 {
                    write!(out, " N0={all} kernelpagesize_kB=4")?;
                }
                out.write_str("\n")
            };
            show(&mut Line(&mut out)).map_err(|_| Errno::ENOMEM)?;
        }
        Ok(out)
    }

    /// Words of `/proc/PID/pagemap` from page `first` on; `frames`: with the frames' numbers.
    pub(crate) fn page_words(&self, first: u64, frames: bool, out: &mut [u64]) {
        out.fill(0);
        let start = first.saturating_mul(PAGE);
        let end = start.saturating_add(out.len() as u64 * PAGE).min(TASK_SIZE);
        let areas = self.read_areas();
        let range = start..end;
        for area in areas.map.overlapping(&range) {
            let part = area.part(&range);
            let (from, to) = (UserAddr::new(part.start), UserAddr::new(part.end));
            self.tables.lock().visit_range(from, to, |page| {
                let counted = counted(area, page);
                let mut word = PRESENT;
                if !counted.anonymous {
                    word |= OF_FILE;
                }
                if counted.mappers == 1 {
                    word |= EXCLUSIVE;
                }
                if frames {
                    word |= page.frame.raw() >> PAGE_SHIFT;
                }
                let index = kiln_core::num::usize_of((page.va - start) / PAGE);
                if let Some(slot) = out.get_mut(index) {
                    *slot = word;
                }
            });
        }
    }

    /// Forgets which pages were used: all, or only anonymous ones (`Some(false)`), or only a file's.
    pub(crate) fn clear_references(&self, of_files: Option<bool>) {
        let areas = self.read_areas();
        let mut gather = Gather::new();
        for area in areas.map.iter() {
            let is_file = !matches!(area.backing, Object::Anonymous);
            if of_files.is_some_and(|wanted| wanted != is_file) {
                continue;
            }
            let (start, end) = (UserAddr::new(area.start), UserAddr::new(area.end));
            let (set, clear) = (PageFlags::empty(), PageFlags::ACCESSED);
            let mut tables = self.tables.lock();
            tables.protect_range(start, end, set, clear, &mut gather);
        }
    }

    /// Counts the most pages in memory from now on.
    pub(crate) fn forget_most_resident(&self) {
        self.tables.lock().forget_most_resident();
    }

    /// Bytes in memory that are pages of files, and of files in memory.
    pub(crate) fn file_bytes(&self) -> (u64, u64) {
        let areas = self.read_areas();
        let (mut file, mut shmem) = (0, 0);
        for area in areas.map.iter_objects() {
            let (start, end) = (UserAddr::new(area.start), UserAddr::new(area.end));
            self.tables.lock().visit_range(start, end, |page| {
                let counted = counted(area, page);
                let sum = if counted.shmem { &mut shmem } else { &mut file };
                *sum += if counted.anonymous { 0 } else { PAGE };
            });
        }
        (file, shmem)
    }
}
