//! `mmap` and `munmap`, with Linux's checks in Linux's order (`mm/mmap.c`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::vma::{self, AreaFlags, Prot, whole_pages};

use super::area::{FileMapping, MapName, MappedFile, Object, VmArea};
use super::mapping::Mapping;
use super::place::place;
use super::reclaim;
use super::space::{AddressSpace, Areas, PAGE, errno};
use crate::mm::frame;
use crate::mm::paging::Gather;

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

/// `/proc/sys/vm/overcommit_memory`. 0: a mapping larger than memory is too large; 1: none is; 2: all private memory that
/// may be written to must be within [`commit_limit`].
pub(crate) static OVERCOMMIT: AtomicU64 = AtomicU64::new(0);

/// `/proc/sys/vm/overcommit_ratio`, in percent.
pub(crate) static OVERCOMMIT_RATIO: AtomicU64 = AtomicU64::new(50);

/// Pages that may be promised when no more may be than there are.
pub(crate) fn commit_limit() -> u64 {
    let total = frame::stats().total as u64;
    total.saturating_mul(OVERCOMMIT_RATIO.load(Ordering::Relaxed)) / 100
}

/// Pages that are promised: private memory that may be written to, and files in memory.
pub(crate) fn committed() -> u64 {
    vma::committed() / PAGE + reclaim::cached_pages().1 as u64
}

/// ENOMEM when `more` bytes of memory to write to are too many, `before` having been asked for in the same call.
pub(super) fn check_commit(more: u64, before: u64) -> Result<(), Errno> {
    let too_much = match OVERCOMMIT.load(Ordering::Relaxed) {
        0 => more / PAGE > frame::stats().total as u64,
        1 => false,
        _ => more != 0 && committed().saturating_add((more + before) / PAGE) > commit_limit(),
    };
    if too_much { Err(Errno::ENOMEM) } else { Ok(()) }
}

/// The same for a copy of all areas: of these, none is too large.
pub(super) fn check_commit_of_copy(areas: &Areas) -> Result<(), Errno> {
    if OVERCOMMIT.load(Ordering::Relaxed) < 2 {
        return Ok(());
    }
    check_commit(areas.map.committed_bytes(), 0)
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
    | abi::MAP_32BIT;

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
        if private_data && !flags.contains(AreaFlags::NO_RESERVE) {
            return check_commit(len, 0);
        }
        Ok(())
    }

    /// Shows another part of the same file in a range of a shared mapping, as a mapping of its own.
    ///
    /// # Errors
    /// As `remap_file_pages(2)`.
    pub(crate) fn remap_file_pages(
        self: &Arc<Self>,
        start: u64,
        len: u64,
        page: u64,
        nonblock: bool,
    ) -> Result<(), Errno> {
        let (start, len) = (start & !(PAGE - 1), len & !(PAGE - 1));
        let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
        if end <= start || page.checked_add(len / PAGE).is_none() {
            return Err(Errno::EINVAL);
        }
        let range = start..end;
        let request = {
            let areas = self.read_areas();
            let found = areas.map.find(start).filter(|area| area.is_shared());
            let first = found.ok_or(Errno::EINVAL)?;
            let Object::File { file, .. } = &first.backing else {
                return Err(Errno::EINVAL);
            };
            // All of it must be of the same file and kind.
            let alike = |area: &VmArea| match &area.backing {
                Object::File { file: other, .. } => {
                    Arc::ptr_eq(&file.mapping, &other.mapping) && area.flags == first.flags
                }
                Object::Anonymous | Object::Special(_) => false,
            };
            if !areas.map.covers(&range) || !areas.map.overlapping(&range).all(alike) {
                return Err(Errno::EINVAL);
            }
            let mut flags = abi::MAP_SHARED | abi::MAP_FIXED | abi::MAP_POPULATE;
            if nonblock {
                flags |= abi::MAP_NONBLOCK;
            }
            if first.flags.contains(AreaFlags::LOCKED) {
                flags |= abi::MAP_LOCKED;
            }
            MapRequest {
                addr: start,
                len,
                prot: first.prot,
                flags,
                file: Some(FileMapping {
                    mapping: Ok(Some(file.mapping.clone())),
                    name: file.name.clone(),
                    readable: true,
                    writable: first.flags.contains(AreaFlags::MAY_WRITE),
                    no_exec: !first.flags.contains(AreaFlags::MAY_EXEC),
                }),
                offset: page.checked_mul(PAGE).ok_or(Errno::EOVERFLOW)?,
                low: true,
            }
        };
        self.mmap(request).map(|_| ())
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

    /// The name of the file whose byte `offset` is mapped at the start of the area at `addr`.
    pub(crate) fn mapped_name(&self, addr: u64, offset: u64) -> Option<Arc<dyn MapName>> {
        let areas = self.read_areas();
        let area = areas.map.find(addr).filter(|area| area.start == addr)?;
        match &area.backing {
            Object::File { file, offset: at } if *at == offset => file.name.clone(),
            _ => None,
        }
    }

    /// The first area between `addr` and `end` that maps the file of this name.
    pub(crate) fn mapped_part(
        &self,
        addr: u64,
        end: u64,
        name: &Arc<dyn MapName>,
    ) -> Option<Range<u64>> {
        let areas = self.read_areas();
        let is_it = |area: &&VmArea| match &area.backing {
            Object::File { file, .. } => {
                let own = file.name.as_ref();
                own.is_some_and(|own| core::ptr::addr_eq(Arc::as_ptr(own), Arc::as_ptr(name)))
            }
            Object::Anonymous | Object::Special(_) => false,
        };
        let range = addr..end;
        let found = areas.map.overlapping(&range).find(is_it)?;
        Some(found.start.max(addr)..found.end.min(end))
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

/// The flags of the area to be, and whether the file allows it.
fn area_flags(request: &MapRequest) -> Result<AreaFlags, Errno> {
    let kind = request.flags & abi::MAP_TYPE;
    let grows = request.flags & abi::MAP_GROWSDOWN != 0;
    let mut flags = AreaFlags::MAY_WRITE | AreaFlags::MAY_EXEC;
    flags.set(AreaFlags::GROWS_DOWN, grows);
    flags.set(
        AreaFlags::NO_RESERVE,
        request.flags & abi::MAP_NORESERVE != 0 && OVERCOMMIT.load(Ordering::Relaxed) < 2,
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
    if request.offset.saturating_add(request.len) > i64::MAX.cast_unsigned() {
        return Err(Errno::EOVERFLOW);
    }
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
