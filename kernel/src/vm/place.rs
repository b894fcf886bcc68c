//! Where a new mapping goes (`mm/mmap.c`, `arch/x86/kernel/sys_x86_64.c`).

use kiln_core::abi;
use kiln_core::addr::TASK_SIZE;
use kiln_core::errno::Errno;
use kiln_core::vma::{Gap, whole_pages};

use super::map::MapRequest;
use super::space::{Areas, MIN_ADDR, PAGE, STACK_GAP};

/// Where the new mapping goes.
pub(super) fn place(areas: &mut Areas, request: &MapRequest, len: u64) -> Result<u64, Errno> {
    if len > TASK_SIZE {
        return Err(Errno::ENOMEM);
    }
    if request.flags & abi::MAP_FIXED != 0 {
        if request.addr > TASK_SIZE - len {
            return Err(Errno::ENOMEM);
        }
        if !request.addr.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if request.addr < MIN_ADDR && !request.low {
            return Err(Errno::EPERM);
        }
        return Ok(request.addr);
    }
    let only_low = request.flags & abi::MAP_32BIT != 0;
    if request.addr != 0
        && let Some(start) = hinted(areas, request.addr, len, only_low)
    {
        return Ok(start);
    }
    find_gap(areas, len, PAGE, only_low).ok_or(Errno::ENOMEM)
}

/// The hint, in whole pages, when there is room.
fn hinted(areas: &Areas, hint: u64, len: u64, only_low: bool) -> Option<u64> {
    let start = whole_pages(hint)?.max(MIN_ADDR);
    let limit = if only_low { LOW_END } else { TASK_SIZE };
    let gap = Gap {
        len,
        within: start..start.checked_add(len).filter(|end| *end <= limit)?,
        guard: STACK_GAP,
        align: PAGE,
    };
    areas.map.gap_bottom_up(&gap)
}

/// Where `MAP_32BIT` begins and ends (`arch/x86/kernel/sys_x86_64.c`).
const LOW_START: u64 = 0x4000_0000;

const LOW_END: u64 = 0x8000_0000;

/// The highest gap below the top for mappings, or the lowest above it when there is none.
pub(super) fn find_gap(areas: &mut Areas, len: u64, align: u64, only_low: bool) -> Option<u64> {
    let within = |within| Gap {
        len,
        within,
        guard: STACK_GAP,
        align,
    };
    if only_low {
        return areas.map.gap_bottom_up(&within(LOW_START..LOW_END));
    }
    areas
        .map
        .gap_top_down(&within(MIN_ADDR..areas.mmap_top))
        .or_else(|| {
            areas
                .map
                .gap_bottom_up(&within((TASK_SIZE / 3) & !(PAGE - 1)..TASK_SIZE))
        })
}
