//! A child's copy of an address space: private memory is shared until one of the two writes.

use alloc::sync::Arc;
use core::ops::Range;

use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::vma::AreaFlags;

use super::area::{MappedFile, Object, VmArea};
use super::map::check_commit_of_copy;
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
        child.refuse_huge(self.refuses_huge());
        if let Some(table) = self.root().ldt() {
            child.root().set_ldt(table);
        }
        // Nobody changes the parent's tables meanwhile but faults of its other threads, which
        // take turns at the tables' lock.
        let areas = self.write_areas();
        check_commit_of_copy(&areas)?;
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
        // Neighbours that are copied alike are one run, which reaches as far as nothing else lies.
        let mut floor = 0;
        let mut run: Option<Range<u64>> = None;
        for area in areas.map.iter() {
            if is_copied(area) {
                let start = run.map_or(area.start, |run| run.start);
                run = Some(start..area.end);
                continue;
            }
            if let Some(run) = run.take() {
                self.copy_run(child, &run, &(floor..area.start), &mut gather)?;
            }
            floor = area.end;
        }
        match run {
            Some(run) => self.copy_run(child, &run, &(floor..TASK_SIZE), &mut gather),
            None => Ok(()),
        }
    }

    /// Copies what is mapped in `run`, the only thing there is in `alone`.
    fn copy_run(
        &self,
        child: &Arc<Self>,
        run: &Range<u64>,
        alone: &Range<u64>,
        gather: &mut Gather,
    ) -> Result<(), Errno> {
        let (start, end) = (UserAddr::new(run.start), UserAddr::new(run.end));
        loop {
            let copied = {
                let mut parents = self.tables.lock();
                let mut childs = child.tables.lock();
                parents.fork_range(&mut childs, start, end, alone, true, gather)
            };
            if copied.is_ok() {
                return Ok(());
            }
            let (start, end) = (UserAddr::new(alone.start), UserAddr::new(alone.end));
            child.tables.lock().unmap_range(start, end, gather);
            if !wait_for_memory() {
                return Err(Errno::ENOMEM);
            }
        }
    }
}

/// Whether a child needs the area's page tables.
fn is_copied(area: &VmArea) -> bool {
    let left_out = AreaFlags::DONT_FORK | AreaFlags::WIPE_ON_FORK;
    // Pages of a file are found again through its mapping, unless they are copies.
    let found_again = match &area.backing {
        Object::Anonymous | Object::Special(_) => false,
        Object::File { file, .. } => area.is_shared() || !file.has_copies(),
    };
    !area.flags.intersects(left_out) && !found_again
}

fn copy_areas(child: &Arc<AddressSpace>, from: &Areas, to: &mut Areas) -> Result<(), Errno> {
    to.brk_start = from.brk_start;
    to.brk = from.brk;
    to.mmap_top = from.mmap_top;
    to.map.reserve_copies(from.map.len()).map_err(errno)?;
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
        to.map.insert_copy(copy).map_err(errno)?;
    }
    Ok(())
}
