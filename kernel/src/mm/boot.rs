//! From the loader's memory map and `boot.S`'s page tables to the kernel's own.
//!
//! Runs once, on the boot stack, with interrupts off, and sees memory through `boot.S`'s mapping of
//! the first GiB. Nothing here grows with memory, but for one entry of the physmap per GiB.

use kiln_core::addr::{PAGE_SIZE, PhysAddr};
use kiln_core::frames::{Ranges, TooManyRanges};
use kiln_core::num::{align_down, align_up, u64_of, usize_of};
use pvh::{BOOT_MAPPED, BootInfo, KERNEL_VMA, PhysMemory, PhysRange};
use x86_64::structures::paging::PhysFrame;

use super::layout::{IMAGE, PHYSMAP, PHYSMAP_SIZE, REGIONS, physmap};
use super::table::{self, Bits, Mapping};
use crate::arch::features::{Features, features};
use crate::arch::smp::{START_PAGE, StartPage};

/// Free memory as a list.
pub(crate) type FreeRanges = Ranges<{ super::frame::MAX_RANGES }>;

const PAGE: u64 = PAGE_SIZE as u64;
const LARGE: u64 = 2 << 20;
const GIGA: u64 = 1 << 30;
/// The firmware's tables, the loader's start information and, later, the start of other CPUs.
const LOW: u64 = 1 << 20;

unsafe extern "C" {
    static image_start: [u8; 0];
    static rodata_start: [u8; 0];
    static data_start: [u8; 0];
    static image_end: [u8; 0];
}

/// Physical addresses of the image's segments.
#[derive(Clone, Copy)]
struct Image {
    start: u64,
    rodata: u64,
    data: u64,
    end: u64,
}

fn image() -> Image {
    let physical = |symbol: *const [u8; 0]| symbol.addr() as u64 - IMAGE;
    Image {
        start: physical(&raw const image_start),
        rodata: physical(&raw const rodata_start),
        data: physical(&raw const data_start),
        end: physical(&raw const image_end),
    }
}

/// Memory as `boot.S` maps it: the first GiB.
pub(crate) struct BootMemory;

impl PhysMemory for BootMemory {
    fn bytes(&self, addr: u64, len: usize) -> Option<&[u8]> {
        if addr.checked_add(u64_of(len))? > BOOT_MAPPED {
            return None;
        }
        let start = core::ptr::with_exposed_provenance(usize_of(KERNEL_VMA + addr));
        // SAFETY: `boot.S` maps it; nothing writes what the loader left there while boot reads it.
        Some(unsafe { core::slice::from_raw_parts(start, len) })
    }
}

/// Why memory can't be taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BootError {
    /// Too many separate ranges.
    TooManyRanges,
    /// Not even the page tables fit.
    NoMemory,
}

impl From<TooManyRanges> for BootError {
    fn from(_: TooManyRanges) -> Self {
        Self::TooManyRanges
    }
}

/// Takes memory over: switches to page tables of the kernel's own and hands what is free to
/// [`frame`](super::frame).
pub(crate) fn init(info: &BootInfo) -> Result<(), BootError> {
    let mut free = free_ranges(info)?;
    let root = build_tables(info, &mut free).ok_or(BootError::NoMemory)?;
    let frame = PhysFrame::containing_address(x86_64::PhysAddr::new_truncate(root));
    // SAFETY: the new tables map the image where it runs, its data and the boot stack included.
    // Global entries of the old ones can't linger: `boot.S` makes none.
    unsafe {
        use x86_64::registers::control::{Cr3, Cr3Flags};
        Cr3::write(frame, Cr3Flags::empty());
    }
    super::kernel::init(root);
    super::frame::init(free, info.modules);
    Ok(())
}

/// Usable memory without the first MiB, the image, the modules and the command line, which stay
/// where they are.
fn free_ranges(info: &BootInfo) -> Result<FreeRanges, BootError> {
    let mut free = FreeRanges::new();
    for ram in info.ram() {
        let start = align_up(ram.start, PAGE).unwrap_or(u64::MAX);
        free.add(start.max(LOW), align_down(ram.end.min(PHYSMAP_SIZE), PAGE))?;
    }
    let image = image();
    free.remove(image.start, image.end)?;
    for kept in info.modules.as_slice().iter().chain([&info.cmdline]) {
        let end = align_up(kept.end, PAGE).unwrap_or(u64::MAX);
        free.remove(align_down(kept.start, PAGE), end)?;
    }
    Ok(free)
}

/// The kernel's half. Tables are taken from the lowest free memory, which `boot.S` maps.
fn build_tables(info: &BootInfo, free: &mut FreeRanges) -> Option<u64> {
    let mut take = || {
        let addr = free.take(PAGE).filter(|addr| addr + PAGE <= BOOT_MAPPED)?;
        let table = core::ptr::with_exposed_provenance_mut::<u64>(usize_of(KERNEL_VMA + addr));
        // SAFETY: free memory, mapped there by `boot.S`, used by nobody else.
        unsafe { table.write_bytes(0, PAGE_SIZE / 8) };
        Some(addr)
    };
    let root = take()?;
    // SAFETY: `root` is a zeroed frame that `boot.S` maps at `KERNEL_VMA`, as all others taken.
    let mut map = |va, pa, end: u64, level: u32, bits| unsafe {
        let shift = 12 + 9 * (level - 1);
        let count = usize_of(end.saturating_sub(pa) >> shift);
        let mapping = Mapping {
            va,
            pa: PhysAddr::new(pa),
            count,
            level,
            bits,
        };
        table::map(KERNEL_VMA, root, mapping, &mut take)
    };
    let base = Bits::PRESENT | Bits::GLOBAL;
    let (read, write) = (
        base | Bits::NO_EXECUTE,
        base | Bits::NO_EXECUTE | Bits::WRITABLE,
    );
    let image = image();
    map(IMAGE + image.start, image.start, image.rodata, 1, base)?;
    map(IMAGE + image.rodata, image.rodata, image.data, 1, read)?;
    map(IMAGE + image.data, image.data, image.end, 1, write)?;

    // The physmap's first GiB: pages of 2 MiB, but of 4 KiB round the read-only part of the image.
    let (fine, coarse) = (align_down(image.start, LARGE), align_up(image.data, LARGE)?);
    map(PHYSMAP, 0, fine, 2, write)?;
    map(PHYSMAP + fine, fine, image.start, 1, write)?;
    map(PHYSMAP + image.start, image.start, image.data, 1, read)?;
    map(PHYSMAP + image.data, image.data, coarse, 1, write)?;
    map(PHYSMAP + coarse, coarse, GIGA, 2, write)?;
    let level = if features().contains(Features::PAGES_1G) {
        3
    } else {
        2
    };
    for ram in info.ram() {
        let start = align_down(ram.start, GIGA).max(GIGA);
        let end = align_up(ram.end.min(PHYSMAP_SIZE), GIGA)?;
        map(PHYSMAP + start, start, end, level, write)?;
    }
    // The other regions' PML4 entries, so that address spaces can share them for good.
    for region in REGIONS {
        // SAFETY: as for `map`.
        unsafe { table::make(KERNEL_VMA, root, region, 3, &mut take) }?;
    }
    Some(root)
}

/// The page where other CPUs start: below 1 MiB, where no frame is handed out. `None` where that isn't
/// memory, or where the loader has put something. In phase two.
pub(crate) fn start_page(info: &BootInfo) -> Option<StartPage> {
    let (start, end) = (START_PAGE, START_PAGE + PAGE);
    let kept = info.modules.as_slice().iter().chain([&info.cmdline]);
    let is_free = kept
        .into_iter()
        .all(|kept| kept.end <= start || end <= kept.start);
    let is_ram = info.ram().any(|ram| ram.start <= start && end <= ram.end);
    if !is_free || !is_ram || super::kernel::root() + PAGE > BOOT_MAPPED {
        return None;
    }
    let page = core::ptr::NonNull::new(physmap(PhysAddr::new(start)))?;
    // SAFETY: memory, mapped in the physmap; nobody is given what lies below `LOW`.
    Some(unsafe { StartPage::new(page) })
}

/// Gives back the boot stack. In phase two: nothing runs on it any more.
pub(crate) fn release_boot_stack() {
    unsafe extern "C" {
        static boot_stack_bottom: [u8; 0];
        static boot_stack_top: [u8; 0];
    }
    let start = (&raw const boot_stack_bottom).addr() as u64 - IMAGE;
    super::frame::add(start, (&raw const boot_stack_top).addr() as u64 - IMAGE);
}

/// Where the kernel's code is.
pub(super) fn text() -> core::ops::Range<u64> {
    let Image { start, rodata, .. } = image();
    IMAGE + start..IMAGE + rodata
}

/// Bytes from the start of the image's address range to its end.
pub(super) fn image_len() -> usize {
    usize_of(image().end)
}

/// What the loader left at `range`, a module or the command line: reserved, so it never changes.
/// Through the physmap, so in phase two only; memory that isn't there reads as nothing.
pub(crate) fn kept_bytes(range: PhysRange) -> &'static [u8] {
    if super::kernel::root() == 0 || range.end > PHYSMAP_SIZE {
        return &[];
    }
    // SAFETY: `pvh` has read or checked the range, so it is memory, which the physmap shows;
    // `free_ranges` keeps it from being handed out.
    unsafe {
        core::slice::from_raw_parts(physmap(PhysAddr::new(range.start)), usize_of(range.len()))
    }
}
