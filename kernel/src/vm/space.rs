//! [`AddressSpace`]: what one process (or several that share it) sees as memory.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use kiln_core::addr::{PAGE_SIZE, TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;
use kiln_core::vma::{AreaMap, MapError};

use super::area::Object;
use crate::mm::kmem;
use crate::mm::paging::{Gather, Root, UserTables};
use crate::sched::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::sync::SpinLock;

/// Bytes in a page, as addresses count.
pub(super) const PAGE: u64 = PAGE_SIZE as u64;
/// Bytes kept free below a stack (`stack_guard_gap`, 256 pages).
pub(super) const STACK_GAP: u64 = 256 * PAGE;
/// No program without `CAP_SYS_RAWIO` maps anything below (`mmap_min_addr`).
pub(super) const MIN_ADDR: u64 = 65536;

/// The limits of the process that concern memory, in bytes (`RLIMIT_*`, soft).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryLimits {
    /// `RLIMIT_STACK`.
    pub(crate) stack: u64,
    /// `RLIMIT_AS`.
    pub(crate) address_space: u64,
    /// `RLIMIT_DATA`.
    pub(crate) data: u64,
    /// `RLIMIT_MEMLOCK`; all ones for a process with `CAP_IPC_LOCK`.
    pub(crate) locked: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            stack: 8 << 20,
            address_space: u64::MAX,
            data: u64::MAX,
            locked: 8 << 20,
        }
    }
}

/// [`MemoryLimits`] as the space keeps them.
struct Limits {
    stack: AtomicU64,
    address_space: AtomicU64,
    data: AtomicU64,
    locked: AtomicU64,
}

/// Where the program's parts lie; for `/proc`.
#[derive(Clone, Default)]
pub(crate) struct ProgramInfo {
    /// First and past-last address of code.
    pub(crate) code: (u64, u64),
    /// First and past-last address of data.
    pub(crate) data: (u64, u64),
    /// Where the stack pointer was at the start.
    pub(crate) stack: u64,
    /// Argument strings.
    pub(crate) args: (u64, u64),
    /// Environment strings.
    pub(crate) env: (u64, u64),
    /// The auxiliary vector's bytes.
    pub(crate) auxv: Vec<u8>,
}

/// The areas and the numbers that change with them.
pub(super) struct Areas {
    pub(super) map: AreaMap<Object>,
    /// Where the heap begins.
    pub(super) brk_start: u64,
    /// Where it ends, as the program set it: not rounded to a page.
    pub(super) brk: u64,
    /// Below this address mappings are placed, downwards.
    pub(super) mmap_top: u64,
    /// Pages in locked areas.
    pub(super) locked_pages: u64,
    /// `mlockall(MCL_FUTURE)`.
    pub(super) lock_future: bool,
    /// `MCL_ONFAULT` with it.
    pub(super) lock_on_fault: bool,
}

impl Areas {
    fn new() -> Self {
        Self {
            map: AreaMap::default(),
            brk_start: 0,
            brk: 0,
            mmap_top: TASK_SIZE,
            locked_pages: 0,
            lock_future: false,
            lock_on_fault: false,
        }
    }
}

/// What one process, or several that share it, sees as memory.
pub(crate) struct AddressSpace {
    areas: RwLock<Areas>,
    pub(super) tables: SpinLock<UserTables>,
    root: Root,
    limits: Limits,
    info: SpinLock<Arc<ProgramInfo>>,
    /// Huge pages aren't wanted (`PR_SET_THP_DISABLE`).
    refuses_huge: AtomicBool,
    /// Bytes mapped at most so far, for `VmPeak`.
    pub(super) peak: AtomicU64,
    /// Page faults that found memory, and those that had to wait for a device.
    pub(super) minor_faults: AtomicUsize,
    pub(super) major_faults: AtomicUsize,
}

impl AddressSpace {
    /// An empty space.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>, Errno> {
        let tables = UserTables::new()?;
        let root = tables.root().clone();
        let limits = MemoryLimits::default();
        let _charge =
            kmem::charge(size_of::<Self>() + size_of::<ProgramInfo>() + 4 * size_of::<usize>())?;
        Ok(Arc::new(Self {
            areas: RwLock::new(Areas::new()),
            tables: SpinLock::new(tables),
            root,
            limits: Limits {
                stack: AtomicU64::new(limits.stack),
                address_space: AtomicU64::new(limits.address_space),
                data: AtomicU64::new(limits.data),
                locked: AtomicU64::new(limits.locked),
            },
            info: SpinLock::new(Arc::new(ProgramInfo::default())),
            refuses_huge: AtomicBool::new(false),
            peak: AtomicU64::new(0),
            minor_faults: AtomicUsize::new(0),
            major_faults: AtomicUsize::new(0),
        }))
    }

    /// What a thread loads to run in this space.
    pub(crate) fn root(&self) -> Root {
        self.root.clone()
    }

    /// Takes over the process's limits.
    pub(crate) fn set_limits(&self, limits: MemoryLimits) {
        let Limits {
            stack,
            address_space,
            data,
            locked,
        } = &self.limits;
        stack.store(limits.stack, Ordering::Relaxed);
        address_space.store(limits.address_space, Ordering::Relaxed);
        data.store(limits.data, Ordering::Relaxed);
        locked.store(limits.locked, Ordering::Relaxed);
    }

    /// The limits as last set.
    pub(crate) fn limits(&self) -> MemoryLimits {
        MemoryLimits {
            stack: self.limits.stack.load(Ordering::Relaxed),
            address_space: self.limits.address_space.load(Ordering::Relaxed),
            data: self.limits.data.load(Ordering::Relaxed),
            locked: self.limits.locked.load(Ordering::Relaxed),
        }
    }

    /// Whether huge pages aren't wanted.
    pub(crate) fn refuses_huge(&self) -> bool {
        self.refuses_huge.load(Ordering::Relaxed)
    }

    /// Sets what [`AddressSpace::refuses_huge`] answers; what is there stays as it is.
    pub(crate) fn refuse_huge(&self, refused: bool) {
        self.refuses_huge.store(refused, Ordering::Relaxed);
    }

    /// Where the program's parts lie.
    pub(crate) fn info(&self) -> Arc<ProgramInfo> {
        self.info.lock().clone()
    }

    /// Replaces what [`AddressSpace::info`] answers; exec and `prctl(PR_SET_MM)`.
    pub(crate) fn set_info(&self, info: Arc<ProgramInfo>) {
        let old = core::mem::replace(&mut *self.info.lock(), info);
        drop(old);
    }

    /// Pages mapped at the moment.
    pub(crate) fn resident_pages(&self) -> u64 {
        self.tables.lock().resident()
    }

    /// Pages that the page tables take.
    pub(crate) fn table_pages(&self) -> u64 {
        self.tables.lock().table_frames()
    }

    /// The most pages that were mapped at any time.
    pub(crate) fn most_resident_pages(&self) -> u64 {
        self.tables.lock().most_resident()
    }

    /// Faults resolved so far: without and with waiting for a device.
    pub(crate) fn fault_counts(&self) -> (u64, u64) {
        let load = |counter: &AtomicUsize| u64_of(counter.load(Ordering::Relaxed));
        (load(&self.minor_faults), load(&self.major_faults))
    }

    /// What identifies a byte of a shared mapping wherever it is mapped: the address of the file's
    /// pages in the kernel, and the place in the file. `None` for private memory.
    pub(crate) fn shared_place(&self, addr: UserAddr) -> Option<(usize, u64)> {
        let areas = self.read_areas();
        let area = areas.map.find(addr.raw()).filter(|area| area.is_shared())?;
        let (mapping, offset) = area.backing.mapping()?;
        Some((
            Arc::as_ptr(mapping).addr(),
            offset + (addr.raw() - area.start),
        ))
    }

    pub(super) fn read_areas(&self) -> RwLockReadGuard<'_, Areas> {
        self.areas.read()
    }

    pub(super) fn try_read_areas(&self) -> Option<RwLockReadGuard<'_, Areas>> {
        self.areas.try_read()
    }

    pub(super) fn write_areas(&self) -> RwLockWriteGuard<'_, Areas> {
        self.areas.write()
    }

    pub(super) fn note_peak(&self, areas: &Areas) {
        self.peak
            .fetch_max(areas.map.total_bytes(), Ordering::Relaxed);
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        // All at once and not by area: a table that other spaces have too needs no copy then.
        let mut gather = Gather::new();
        let tables = self.tables.get_mut();
        // Nobody needs it any more.
        tables.retire();
        tables.unmap_range(UserAddr::NULL, UserAddr::new(TASK_SIZE), &mut gather);
    }
}

/// The error that `mmap` and its kin answer.
pub(super) fn errno(error: MapError) -> Errno {
    match error {
        MapError::NoMemory | MapError::TooMany => Errno::ENOMEM,
        MapError::Occupied => Errno::EEXIST,
    }
}
