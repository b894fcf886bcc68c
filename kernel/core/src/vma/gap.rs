//! Where there is room: the highest or the lowest [`Gap`] between areas that fits.

use core::ops::Range;

use super::{Area, AreaFlags, AreaMap, Backing, PAGE};

/// Which gap is looked for.
#[derive(Clone, Debug)]
pub struct Gap {
    /// Bytes, whole pages.
    pub len: u64,
    /// Where it must lie.
    pub within: Range<u64>,
    /// Bytes left free below an area that grows down.
    pub guard: u64,
    /// Alignment of its start, a power of two of at least a page.
    pub align: u64,
}

/// What the last search from the top found out: below `top` no gap of `len` bytes or more ends above `below`. Areas
/// that are added leave that true. So a program that maps much in a row isn't searched through each time.
#[derive(Debug)]
pub(super) struct Tried {
    len: u64,
    top: u64,
    guard: u64,
    below: u64,
}

impl Tried {
    /// Nothing.
    pub(super) const NOTHING: Self = Self {
        len: u64::MAX,
        top: 0,
        guard: 0,
        below: 0,
    };

    /// There is a gap that ends here now.
    pub(super) fn gap_ends(&mut self, at: u64) {
        self.below = self.below.max(at);
    }
}

impl<B: Backing> AreaMap<B> {
    /// The start of the highest gap that fits.
    pub fn gap_top_down(&mut self, gap: &Gap) -> Option<u64> {
        let tried = &self.tried;
        let alike = (gap.within.end, gap.guard) == (tried.top, tried.guard);
        let knows = alike && gap.len >= tried.len;
        let ceiling = gap
            .within
            .end
            .min(if knows { tried.below } else { u64::MAX });
        let start = self.highest_gap(gap, ceiling)?;
        if gap.align == PAGE && (!knows || gap.len == tried.len) {
            self.tried = Tried {
                len: gap.len,
                top: gap.within.end,
                guard: gap.guard,
                below: start + gap.len,
            };
        }
        Some(start)
    }

    fn highest_gap(&self, gap: &Gap, ceiling: u64) -> Option<u64> {
        let mut ceiling = ceiling;
        let mut at = self.position(ceiling);
        // The area that holds the ceiling or lies above it limits the first gap.
        if let Some(area) = self.areas.get(at) {
            ceiling = ceiling.min(Self::floor_of(area, gap.guard));
        }
        loop {
            let below = self.areas.before(at);
            let area = below.and_then(|below| self.areas.get(below));
            let floor = area.map_or(0, |area| area.end).max(gap.within.start);
            let start = ceiling
                .checked_sub(gap.len)
                .map(|start| start & !(gap.align - 1));
            if let Some(start) = start.filter(|start| *start >= floor) {
                return Some(start);
            }
            let area = area.filter(|area| area.start > gap.within.start)?;
            ceiling = ceiling.min(Self::floor_of(area, gap.guard));
            at = below?;
            if let Some(first) = self.areas.skip(at, gap.len, &between) {
                // What lies below that one's area hasn't been looked at.
                at = first;
                let area = self.areas.get(at)?;
                ceiling = ceiling.min(Self::floor_of(area, gap.guard));
            }
        }
    }

    /// The start of the lowest gap that fits.
    pub fn gap_bottom_up(&self, gap: &Gap) -> Option<u64> {
        let mut floor = gap.within.start;
        let mut above = self.areas.iter_from(self.position(floor));
        loop {
            let next = above.next();
            let ceiling = next.map_or(gap.within.end, |area| {
                Self::floor_of(area, gap.guard).min(gap.within.end)
            });
            let start = crate::num::align_up(floor, gap.align)?;
            if start.checked_add(gap.len).is_some_and(|end| end <= ceiling) {
                return Some(start);
            }
            floor = floor.max(next?.end);
            if floor >= gap.within.end {
                return None;
            }
        }
    }

    /// Where a gap below this area must end.
    fn floor_of(area: &Area<B>, guard: u64) -> u64 {
        if area.flags.contains(AreaFlags::GROWS_DOWN) {
            area.start.saturating_sub(guard)
        } else {
            area.start
        }
    }
}

/// Bytes between two areas.
const fn between<B>(low: &Area<B>, high: &Area<B>) -> u64 {
    high.start - low.end
}
