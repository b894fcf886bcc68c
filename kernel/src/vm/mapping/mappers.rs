//! Who maps a file: the spaces, and their pages seen from the file.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;

use kiln_core::addr::{PhysAddr, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::pagemap::{CHUNK_PAGES, WIDTH};
use kiln_core::vma::AreaMap;

use super::super::area::{Object, VmArea};
use super::super::space::{AddressSpace, PAGE};
use super::Mapping;
use crate::mm::frame::FrameRef;
use crate::mm::paging::{Gather, PageFlags, Unready};

/// Why a page can't be mapped at the moment.
pub(in crate::vm) enum Unmappable {
    /// It isn't in memory.
    Absent,
    /// The table for it has to be made ready first.
    Unready(Unready),
}

/// A space that maps a file, at however many places.
struct Mapper {
    registration: u64,
    space: Weak<AddressSpace>,
    places: usize,
}

/// The spaces that map a file, in the order they came: one that comes while all are gone through, by fork, is
/// gone through, too. Each is there once, as all its areas are looked at.
#[derive(Default)]
pub(super) struct Mappers {
    list: Vec<Mapper>,
    last: u64,
}

impl Mappers {
    pub(super) const fn new() -> Self {
        Self {
            list: Vec::new(),
            last: 0,
        }
    }

    pub(in crate::vm) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a place in a space; the space's registration, never 0.
    pub(in crate::vm) fn add(&mut self, space: Weak<AddressSpace>) -> Result<u64, Errno> {
        // Whoever maps something now has mostly come lately.
        let mut known = self.list.iter_mut().rev();
        if let Some(mapper) = known.find(|mapper| mapper.space.ptr_eq(&space)) {
            mapper.places += 1;
            return Ok(mapper.registration);
        }
        self.list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.last += 1;
        self.list.push(Mapper {
            registration: self.last,
            space,
            places: 1,
        });
        Ok(self.last)
    }

    /// Removes a place; the space, when it was its last one.
    pub(in crate::vm) fn remove(&mut self, registration: u64) -> Option<Weak<AddressSpace>> {
        let found = self
            .list
            .binary_search_by_key(&registration, |mapper| mapper.registration);
        let at = found.ok()?;
        let mapper = self.list.get_mut(at)?;
        mapper.places -= 1;
        (mapper.places == 0).then(|| self.list.remove(at).space)
    }

    /// The next space after the given registration.
    pub(in crate::vm) fn next(&self, after: u64) -> Option<(u64, Arc<AddressSpace>)> {
        let at = self
            .list
            .partition_point(|mapper| mapper.registration <= after);
        let mut rest = self.list.get(at..).unwrap_or_default().iter();
        rest.find_map(|mapper| Some((mapper.registration, mapper.space.upgrade()?)))
    }
}

impl Mapping {
    /// Whether some program's mapping can change it, now or after mprotect(2).
    pub(crate) fn is_written_through(&self) -> bool {
        self.shared_mappers.load(Ordering::Acquire) != 0
    }

    pub(in crate::vm) fn register(
        &self,
        space: Weak<AddressSpace>,
        shared: bool,
    ) -> Result<u64, Errno> {
        let registration = self.mappers.lock().add(space)?;
        self.shared_mappers
            .fetch_add(usize::from(shared), Ordering::AcqRel);
        Ok(registration)
    }

    pub(in crate::vm) fn unregister(&self, registration: u64, shared: bool) {
        let space = self.mappers.lock().remove(registration);
        self.shared_mappers
            .fetch_sub(usize::from(shared), Ordering::AcqRel);
        drop(space);
    }

    /// Maps the ready pages of the range through `map`, all under the pages' lock, so that none is
    /// removed meanwhile; as [`PageMap::for_ready`](kiln_core::pagemap::PageMap::for_ready) gives them. `wanted` must be
    /// among them.
    pub(in crate::vm) fn for_mappable(
        &self,
        range: Range<u64>,
        wanted: u64,
        mut map: impl FnMut(u64, &[Option<FrameRef>; WIDTH], u16) -> Result<(), Unready>,
    ) -> Result<(), Unmappable> {
        let end = range.end.min(self.page_count());
        let mut outcome = Err(Unmappable::Absent);
        let mut inner = self.inner.lock();
        inner.pages.touch(wanted);
        inner
            .pages
            .for_ready(range.start..end, |base, pages, ready| {
                let mapped = map(base, pages, ready);
                let wanted = wanted.checked_sub(base).filter(|slot| *slot < CHUNK_PAGES);
                let among = wanted.is_some_and(|slot| ready >> slot & 1 != 0);
                match mapped {
                    Ok(()) if among => outcome = Ok(()),
                    Err(unready) if outcome.is_err() => outcome = Err(Unmappable::Unready(unready)),
                    _ => {}
                }
                mapped.is_ok()
            });
        if outcome.is_ok() {
            inner.readahead.hit();
        }
        outcome
    }

    /// Removes the range's pages, and private copies of them, from programs' memory.
    pub(super) fn unmap(&self, range: &Range<u64>) {
        self.for_mapped(range, false, |space, start, end| {
            let mut gather = Gather::new();
            space.tables.lock().unmap_range(start, end, &mut gather);
        });
    }

    /// Makes programs fault at their next write to the range's pages.
    pub(in crate::vm) fn write_protect(&self, range: &Range<u64>) {
        if self.shared_mappers.load(Ordering::Acquire) == 0 {
            return;
        }
        self.for_mapped(range, true, |space, start, end| {
            let (set, clear) = (PageFlags::empty(), PageFlags::WRITE);
            let mut gather = Gather::new();
            space
                .tables
                .lock()
                .protect_range(start, end, set, clear, &mut gather);
        });
    }

    /// Unmaps the range's clean pages where programs haven't used them since the last call; pages
    /// in use, and private copies, stay. Never waits: a space that is being changed is passed over.
    pub(in crate::vm) fn unmap_unused(&self, range: &Range<u64>) {
        let mut last = 0;
        loop {
            let next = self.mappers.lock().next(last);
            let Some((registration, space)) = next else {
                return;
            };
            last = registration;
            let Some(areas) = space.try_read_areas() else {
                continue;
            };
            for area in areas.map.iter_objects() {
                self.for_range(area, range, false, |start, end| {
                    let index = range.start.max(area_index(area));
                    self.unmap_unused_at(&space, index, start..end);
                });
            }
        }
    }

    /// As [`Mapping::unmap_unused`] at one place, where the file's pages from `index` on lie.
    fn unmap_unused_at(&self, space: &AddressSpace, index: u64, addrs: Range<u64>) {
        let mut gather = Gather::new();
        let mut window = addrs.start;
        while window < addrs.end {
            let end = (window + 64 * PAGE).min(addrs.end);
            let Some(mut tables) = space.tables.try_lock() else {
                return;
            };
            let (start, end_addr) = (UserAddr::new(window), UserAddr::new(end));
            let mut unused = 0u64;
            tables.visit_range(start, end_addr, |page| {
                let at = index + (page.va - addrs.start) / PAGE;
                let used = page.flags.contains(PageFlags::ACCESSED);
                if !used && self.is_clean_page(at, page.frame) {
                    unused |= 1 << ((page.va - window) / PAGE);
                }
            });
            let (set, clear) = (PageFlags::empty(), PageFlags::ACCESSED);
            tables.protect_range(start, end_addr, set, clear, &mut gather);
            while unused != 0 {
                let va = window + u64::from(unused.trailing_zeros()) * PAGE;
                unused &= unused - 1;
                tables.unmap_range(UserAddr::new(va), UserAddr::new(va + PAGE), &mut gather);
            }
            drop(tables);
            window = end;
        }
    }

    /// Whether this frame is the file's page, and whether that is dirty.
    pub(in crate::vm) fn knows(&self, index: u64, frame: PhysAddr) -> Option<bool> {
        let inner = self.inner.lock();
        let (page, _) = inner.pages.get(index)?;
        (page.addr() == frame).then(|| inner.pages.is_dirty(index))
    }

    /// Whether this frame is the file's page and could be given up if nobody mapped it.
    fn is_clean_page(&self, index: u64, frame: PhysAddr) -> bool {
        let Some(inner) = self.inner.try_lock() else {
            return false;
        };
        let page = inner.pages.get(index);
        page.is_some_and(|(page, _)| page.addr() == frame)
            && !inner.pages.any_unwritten(index..index + 1)
    }

    /// Calls `apply` for every range of addresses at which a space maps pages of the range.
    fn for_mapped(
        &self,
        range: &Range<u64>,
        only_shared: bool,
        apply: impl Fn(&AddressSpace, UserAddr, UserAddr),
    ) {
        let mut last = 0;
        loop {
            let next = self.mappers.lock().next(last);
            let Some((registration, space)) = next else {
                return;
            };
            last = registration;
            let areas = space.read_areas();
            self.for_ranges(&areas.map, range, only_shared, |start, end| {
                apply(&space, UserAddr::new(start), UserAddr::new(end));
            });
        }
    }

    fn for_ranges(
        &self,
        map: &AreaMap<Object>,
        range: &Range<u64>,
        only_shared: bool,
        mut apply: impl FnMut(u64, u64),
    ) {
        for area in map.iter_objects() {
            self.for_range(area, range, only_shared, &mut apply);
        }
    }

    /// Calls `apply` with the addresses at which the area shows pages of the range, if it does.
    fn for_range(
        &self,
        area: &VmArea,
        range: &Range<u64>,
        only_shared: bool,
        mut apply: impl FnMut(u64, u64),
    ) {
        let Some((mapping, offset)) = area.backing.mapping() else {
            return;
        };
        if !core::ptr::eq(Arc::as_ptr(mapping), self) || (only_shared && !area.is_shared()) {
            return;
        }
        let first = offset / PAGE;
        let from = range.start.max(first);
        let to = range.end.min(first + area.size() / PAGE);
        if from < to {
            let at = |index: u64| area.start + (index - first) * PAGE;
            apply(at(from), at(to));
        }
    }
}

/// The number of the first page of the file that the area shows.
fn area_index(area: &VmArea) -> u64 {
    area.backing
        .mapping()
        .map_or(0, |(_, offset)| offset / PAGE)
}
