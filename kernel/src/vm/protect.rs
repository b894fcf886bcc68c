//! `mprotect` (`mm/mprotect.c`).

use core::ops::Range;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::vma::{AreaFlags, Prot, whole_pages};

use super::fault::page_flags;
use super::map::{check_commit, data_bytes};
use super::space::{AddressSpace, Areas, PAGE, errno};
use crate::mm::paging::{Gather, PageFlags};

impl AddressSpace {
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
        let (end, result) = changeable(&areas, &range, prot, self.limits().data);
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
            // Writing is allowed by the fault that asks for it: only there it shows whether the
            // page is shared with a file or another process.
            let mut set = page_flags(area.prot, false);
            let mut clear = (PageFlags::WRITE | PageFlags::EXEC | PageFlags::NO_ACCESS) - set;
            if area.prot.is_empty() {
                set |= PageFlags::NO_ACCESS;
                clear -= PageFlags::NO_ACCESS;
            }
            let (start, end) = (UserAddr::new(part.start), UserAddr::new(part.end));
            tables.protect_range(start, end, set, clear, &mut gather);
        }
    }
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
fn changeable(
    areas: &Areas,
    range: &Range<u64>,
    prot: Prot,
    data_limit: u64,
) -> (u64, Result<(), Errno>) {
    let mut next = range.start;
    let (mut more_data, mut more_reserved) = (0, 0);
    for area in areas.map.overlapping(range) {
        if area.start > next {
            return (next, Err(Errno::ENOMEM));
        }
        let denied = (prot.contains(Prot::WRITE) && !area.flags.contains(AreaFlags::MAY_WRITE))
            || (prot.contains(Prot::EXEC) && !area.flags.contains(AreaFlags::MAY_EXEC));
        if denied {
            return (next, Err(Errno::EACCES));
        }
        let is_data = area.prot.contains(Prot::WRITE) || area.flags.contains(AreaFlags::SHARED);
        if prot.contains(Prot::WRITE) && !is_data {
            let size = area.part(range).size();
            more_data += size;
            let over = data_limit != u64::MAX && data_bytes(areas) + more_data > data_limit;
            let reserved = !area.flags.contains(AreaFlags::NO_RESERVE);
            if over || reserved && check_commit(size, more_reserved).is_err() {
                return (next, Err(Errno::ENOMEM));
            }
            more_reserved += size * u64::from(reserved);
        }
        next = area.end.min(range.end);
    }
    if next < range.end {
        return (next, Err(Errno::ENOMEM));
    }
    (next, Ok(()))
}
