//! A child's copy of an address space: private memory is shared until one of the two writes.

use alloc::sync::Arc;

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::vma::AreaFlags;

use super::area::{MappedFile, Object, VmArea};
use super::reclaim::wait_for_memory;
use super::space::{AddressSpace, Areas, errno};
use crate::mm::paging::Gather;

impl AddressSpace {
    /// A copy for a child. May sleep.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn fork(self: &Arc<Self>) -> Result<Arc<Self>, Errno> {
        let child = Self::new()?;
        child.set_limits(self.limits());
        child.set_info(self.info());
        // Nobody changes the parent's tables meanwhile but faults of its other threads, which
        // take turns at the tables' lock.
        let areas = self.write_areas();
        {
            let mut childs = child.write_areas();
            copy_areas(&child, &areas, &mut childs)?;
            child.note_peak(&childs);
        }
        self.copy_tables(&child, &areas)?;
        drop(areas);
        Ok(child)
    }

    fn copy_tables(&self, child: &Arc<Self>, areas: &Areas) -> Result<(), Errno> {
        let mut gather = Gather::new();
        for area in areas.map.iter() {
            if area
                .flags
                .intersects(AreaFlags::DONT_FORK | AreaFlags::WIPE_ON_FORK)
            {
                continue;
            }
            // Pages of a file are found again through its mapping, unless they are copies.
            let found_again = |file: &MappedFile| area.is_shared() || !file.has_copies();
            if let Object::File { file, .. } = &area.backing
                && found_again(file)
            {
                continue;
            }
            let (start, end) = (UserAddr::new(area.start), UserAddr::new(area.end));
            loop {
                let copied = {
                    let mut parents = self.tables.lock();
                    let mut childs = child.tables.lock();
                    parents.fork_range(&mut childs, start, end, true, &mut gather)
                };
                match copied {
                    Ok(()) => break,
                    Err(_) => {
                        child.tables.lock().unmap_range(start, end, &mut gather);
                        if !wait_for_memory() {
                            return Err(Errno::ENOMEM);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn copy_areas(child: &Arc<AddressSpace>, from: &Areas, to: &mut Areas) -> Result<(), Errno> {
    to.brk_start = from.brk_start;
    to.brk = from.brk;
    to.mmap_top = from.mmap_top;
    to.map.reserve(from.map.len()).map_err(errno)?;
    // Segments of one file follow each other: its link is made once for them.
    let mut last: Option<(Arc<MappedFile>, Arc<MappedFile>)> = None;
    for area in from.map.iter() {
        if area.flags.contains(AreaFlags::DONT_FORK) {
            continue;
        }
        let backing = match &area.backing {
            Object::Anonymous | Object::Special(_) => area.backing.clone(),
            Object::File { file, offset } => {
                let known = last
                    .as_ref()
                    .filter(|(parents, _)| Arc::ptr_eq(parents, file));
                let childs = match known {
                    Some((_, childs)) => childs.clone(),
                    None => file.for_child(child)?,
                };
                last = Some((file.clone(), childs.clone()));
                Object::File {
                    file: childs,
                    offset: *offset,
                }
            }
        };
        // Locks on memory aren't inherited.
        let flags = area.flags - (AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT);
        let copy = VmArea {
            flags,
            backing,
            ..area.clone()
        };
        to.map.insert(copy).map_err(errno)?;
    }
    Ok(())
}
