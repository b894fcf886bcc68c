//! `mlock`, `munlock`, `mlockall`, `munlockall` (`mm/mlock.c`). There is no swap: a locked page is
//! one that was touched and is counted.

use alloc::sync::Arc;
use core::ops::Range;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::vma::{AreaFlags, Prot};

use super::area::VmArea;
use super::fault::FaultError;
use super::space::{AddressSpace, Areas, PAGE, errno};

const LOCK_BITS: AreaFlags = AreaFlags::LOCKED.union(AreaFlags::LOCK_ON_FAULT);

impl AddressSpace {
    /// Locks a range into memory; `on_fault`: only as it is touched.
    ///
    /// # Errors
    /// As `mlock2(2)`.
    pub(crate) fn mlock(
        self: &Arc<Self>,
        addr: u64,
        len: u64,
        on_fault: bool,
    ) -> Result<(), Errno> {
        let limit = self.limits().locked;
        if limit == 0 {
            return Err(Errno::EPERM);
        }
        if whole_pages(addr, len).1 > limit {
            return Err(Errno::ENOMEM);
        }
        let range = lock_range(addr, len)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut areas = self.write_areas();
        let locked = |area: &&VmArea| area.flags.contains(AreaFlags::LOCKED);
        let already = areas.map.overlapping(&range).filter(locked);
        let already: u64 = already.map(|area| area.part(&range).size()).sum();
        let total = (areas.locked_pages * PAGE - already).saturating_add(range.end - range.start);
        if total > limit {
            return Err(Errno::ENOMEM);
        }
        let mut flags = AreaFlags::LOCKED;
        flags.set(AreaFlags::LOCK_ON_FAULT, on_fault);
        set_locks(&mut areas, &range, flags)?;
        drop(areas);
        if on_fault {
            return Ok(());
        }
        self.populate_readable(&range)
            .map_err(|error| match error {
                FaultError::Oom => Errno::EAGAIN,
                _ => Errno::ENOMEM,
            })?;
        // Locked they are, but pages that nobody may touch can't be brought.
        let areas = self.read_areas();
        let untouchable = |area: &VmArea| area.prot.is_empty();
        if areas.map.overlapping(&range).any(untouchable) {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// Undoes [`AddressSpace::mlock`].
    ///
    /// # Errors
    /// As `munlock(2)`.
    pub(crate) fn munlock(&self, addr: u64, len: u64) -> Result<(), Errno> {
        let range = lock_range(addr, len)?;
        if range.is_empty() {
            return Ok(());
        }
        set_locks(&mut self.write_areas(), &range, AreaFlags::empty())
    }

    /// Locks everything there is, or will be.
    ///
    /// # Errors
    /// As `mlockall(2)`.
    pub(crate) fn mlockall(self: &Arc<Self>, flags: u32) -> Result<(), Errno> {
        let known = abi::MCL_CURRENT | abi::MCL_FUTURE | abi::MCL_ONFAULT;
        if flags == 0 || flags & !known != 0 || flags == abi::MCL_ONFAULT {
            return Err(Errno::EINVAL);
        }
        let limit = self.limits().locked;
        if limit == 0 {
            return Err(Errno::EPERM);
        }
        let mut areas = self.write_areas();
        let current = flags & abi::MCL_CURRENT != 0;
        if current && areas.map.total_bytes() > limit {
            return Err(Errno::ENOMEM);
        }
        let on_fault = flags & abi::MCL_ONFAULT != 0;
        areas.lock_future = flags & abi::MCL_FUTURE != 0;
        areas.lock_on_fault = on_fault;
        if !current {
            return Ok(());
        }
        let mut bits = AreaFlags::LOCKED;
        bits.set(AreaFlags::LOCK_ON_FAULT, on_fault);
        let everything = 0..u64::MAX;
        change_locks(&mut areas, &everything, bits)?;
        drop(areas);
        if !on_fault {
            let _ = self.populate_readable(&everything);
        }
        Ok(())
    }

    /// Undoes [`AddressSpace::mlockall`] and every lock.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn munlockall(&self) -> Result<(), Errno> {
        let mut areas = self.write_areas();
        areas.lock_future = false;
        areas.lock_on_fault = false;
        change_locks(&mut areas, &(0..u64::MAX), AreaFlags::empty())
    }

    /// Touches every page of the range that may be touched.
    fn populate_readable(self: &Arc<Self>, range: &Range<u64>) -> Result<(), FaultError> {
        let mut next = range.start;
        // An area may go on behind the range: nothing of it is left to look for then.
        while next < range.end {
            let part = {
                let areas = self.read_areas();
                let rest = next..range.end;
                let found = areas
                    .map
                    .overlapping(&rest)
                    .find(|area| !area.prot.is_empty());
                found.map(|area| (area.part(&rest), area.prot.contains(Prot::WRITE)))
            };
            let Some((part, writable)) = part else {
                break;
            };
            self.populate(part.start, part.end, writable)?;
            next = part.end;
        }
        Ok(())
    }
}

/// The pages round a range: where they start and how long they are, which wraps as Linux's does.
fn whole_pages(addr: u64, len: u64) -> (u64, u64) {
    let start = addr & !(PAGE - 1);
    let len = len.wrapping_add(addr - start).wrapping_add(PAGE - 1);
    (start, len & !(PAGE - 1))
}

fn lock_range(addr: u64, len: u64) -> Result<Range<u64>, Errno> {
    let (start, len) = whole_pages(addr, len);
    let end = start.checked_add(len);
    Ok(start..end.ok_or(Errno::EINVAL)?)
}

fn set_locks(areas: &mut Areas, range: &Range<u64>, bits: AreaFlags) -> Result<(), Errno> {
    if range.is_empty() {
        return Ok(());
    }
    // Linux goes on until it meets a hole.
    let mut end = range.start;
    for area in areas.map.overlapping(range) {
        if area.start > end {
            break;
        }
        end = area.end.min(range.end);
    }
    change_locks(areas, &(range.start..end), bits)?;
    if end < range.end {
        Err(Errno::ENOMEM)
    } else {
        Ok(())
    }
}

fn change_locks(areas: &mut Areas, range: &Range<u64>, bits: AreaFlags) -> Result<(), Errno> {
    if range.is_empty() {
        return Ok(());
    }
    let update = areas
        .map
        .update(range, |area| area.flags = (area.flags - LOCK_BITS) | bits);
    update.map_err(errno)?;
    let locked = |area: &&VmArea| area.flags.contains(AreaFlags::LOCKED);
    areas.locked_pages = areas
        .map
        .iter()
        .filter(locked)
        .map(|area| area.size() / PAGE)
        .sum();
    Ok(())
}
