//! `mremap`: areas grow, shrink and move (`mm/mremap.c`).

use alloc::sync::Arc;
use core::ops::Range;

use kiln_core::abi;
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::vma::{AreaFlags, Backing, whole_pages};

use super::area::{Object, VmArea};
use super::map::Removed;
use super::place::find_gap;
use super::reclaim::wait_for_memory;
use super::space::{AddressSpace, Areas, MIN_ADDR, PAGE, errno};
use crate::mm::paging::Gather;

const KNOWN: u32 = abi::MREMAP_MAYMOVE | abi::MREMAP_FIXED | abi::MREMAP_DONTUNMAP;

/// Where and how long a mapping was and shall be, in whole pages.
struct Move {
    old: Range<u64>,
    new_len: u64,
    flags: u32,
    /// With `MREMAP_FIXED`, the place; with `MREMAP_DONTUNMAP`, a hint.
    new_addr: u64,
    /// The place may be below what is for everybody.
    low: bool,
}

impl Move {
    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn old_len(&self) -> u64 {
        self.old.end - self.old.start
    }
}

impl AddressSpace {
    /// Resizes or moves a mapping; where it lies then.
    ///
    /// # Errors
    /// As `mremap(2)`.
    pub(crate) fn mremap(
        self: &Arc<Self>,
        addr: u64,
        old_len: u64,
        new_len: u64,
        flags: u32,
        new_addr: u64,
        low: bool,
    ) -> Result<UserAddr, Errno> {
        let both = abi::MREMAP_FIXED | abi::MREMAP_DONTUNMAP;
        let dont_unmap = flags & abi::MREMAP_DONTUNMAP != 0;
        if flags & !KNOWN != 0
            || (flags & both != 0 && flags & abi::MREMAP_MAYMOVE == 0)
            || (dont_unmap && old_len != new_len)
            || !addr.is_multiple_of(PAGE)
        {
            return Err(Errno::EINVAL);
        }
        let new_len = whole_pages(new_len).ok_or(Errno::EINVAL)?;
        let old_len = kiln_core::num::align_up(old_len, PAGE).ok_or(Errno::EINVAL)?;
        let end = addr.checked_add(old_len).ok_or(Errno::EINVAL)?;
        let request = Move {
            old: addr..end,
            new_len,
            flags,
            new_addr,
            low,
        };
        let mut removed = Removed::default();
        let mut areas = self.write_areas();
        let (start, populate) = self.remap_locked(&mut areas, request, &mut removed)?;
        drop(areas);
        drop(removed);
        if populate {
            let _ = self.populate(start + old_len.min(new_len), start + new_len, true);
        }
        Ok(UserAddr::new(start))
    }

    fn remap_locked(
        self: &Arc<Self>,
        areas: &mut Areas,
        mut request: Move,
        removed: &mut Removed,
    ) -> Result<(u64, bool), Errno> {
        let start = request.old.start;
        areas.map.find(start).ok_or(Errno::EFAULT)?;
        if request.has(abi::MREMAP_FIXED | abi::MREMAP_DONTUNMAP) {
            return self.move_to(areas, request, removed);
        }
        if request.old_len() >= request.new_len {
            let cut = start + request.new_len..request.old.end;
            if !cut.is_empty() {
                self.unmap_locked(areas, &cut, removed)?;
            }
            return Ok((start, false));
        }
        let area = self.resizable(areas, &request)?;
        let locked = area.flags.contains(AreaFlags::LOCKED);
        if request.old.end == area.end
            && self.expand(areas, &area, request.new_len - request.old_len())
        {
            return Ok((start, locked));
        }
        if !request.has(abi::MREMAP_MAYMOVE) {
            return Err(Errno::ENOMEM);
        }
        request.new_addr = find_gap(areas, request.new_len, PAGE, false).ok_or(Errno::ENOMEM)?;
        self.relocate(areas, &request, &area, removed)?;
        Ok((request.new_addr, locked))
    }

    fn move_to(
        self: &Arc<Self>,
        areas: &mut Areas,
        mut request: Move,
        removed: &mut Removed,
    ) -> Result<(u64, bool), Errno> {
        let fixed = request.has(abi::MREMAP_FIXED);
        let len = request.new_len;
        if !request.new_addr.is_multiple_of(PAGE)
            || len > TASK_SIZE
            || request.new_addr > TASK_SIZE - len
        {
            return Err(Errno::EINVAL);
        }
        let target = request.new_addr..request.new_addr + len;
        if fixed || request.new_addr != 0 {
            let old = &request.old;
            if old.end > target.start && target.end > old.start {
                return Err(Errno::EINVAL);
            }
        }
        if fixed {
            if target.start < MIN_ADDR && !request.low {
                return Err(Errno::EPERM);
            }
            self.unmap_locked(areas, &target, removed)?;
        }
        if request.old_len() > len {
            let cut = request.old.start + len..request.old.end;
            self.unmap_locked(areas, &cut, removed)?;
            request.old.end = cut.start;
        }
        let area = self.resizable(areas, &request)?;
        if !fixed && (target.start < MIN_ADDR || !areas.map.is_free(&target)) {
            request.new_addr = find_gap(areas, len, PAGE, false).ok_or(Errno::ENOMEM)?;
        }
        self.relocate(areas, &request, &area, removed)?;
        Ok((request.new_addr, area.flags.contains(AreaFlags::LOCKED)))
    }

    /// The area, when it may grow as asked.
    fn resizable(&self, areas: &Areas, request: &Move) -> Result<VmArea, Errno> {
        let area = areas.map.find(request.old.start).ok_or(Errno::EFAULT)?;
        // The pages that the kernel gave are as many as they are (`VM_DONTEXPAND`).
        if matches!(area.backing, Object::Special(_)) && request.new_len > request.old_len() {
            return Err(Errno::EFAULT);
        }
        // A length of 0 asks for a second mapping of the same shared memory.
        if request.old.is_empty() && !area.is_shared() {
            return Err(Errno::EINVAL);
        }
        if request.old.end > area.end {
            return Err(Errno::EFAULT);
        }
        let growth = request.new_len.saturating_sub(request.old_len());
        if growth == 0 {
            return Ok(area.clone());
        }
        if let Some((_, offset)) = area.backing.mapping() {
            let end = (offset + (request.old.start - area.start)).checked_add(request.new_len);
            end.ok_or(Errno::EINVAL)?;
        }
        if area.flags.contains(AreaFlags::LOCKED) {
            let bytes = (areas.locked_pages * PAGE).saturating_add(growth);
            if bytes > self.limits().locked {
                return Err(Errno::EAGAIN);
            }
        }
        // Beyond the address space, so that nothing is taken for replaced.
        self.check_limits(
            areas,
            &(TASK_SIZE..TASK_SIZE.saturating_add(growth)),
            area.prot,
            area.flags,
        )?;
        Ok(area.clone())
    }

    /// Lets the area grow in place; whether there was room.
    fn expand(&self, areas: &mut Areas, area: &VmArea, growth: u64) -> bool {
        let Some(end) = area.end.checked_add(growth).filter(|end| *end <= TASK_SIZE) else {
            return false;
        };
        let more = VmArea {
            start: area.end,
            end,
            backing: area.backing.advanced(area.size()),
            ..area.clone()
        };
        let locked = area.flags.contains(AreaFlags::LOCKED);
        let inserted = areas.map.insert(more).is_ok();
        if inserted && locked {
            areas.locked_pages += growth / PAGE;
        }
        self.note_peak(areas);
        inserted
    }

    /// Moves an area's part to a free place, with its pages.
    fn relocate(
        &self,
        areas: &mut Areas,
        request: &Move,
        area: &VmArea,
        removed: &mut Removed,
    ) -> Result<(), Errno> {
        let (old, new_start) = (&request.old, request.new_addr);
        let moved = VmArea {
            start: new_start,
            end: new_start + request.new_len,
            backing: area.backing.advanced(old.start - area.start),
            ..area.clone()
        };
        // Splitting the old area must not fail once the new one is there.
        areas.map.reserve(3).map_err(errno)?;
        if !area.is_shared() {
            self.copy_pages(old, new_start)?;
        }
        if let Err(error) = areas.map.insert(moved) {
            self.drop_pages(&(new_start..new_start + request.new_len));
            return Err(errno(error));
        }
        if area.flags.contains(AreaFlags::LOCKED) {
            areas.locked_pages += request.new_len / PAGE;
        }
        if request.has(abi::MREMAP_DONTUNMAP) {
            self.drop_pages(old);
            return areas
                .map
                .update(old, |area| area.flags -= AreaFlags::LOCKED)
                .map_err(errno);
        }
        if old.is_empty() {
            return Ok(());
        }
        self.unmap_locked(areas, old, removed)
    }

    fn drop_pages(&self, range: &Range<u64>) {
        let mut gather = Gather::new();
        let (start, end) = (UserAddr::new(range.start), UserAddr::new(range.end));
        self.tables.lock().unmap_range(start, end, &mut gather);
    }

    /// Maps the pages of the old range at the new one too. The areas' lock keeps faults away.
    fn copy_pages(&self, old: &Range<u64>, new_start: u64) -> Result<(), Errno> {
        let mut window = old.start;
        while window < old.end {
            let end = (window + 64 * PAGE).min(old.end);
            let copied = self.copy_window(&(window..end), old.start, new_start);
            if copied.is_err() && !wait_for_memory() {
                self.drop_pages(&(new_start..new_start + (old.end - old.start)));
                return Err(Errno::ENOMEM);
            }
            if copied.is_ok() {
                window = end;
            }
        }
        Ok(())
    }

    fn copy_window(
        &self,
        window: &Range<u64>,
        old_start: u64,
        new_start: u64,
    ) -> Result<(), Errno> {
        let mut present = 0u64;
        let mut gather = Gather::new();
        let mut tables = self.tables.lock();
        let (start, end) = (UserAddr::new(window.start), UserAddr::new(window.end));
        tables.visit_range(start, end, |page| {
            present |= 1 << ((page.va - window.start) / PAGE);
        });
        while present != 0 {
            let page = window.start + u64::from(present.trailing_zeros()) * PAGE;
            present &= present - 1;
            let target = UserAddr::new(new_start + (page - old_start));
            if tables.is_mapped(target) {
                continue;
            }
            if let Some(mapped) = tables.lookup(UserAddr::new(page)) {
                tables.map(target, mapped.frame, mapped.flags, &mut gather)?;
            }
        }
        Ok(())
    }
}
