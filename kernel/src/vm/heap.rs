//! `brk` (`mm/mmap.c`).

use alloc::sync::Arc;
use core::ops::Range;

use kiln_core::addr::TASK_SIZE;
use kiln_core::errno::Errno;
use kiln_core::vma::{AreaFlags, Prot, whole_pages};

use super::area::{Object, VmArea};
use super::map::Removed;
use super::space::{AddressSpace, Areas, PAGE, STACK_GAP, errno};

impl AddressSpace {
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
