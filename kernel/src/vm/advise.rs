//! `madvise`, `msync` and `mincore` (`mm/madvise.c`, `mm/msync.c`, `mm/mincore.c`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use kiln_core::abi;
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::{align_up, usize_of};
use kiln_core::vma::{AreaFlags, Prot};

use super::area::{MapName, Object, VmArea};
use super::fault::{Access, FaultError};
use super::mapping::Mapping;
use super::space::{AddressSpace, Areas, PAGE, errno};
use crate::mm::paging::Gather;

/// Pages whose presence `mincore` looks up at once.
const CORE_BATCH: usize = 256;

/// The range in whole pages, or the error that all of these calls have for a bad one.
fn page_range(addr: u64, len: u64, wrapped: Errno) -> Result<Range<u64>, Errno> {
    if !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let len = align_up(len, PAGE).ok_or(wrapped)?;
    let end = addr.checked_add(len).ok_or(wrapped)?;
    Ok(addr..end)
}

/// What a piece of advice comes to.
enum Advice {
    /// Flags of the areas change.
    Flags(AreaFlags, AreaFlags),
    /// Pages go.
    Drop { free: bool, locked: bool },
    /// Pages come.
    Populate(Access),
    /// The file's pages come.
    WillNeed,
    /// The file's pages go for good.
    Remove,
    /// Small pages become large ones.
    Collapse,
    /// Nothing, but what is locked can't be.
    Cold,
}

fn advice(number: u32) -> Option<Advice> {
    let none = AreaFlags::empty();
    let order = AreaFlags::SEQUENTIAL | AreaFlags::RANDOM;
    let huge = AreaFlags::HUGE_PAGE | AreaFlags::NO_HUGE_PAGE;
    Some(match number {
        abi::MADV_NORMAL => Advice::Flags(none, order),
        abi::MADV_RANDOM => Advice::Flags(AreaFlags::RANDOM, order),
        abi::MADV_SEQUENTIAL => Advice::Flags(AreaFlags::SEQUENTIAL, order),
        abi::MADV_WILLNEED => Advice::WillNeed,
        abi::MADV_DONTNEED => Advice::Drop {
            free: false,
            locked: false,
        },
        abi::MADV_DONTNEED_LOCKED => Advice::Drop {
            free: false,
            locked: true,
        },
        abi::MADV_FREE => Advice::Drop {
            free: true,
            locked: false,
        },
        abi::MADV_REMOVE => Advice::Remove,
        abi::MADV_DONTFORK => Advice::Flags(AreaFlags::DONT_FORK, none),
        abi::MADV_DOFORK => Advice::Flags(none, AreaFlags::DONT_FORK),
        abi::MADV_MERGEABLE => Advice::Flags(AreaFlags::MERGEABLE, none),
        abi::MADV_UNMERGEABLE => Advice::Flags(none, AreaFlags::MERGEABLE),
        abi::MADV_HUGEPAGE => Advice::Flags(AreaFlags::HUGE_PAGE, huge),
        abi::MADV_NOHUGEPAGE => Advice::Flags(AreaFlags::NO_HUGE_PAGE, huge),
        abi::MADV_DONTDUMP => Advice::Flags(AreaFlags::DONT_DUMP, none),
        abi::MADV_DODUMP => Advice::Flags(none, AreaFlags::DONT_DUMP),
        abi::MADV_WIPEONFORK => Advice::Flags(AreaFlags::WIPE_ON_FORK, none),
        abi::MADV_KEEPONFORK => Advice::Flags(none, AreaFlags::WIPE_ON_FORK),
        abi::MADV_COLD | abi::MADV_PAGEOUT => Advice::Cold,
        abi::MADV_COLLAPSE => Advice::Collapse,
        abi::MADV_POPULATE_READ => Advice::Populate(Access::Read),
        abi::MADV_POPULATE_WRITE => Advice::Populate(Access::Write),
        _ => return None,
    })
}

impl AddressSpace {
    /// Takes advice about a range.
    ///
    /// # Errors
    /// As `madvise(2)`.
    pub(crate) fn madvise(self: &Arc<Self>, addr: u64, len: u64, number: u32) -> Result<(), Errno> {
        let advice = advice(number).ok_or(Errno::EINVAL)?;
        let range = page_range(addr, len, Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        match advice {
            Advice::Flags(set, clear) => self.advise_flags(&range, set, clear),
            Advice::Drop { free, locked } => self.advise_drop(&range, free, locked),
            Advice::Populate(access) => self.advise_populate(&range, access),
            Advice::WillNeed => self.advise_will_need(&range),
            Advice::Remove => self.advise_remove(&range),
            Advice::Collapse => {
                self.collapse(&range)?;
                covered(&self.read_areas(), &range)
            }
            Advice::Cold => {
                let areas = self.read_areas();
                // What is locked stays where it is.
                let locked = |area: &VmArea| area.flags.contains(AreaFlags::LOCKED);
                if areas.map.overlapping(&range).any(locked) {
                    return Err(Errno::EINVAL);
                }
                covered(&areas, &range)
            }
        }
    }

    fn advise_flags(
        &self,
        range: &Range<u64>,
        set: AreaFlags,
        clear: AreaFlags,
    ) -> Result<(), Errno> {
        let mut areas = self.write_areas();
        if set.contains(AreaFlags::WIPE_ON_FORK) {
            let fresh = |area: &VmArea| matches!(area.backing, Object::Anonymous);
            if !areas.map.overlapping(range).all(fresh) {
                return Err(Errno::EINVAL);
            }
        }
        let change = |area: &mut VmArea| area.flags = (area.flags - clear) | set;
        areas.map.update(range, change).map_err(errno)?;
        covered(&areas, range)
    }

    fn advise_drop(&self, range: &Range<u64>, free: bool, locked: bool) -> Result<(), Errno> {
        let areas = self.read_areas();
        let mut gather = Gather::new();
        for area in areas.map.overlapping(range) {
            let kept = area.flags.contains(AreaFlags::LOCKED) && !locked;
            let fresh = matches!(area.backing, Object::Anonymous);
            if kept || (free && !fresh) {
                return Err(Errno::EINVAL);
            }
            let part = area.part(range);
            let (start, end) = (UserAddr::new(part.start), UserAddr::new(part.end));
            self.tables.lock().unmap_range(start, end, &mut gather);
        }
        covered(&areas, range)
    }

    fn advise_populate(self: &Arc<Self>, range: &Range<u64>, access: Access) -> Result<(), Errno> {
        let mut page = range.start;
        while page < range.end {
            // The hardware could read where it can write.
            let rights = self.read_areas().map.find(page).map(|area| area.prot);
            if access == Access::Read && rights.is_some_and(|prot| !prot.contains(Prot::READ)) {
                return Err(Errno::EINVAL);
            }
            self.fault(UserAddr::new(page), access)
                .map_err(|error| match error {
                    FaultError::Maperr | FaultError::Oom => Errno::ENOMEM,
                    FaultError::Accerr => Errno::EINVAL,
                    FaultError::BusAdrerr => Errno::EFAULT,
                })?;
            page += PAGE;
        }
        Ok(())
    }

    fn advise_will_need(&self, range: &Range<u64>) -> Result<(), Errno> {
        let mut next = range.start;
        // The files are read with no lock of the space held.
        while let Some(part) = self.next_file(&(next..range.end)) {
            part.mapping.read_ahead(part.first, part.count);
            next = part.end;
        }
        covered(&self.read_areas(), range)
    }

    fn advise_remove(&self, range: &Range<u64>) -> Result<(), Errno> {
        {
            let areas = self.read_areas();
            for area in areas.map.overlapping(range) {
                if area.flags.contains(AreaFlags::LOCKED) || area.backing.mapping().is_none() {
                    return Err(Errno::EINVAL);
                }
                if !area.is_shared() || !area.flags.contains(AreaFlags::MAY_WRITE) {
                    return Err(Errno::EACCES);
                }
            }
            covered(&areas, range)?;
        }
        let mut next = range.start;
        while let Some(part) = self.next_file(&(next..range.end)) {
            match &part.name {
                // By its file system, which knows where else the bytes lie.
                Some(file) => file.punch(part.first * PAGE, part.count * PAGE)?,
                None => part.mapping.discard(part.first, part.count)?,
            }
            next = part.end;
        }
        Ok(())
    }

    /// Writes back what shared mappings in the range changed.
    ///
    /// # Errors
    /// As `msync(2)`.
    pub(crate) fn msync(&self, addr: u64, len: u64, flags: u32) -> Result<(), Errno> {
        let known = abi::MS_ASYNC | abi::MS_INVALIDATE | abi::MS_SYNC;
        let both = abi::MS_ASYNC | abi::MS_SYNC;
        if flags & !known != 0 || flags & both == both {
            return Err(Errno::EINVAL);
        }
        // A length that wraps when it is made whole pages is nothing, as on Linux.
        let len = if len > u64::MAX - (PAGE - 1) { 0 } else { len };
        let range = page_range(addr, len, Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        if flags & abi::MS_INVALIDATE != 0 {
            let areas = self.read_areas();
            let locked = |area: &VmArea| area.flags.contains(AreaFlags::LOCKED);
            if areas.map.overlapping(&range).any(locked) {
                return Err(Errno::EBUSY);
            }
        }
        if flags & abi::MS_SYNC != 0 {
            let mut next = range.start;
            while let Some(part) = self.next_file(&(next..range.end)) {
                if part.shared {
                    part.mapping.sync(part.first, part.count)?;
                }
                next = part.end;
            }
        }
        covered(&self.read_areas(), &range)
    }

    /// Which pages of the range are in memory: a byte for each, at `vector`.
    ///
    /// # Errors
    /// As `mincore(2)`.
    pub(crate) fn mincore(
        self: &Arc<Self>,
        addr: u64,
        len: u64,
        vector: UserAddr,
    ) -> Result<(), Errno> {
        let range = page_range(addr, len, Errno::ENOMEM)?;
        if range.end > TASK_SIZE {
            return Err(Errno::ENOMEM);
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(CORE_BATCH)
            .map_err(|_| Errno::ENOMEM)?;
        let mut page = range.start;
        while page < range.end {
            let end = range.end.min(page + CORE_BATCH as u64 * PAGE);
            bytes.clear();
            let end = self.core_bytes(&(page..end), &mut bytes)?;
            let done = usize_of((page - range.start) / PAGE);
            self.copy_out(super::copy::advance(vector, done), &bytes)?;
            page = end;
        }
        Ok(())
    }

    /// Up to the first gap; answers where that is, ENOMEM when it is at once.
    fn core_bytes(&self, range: &Range<u64>, out: &mut Vec<u8>) -> Result<u64, Errno> {
        let areas = self.read_areas();
        let mut reached = range.start;
        for area in areas.map.overlapping(range) {
            let part = area.part(range);
            if part.start != reached {
                break;
            }
            reached = part.end;
            for page in (part.start..part.end).step_by(usize_of(PAGE)) {
                let mapped = self.tables.lock().is_mapped(UserAddr::new(page));
                let cached = || {
                    area.backing.mapping().is_some_and(|(mapping, offset)| {
                        mapping.has_page((offset + (page - area.start)) / PAGE)
                    })
                };
                out.push(u8::from(mapped || cached()));
            }
        }
        if reached == range.start {
            return Err(Errno::ENOMEM);
        }
        Ok(reached)
    }

    /// The first part of the range behind which a file lies.
    fn next_file(&self, range: &Range<u64>) -> Option<FilePart> {
        let areas = self.read_areas();
        let mut files = areas.map.overlapping(range);
        files.find_map(|area| {
            let (mapping, offset) = area.backing.mapping()?;
            let part = area.part(range);
            let name = match &area.backing {
                Object::File { file, .. } => file.name.clone(),
                Object::Anonymous | Object::Special(_) => None,
            };
            Some(FilePart {
                mapping: mapping.clone(),
                name,
                first: (offset + (part.start - area.start)) / PAGE,
                count: part.size() / PAGE,
                end: part.end,
                shared: area.is_shared(),
            })
        })
    }
}

/// Pages of a file behind a part of an area.
struct FilePart {
    mapping: Arc<Mapping>,
    name: Option<Arc<dyn MapName>>,
    first: u64,
    count: u64,
    /// Where the part ends in the space.
    end: u64,
    shared: bool,
}

/// `ENOMEM` where the range has a hole.
fn covered(areas: &Areas, range: &Range<u64>) -> Result<(), Errno> {
    if areas.map.covers(range) {
        Ok(())
    } else {
        Err(Errno::ENOMEM)
    }
}
