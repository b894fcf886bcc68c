//! `mmap`, `munmap`, `mprotect` and `brk`, with Linux's checks in Linux's order (`mm/mmap.c`,
//! `mm/mprotect.c`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use kiln_core::abi;
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::vma::{AreaFlags, Gap, Prot, whole_pages};

use super::area::{FileMapping, MappedFile, Object, VmArea};
use super::fault::page_flags;
use super::mapping::Mapping;
use super::space::{AddressSpace, Areas, MIN_ADDR, PAGE, STACK_GAP, errno};
use crate::mm::frame;
use crate::mm::paging::{Gather, PageFlags};

/// What `mmap` is asked for.
pub(crate) struct MapRequest {
    /// Hint or, with `MAP_FIXED`, the place.
    pub(crate) addr: u64,
    /// Bytes.
    pub(crate) len: u64,
    /// `PROT_*`.
    pub(crate) prot: Prot,
    /// `MAP_*`.
    pub(crate) flags: u32,
    /// The file, unless `MAP_ANONYMOUS`.
    pub(crate) file: Option<FileMapping>,
    /// Where in the file, a multiple of the page size.
    pub(crate) offset: u64,
    /// The caller may map below [`MIN_ADDR`] (`CAP_SYS_RAWIO`).
    pub(crate) low: bool,
}

/// Flags that an old-style `MAP_SHARED` knows; others are ignored there.
const KNOWN_FLAGS: u32 = abi::MAP_SHARED
    | abi::MAP_PRIVATE
    | abi::MAP_FIXED
    | abi::MAP_ANONYMOUS
    | abi::MAP_DENYWRITE
    | abi::MAP_EXECUTABLE
    | abi::MAP_GROWSDOWN
    | abi::MAP_LOCKED
    | abi::MAP_NORESERVE
    | abi::MAP_POPULATE
    | abi::MAP_NONBLOCK
    | abi::MAP_STACK
    | abi::MAP_HUGETLB
    | abi::MAP_32BIT
    | abi::MAP_FIXED_NOREPLACE;

/// What was removed from a map: dropped only after the areas' lock is open, because with a
/// mapping's last handle an inode may go.
#[derive(Default)]
pub(super) struct Removed(Vec<Object>);

impl Removed {
    /// Makes room for the files in the range.
    pub(super) fn reserve(&mut self, areas: &Areas, range: &Range<u64>) -> Result<(), Errno> {
        let files = areas.map.overlapping(range);
        let count = files
            .filter(|area| area.backing.mapping().is_some())
            .count();
        self.0.try_reserve(count).map_err(|_| Errno::ENOMEM)
    }

    pub(super) fn keep(&mut self, object: Object) {
        // Reserved before; if not, dropping it here is only early.
        if self.0.len() < self.0.capacity() && object.mapping().is_some() {
            self.0.push(object);
        }
    }
}

impl AddressSpace {
    /// Maps memory; where it lies.
    ///
    /// # Errors
    /// As `mmap(2)`.
    pub(crate) fn mmap(self: &Arc<Self>, request: MapRequest) -> Result<UserAddr, Errno> {
        let populate = request.flags & (abi::MAP_POPULATE | abi::MAP_NONBLOCK) == abi::MAP_POPULATE;
        let mut removed = Removed::default();
        let mut areas = self.write_areas();
        let (range, locked) = self.map_locked(&mut areas, request, &mut removed)?;
        let writable = areas
            .map
            .find(range.start)
            .is_some_and(|a| a.prot.contains(Prot::WRITE));
        drop(areas);
        drop(removed);
        if populate || locked {
            let _ = self.populate(range.start, range.end, writable);
        }
        Ok(UserAddr::new(range.start))
    }

    fn map_locked(
        self: &Arc<Self>,
        areas: &mut Areas,
        mut request: MapRequest,
        removed: &mut Removed,
    ) -> Result<(Range<u64>, bool), Errno> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        if request.flags & abi::MAP_FIXED_NOREPLACE != 0 {
            request.flags |= abi::MAP_FIXED;
        }
        let len = whole_pages(request.len).ok_or(Errno::ENOMEM)?;
        if (request.offset / PAGE).checked_add(len / PAGE).is_none() {
            return Err(Errno::EOVERFLOW);
        }
        let start = place(areas, &request, len)?;
        let range = start..start + len;
        if request.flags & abi::MAP_FIXED_NOREPLACE != 0 && !areas.map.is_free(&range) {
            return Err(Errno::EEXIST);
        }
        let mut flags = self.lock_flags(areas, &request, len)?;
        flags |= area_flags(&request)?;
        self.check_limits(areas, &range, request.prot, flags)?;
        let backing = self.object(&request, flags, len)?;
        self.unmap_locked(areas, &range, removed)?;
        let area = VmArea {
            start,
            end: range.end,
            prot: request.prot,
            flags,
            backing,
        };
        areas.map.insert(area).map_err(errno)?;
        let locked = flags.contains(AreaFlags::LOCKED);
        if locked {
            areas.locked_pages += len / PAGE;
        }
        self.note_peak(areas);
        Ok((range, locked && !flags.contains(AreaFlags::LOCK_ON_FAULT)))
    }

    fn object(
        self: &Arc<Self>,
        request: &MapRequest,
        flags: AreaFlags,
        len: u64,
    ) -> Result<Object, Errno> {
        let shared = flags.contains(AreaFlags::SHARED);
        let (mapping, name, offset) = match &request.file {
            Some(FileMapping {
                mapping: Ok(Some(mapping)),
                name,
                ..
            }) => (mapping.clone(), name.clone(), request.offset),
            _ if !shared => return Ok(Object::Anonymous),
            // Shared memory without a file is a file without a name.
            _ => (Mapping::new(None, len)?, None, 0),
        };
        let writes = shared && flags.contains(AreaFlags::MAY_WRITE);
        let file = MappedFile::new(self, mapping, name, writes)?;
        Ok(Object::File { file, offset })
    }

    /// Flags for memory that shall stay in, and whether it may.
    fn lock_flags(
        &self,
        areas: &Areas,
        request: &MapRequest,
        len: u64,
    ) -> Result<AreaFlags, Errno> {
        let asked = request.flags & abi::MAP_LOCKED != 0;
        let limit = self.limits().locked;
        if asked && limit == 0 {
            return Err(Errno::EPERM);
        }
        if !asked && !areas.lock_future {
            return Ok(AreaFlags::empty());
        }
        if (areas.locked_pages * PAGE).saturating_add(len) > limit {
            return Err(Errno::EAGAIN);
        }
        let on_fault = areas.lock_future && areas.lock_on_fault && !asked;
        let mut flags = AreaFlags::LOCKED;
        flags.set(AreaFlags::LOCK_ON_FAULT, on_fault);
        Ok(flags)
    }

    /// `RLIMIT_AS`, `RLIMIT_DATA` and the obvious overcommit.
    pub(super) fn check_limits(
        &self,
        areas: &Areas,
        range: &Range<u64>,
        prot: Prot,
        flags: AreaFlags,
    ) -> Result<(), Errno> {
        let limits = self.limits();
        let len = range.end - range.start;
        // What a fixed mapping replaces doesn't count twice.
        let replaced: u64 = areas
            .map
            .overlapping(range)
            .map(|area| area.part(range).size())
            .sum();
        let total = areas.map.total_bytes() - replaced;
        if total.saturating_add(len) > limits.address_space {
            return Err(Errno::ENOMEM);
        }
        let private_data = prot.contains(Prot::WRITE) && !flags.contains(AreaFlags::SHARED);
        if private_data && limits.data != u64::MAX {
            let data = data_bytes(areas);
            if data.saturating_add(len) > limits.data {
                return Err(Errno::ENOMEM);
            }
        }
        let counted = private_data && !flags.contains(AreaFlags::NO_RESERVE);
        if counted && len / PAGE > frame::stats().total as u64 {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// Unmaps a range.
    ///
    /// # Errors
    /// As `munmap(2)`.
    pub(crate) fn munmap(self: &Arc<Self>, addr: u64, len: u64) -> Result<(), Errno> {
        let range = unmap_range(addr, len)?;
        let mut removed = Removed::default();
        let mut areas = self.write_areas();
        self.unmap_locked(&mut areas, &range, &mut removed)
    }

    /// Unmaps a range whose lock the caller holds.
    pub(super) fn unmap_locked(
        &self,
        areas: &mut Areas,
        range: &Range<u64>,
        removed: &mut Removed,
    ) -> Result<(), Errno> {
        if areas.map.is_free(range) {
            return Ok(());
        }
        removed.reserve(areas, range)?;
        let mut unlocked = 0;
        areas
            .map
            .remove(range, |area| {
                if area.flags.contains(AreaFlags::LOCKED) {
                    unlocked += area.size() / PAGE;
                }
                removed.keep(area.backing);
            })
            .map_err(errno)?;
        areas.locked_pages -= unlocked;
        let mut gather = Gather::new();
        let (start, end) = (UserAddr::new(range.start), UserAddr::new(range.end));
        self.tables.lock().unmap_range(start, end, &mut gather);
        Ok(())
    }

    /// Changes what a range may be used for.
    ///
    /// # Errors
    /// As `mprotect(2)`; areas before the one at fault are changed.
    pub(crate) fn mprotect(&self, addr: u64, len: u64, prot: u32) -> Result<(), Errno> {
        let (grows, prot) = protection(prot)?;
        if !addr.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let len = whole_pages(len).ok_or(Errno::ENOMEM)?;
        let end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
        let prot = prot.ok_or(Errno::EINVAL)?;
        let mut areas = self.write_areas();
        let mut range = addr..end;
        let first = areas.map.first_ending_above(addr).ok_or(Errno::ENOMEM)?;
        if grows {
            if !first.flags.contains(AreaFlags::GROWS_DOWN) {
                return Err(Errno::EINVAL);
            }
            range.start = first.start;
        }
        let (end, result) = changeable(&areas, &range, prot);
        range.end = end;
        if !range.is_empty() {
            areas
                .map
                .update(&range, |area| area.prot = prot)
                .map_err(errno)?;
            self.protect_pages(&areas, &range);
        }
        result
    }

    /// Makes the table entries of the range follow the rights of its areas.
    fn protect_pages(&self, areas: &Areas, range: &Range<u64>) {
        let mut gather = Gather::new();
        let mut tables = self.tables.lock();
        for area in areas.map.overlapping(range) {
            let part = area.part(range);
            // Private memory that isn't shared with a child or a file may be written at once;
            // any other page is asked for by a fault.
            let at_once = matches!(area.backing, Object::Anonymous);
            let mut set = page_flags(area.prot, at_once);
            let mut clear = (PageFlags::WRITE | PageFlags::EXEC | PageFlags::NO_ACCESS) - set;
            if area.prot.is_empty() {
                set |= PageFlags::NO_ACCESS;
                clear -= PageFlags::NO_ACCESS;
            }
            let (start, end) = (UserAddr::new(part.start), UserAddr::new(part.end));
            tables.protect_range(start, end, set, clear, &mut gather);
        }
    }

    /// Moves the end of the heap; where it is afterwards, moved or not.
    pub(crate) fn brk(self: &Arc<Self>, addr: u64) -> u64 {
        let mut removed = Removed::default();
        let mut areas = self.write_areas();
        let old = areas.brk;
        if addr < areas.brk_start || self.move_brk(&mut areas, addr, &mut removed).is_err() {
            return old;
        }
        areas.brk = addr;
        let lock = areas.lock_future && !areas.lock_on_fault;
        drop(areas);
        if lock && addr > old {
            let _ = self.populate(old & !(PAGE - 1), addr, true);
        }
        addr
    }

    fn move_brk(
        self: &Arc<Self>,
        areas: &mut Areas,
        addr: u64,
        removed: &mut Removed,
    ) -> Result<(), Errno> {
        let limits = self.limits();
        let program_data = self.info().data;
        let data = (addr - areas.brk_start).saturating_add(program_data.1 - program_data.0);
        if limits.data != u64::MAX && data > limits.data {
            return Err(Errno::ENOMEM);
        }
        let old_end = whole_pages(areas.brk).unwrap_or(0);
        let new_end = whole_pages(addr)
            .filter(|end| *end <= TASK_SIZE)
            .ok_or(Errno::ENOMEM)?;
        if new_end <= old_end {
            return self.unmap_locked(areas, &(new_end..old_end), removed);
        }
        let range = old_end..new_end;
        let next = areas.map.first_ending_above(old_end);
        let ceiling = next.map_or(TASK_SIZE, |area| {
            let gap = if area.flags.contains(AreaFlags::GROWS_DOWN) {
                STACK_GAP
            } else {
                0
            };
            area.start.saturating_sub(gap)
        });
        if new_end + PAGE > ceiling {
            return Err(Errno::ENOMEM);
        }
        self.map_anonymous(areas, range, Prot::READ | Prot::WRITE)
    }

    /// Adds fresh private memory at a free place.
    pub(super) fn map_anonymous(
        &self,
        areas: &mut Areas,
        range: Range<u64>,
        prot: Prot,
    ) -> Result<(), Errno> {
        let mut flags = AreaFlags::MAY_WRITE | AreaFlags::MAY_EXEC;
        self.check_limits(areas, &range, prot, flags)?;
        if areas.lock_future {
            let bytes = (areas.locked_pages * PAGE).saturating_add(range.end - range.start);
            if bytes > self.limits().locked {
                return Err(Errno::EAGAIN);
            }
            flags |= AreaFlags::LOCKED;
            flags.set(AreaFlags::LOCK_ON_FAULT, areas.lock_on_fault);
        }
        let locked = flags.contains(AreaFlags::LOCKED);
        let pages = (range.end - range.start) / PAGE;
        let area = VmArea {
            start: range.start,
            end: range.end,
            prot,
            flags,
            backing: Object::Anonymous,
        };
        areas.map.insert(area).map_err(errno)?;
        if locked {
            areas.locked_pages += pages;
        }
        self.note_peak(areas);
        Ok(())
    }
}

/// Bytes that count for `RLIMIT_DATA`: private, writable, no stack.
pub(super) fn data_bytes(areas: &Areas) -> u64 {
    let data = areas.map.iter().filter(|area| {
        area.prot.contains(Prot::WRITE)
            && !area
                .flags
                .intersects(AreaFlags::SHARED | AreaFlags::GROWS_DOWN)
    });
    data.map(VmArea::size).sum()
}

/// The whole pages that `munmap` and its kin are asked for.
fn unmap_range(addr: u64, len: u64) -> Result<Range<u64>, Errno> {
    if !addr.is_multiple_of(PAGE) || addr > TASK_SIZE || len > TASK_SIZE - addr {
        return Err(Errno::EINVAL);
    }
    let len = whole_pages(len).ok_or(Errno::EINVAL)?;
    Ok(addr..addr + len)
}

/// Whether an area that grows down is meant as a whole, and the rights; `None` for unknown bits.
fn protection(prot: u32) -> Result<(bool, Option<Prot>), Errno> {
    let grows = prot & (abi::PROT_GROWSDOWN | abi::PROT_GROWSUP);
    if grows == abi::PROT_GROWSDOWN | abi::PROT_GROWSUP {
        return Err(Errno::EINVAL);
    }
    if grows & abi::PROT_GROWSUP != 0 {
        return Err(Errno::EINVAL);
    }
    // PROT_SEM means nothing on x86 and is allowed.
    let known = Prot::from_bits(prot & !(grows | abi::PROT_SEM));
    Ok((grows != 0, known))
}

/// How far from its start the range can be changed to `prot`, and why not further.
fn changeable(areas: &Areas, range: &Range<u64>, prot: Prot) -> (u64, Result<(), Errno>) {
    let mut next = range.start;
    for area in areas.map.overlapping(range) {
        if area.start > next {
            return (next, Err(Errno::ENOMEM));
        }
        let denied = (prot.contains(Prot::WRITE) && !area.flags.contains(AreaFlags::MAY_WRITE))
            || (prot.contains(Prot::EXEC) && !area.flags.contains(AreaFlags::MAY_EXEC));
        if denied {
            return (next, Err(Errno::EACCES));
        }
        next = area.end.min(range.end);
    }
    if next < range.end {
        return (next, Err(Errno::ENOMEM));
    }
    (next, Ok(()))
}

/// The flags of the area to be, and whether the file allows it.
fn area_flags(request: &MapRequest) -> Result<AreaFlags, Errno> {
    let kind = request.flags & abi::MAP_TYPE;
    let grows = request.flags & abi::MAP_GROWSDOWN != 0;
    let mut flags = AreaFlags::MAY_WRITE | AreaFlags::MAY_EXEC;
    flags.set(AreaFlags::GROWS_DOWN, grows);
    flags.set(
        AreaFlags::NO_RESERVE,
        request.flags & abi::MAP_NORESERVE != 0,
    );
    match kind {
        abi::MAP_SHARED | abi::MAP_SHARED_VALIDATE => flags |= AreaFlags::SHARED,
        abi::MAP_PRIVATE => {}
        _ => return Err(Errno::EINVAL),
    }
    let shared = flags.contains(AreaFlags::SHARED);
    let Some(file) = &request.file else {
        let bad = (shared && grows) || kind == abi::MAP_SHARED_VALIDATE;
        return if bad { Err(Errno::EINVAL) } else { Ok(flags) };
    };
    if kind == abi::MAP_SHARED_VALIDATE && request.flags & !KNOWN_FLAGS != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if shared && !file.writable {
        if request.prot.contains(Prot::WRITE) {
            return Err(Errno::EACCES);
        }
        flags -= AreaFlags::MAY_WRITE;
    }
    if !file.readable {
        return Err(Errno::EACCES);
    }
    if file.no_exec {
        if request.prot.contains(Prot::EXEC) {
            return Err(Errno::EPERM);
        }
        flags -= AreaFlags::MAY_EXEC;
    }
    file.mapping.as_ref().map_err(|error| *error)?;
    if grows {
        return Err(Errno::EINVAL);
    }
    Ok(flags)
}

/// Where the new mapping goes.
fn place(areas: &Areas, request: &MapRequest, len: u64) -> Result<u64, Errno> {
    if len > TASK_SIZE {
        return Err(Errno::ENOMEM);
    }
    if request.flags & abi::MAP_FIXED != 0 {
        if request.addr > TASK_SIZE - len {
            return Err(Errno::ENOMEM);
        }
        if !request.addr.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if request.addr < MIN_ADDR && !request.low {
            return Err(Errno::EPERM);
        }
        return Ok(request.addr);
    }
    let only_low = request.flags & abi::MAP_32BIT != 0;
    if request.addr != 0
        && let Some(start) = hinted(areas, request.addr, len, only_low)
    {
        return Ok(start);
    }
    find_gap(areas, len, PAGE, only_low).ok_or(Errno::ENOMEM)
}

/// The hint, in whole pages, when there is room.
fn hinted(areas: &Areas, hint: u64, len: u64, only_low: bool) -> Option<u64> {
    let start = whole_pages(hint)?.max(MIN_ADDR);
    let limit = if only_low { LOW_END } else { TASK_SIZE };
    let gap = Gap {
        len,
        within: start..start.checked_add(len).filter(|end| *end <= limit)?,
        guard: STACK_GAP,
        align: PAGE,
    };
    areas.map.gap_bottom_up(&gap)
}

/// Where `MAP_32BIT` begins and ends (`arch/x86/kernel/sys_x86_64.c`).
const LOW_START: u64 = 0x4000_0000;
const LOW_END: u64 = 0x8000_0000;

/// The highest gap below the top for mappings, or the lowest above it when there is none.
pub(super) fn find_gap(areas: &Areas, len: u64, align: u64, only_low: bool) -> Option<u64> {
    let within = |within| Gap {
        len,
        within,
        guard: STACK_GAP,
        align,
    };
    if only_low {
        return areas.map.gap_bottom_up(&within(LOW_START..LOW_END));
    }
    areas
        .map
        .gap_top_down(&within(MIN_ADDR..areas.mmap_top))
        .or_else(|| {
            areas
                .map
                .gap_bottom_up(&within((TASK_SIZE / 3) & !(PAGE - 1)..TASK_SIZE))
        })
}
