//! The map of an address space: which ranges of addresses are what.
//!
//! [`AreaMap`] keeps [`Area`]s sorted and disjoint, splits them at the borders of an operation,
//! merges equal neighbours again, and finds gaps (`gap`). What lies behind an area is the caller's
//! business, as long as it can say what lies further on ([`Backing`]). The kernel's `vm` puts
//! locks and page tables around it.
//!
//! Every operation that needs memory reserves it before it changes anything, so a failure leaves
//! the map as it was. The areas lie in pieces (`chunks`), and each piece remembers its largest gap,
//! and the map what the last search found out, so that tens of thousands of areas slow nothing down much.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::addr::PAGE_SIZE;

mod area;
mod chunks;
mod gap;

pub use area::{Area, AreaFlags, Backing, Prot};
use chunks::{Chunks, NoMemory, Pos};
pub use gap::Gap;
use gap::Tried;

const PAGE: u64 = PAGE_SIZE as u64;

/// Most areas a map may hold, unless something else was set (`DEFAULT_MAX_MAP_COUNT`).
pub const MAX_AREAS: usize = 65_530;

static MOST_AREAS: AtomicUsize = AtomicUsize::new(MAX_AREAS);

/// Most areas a map may hold (`/proc/sys/vm/max_map_count`).
pub fn most_areas() -> usize {
    MOST_AREAS.load(Ordering::Relaxed)
}

/// Sets it.
pub fn set_most_areas(count: usize) {
    MOST_AREAS.store(count, Ordering::Relaxed);
}

static COMMITTED: AtomicU64 = AtomicU64::new(0);

/// Bytes of private memory that may be written to, in all maps together.
pub fn committed() -> u64 {
    COMMITTED.load(Ordering::Relaxed)
}

/// Why the map wasn't changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// No memory for the bookkeeping.
    NoMemory,
    /// There would be more than [`most_areas`].
    TooMany,
    /// The range isn't free.
    Occupied,
}

impl From<NoMemory> for MapError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

/// The areas of one address space, sorted and disjoint.
#[derive(Debug)]
pub struct AreaMap<B> {
    areas: Chunks<Area<B>>,
    bytes: u64,
    /// Its part in [`committed`].
    committed: u64,
    tried: Tried,
    /// Where an address was last found: programs touch the same area again and again.
    last: AtomicU64,
}

impl<B> Default for AreaMap<B> {
    fn default() -> Self {
        Self {
            areas: Chunks::default(),
            bytes: 0,
            committed: 0,
            tried: Tried::NOTHING,
            last: AtomicU64::new(0),
        }
    }
}

impl<B> Drop for AreaMap<B> {
    fn drop(&mut self) {
        self.commit(self.committed.wrapping_neg());
    }
}

impl<B> AreaMap<B> {
    /// Counts what may be written to now and couldn't before; wrapping, when it is less.
    fn commit(&mut self, more: u64) {
        if more != 0 {
            self.committed = self.committed.wrapping_add(more);
            COMMITTED.fetch_add(more, Ordering::Relaxed);
        }
    }
}

impl<B: Backing> AreaMap<B> {
    /// Bytes in all areas together.
    pub fn total_bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of private memory that may be written to.
    pub fn committed_bytes(&self) -> u64 {
        self.committed
    }

    /// How many areas there are.
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.areas.len() == 0
    }

    /// All areas in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = &Area<B>> {
        self.areas.iter()
    }

    /// Those with an object behind them ([`Backing::is_object`]). The others cost little, however many.
    pub fn iter_objects(&self) -> impl Iterator<Item = &Area<B>> {
        self.areas.iter_marked(|area| area.backing.is_object())
    }

    /// The area the address lies in.
    pub fn find(&self, addr: u64) -> Option<&Area<B>> {
        self.first_ending_above(addr)
            .filter(|area| area.start <= addr)
    }

    /// The area the address lies in, or else the next one above it.
    #[inline]
    pub fn first_ending_above(&self, addr: u64) -> Option<&Area<B>> {
        // Whatever has changed since: an area that the address lies in is the one.
        let last = self
            .areas
            .get(Pos::unpack(self.last.load(Ordering::Relaxed)));
        if let Some(area) = last.filter(|area| area.contains(addr)) {
            return Some(area);
        }
        self.search(addr)
    }

    /// The same, and remembers where it was.
    #[inline(never)]
    fn search(&self, addr: u64) -> Option<&Area<B>> {
        let at = self.position(addr);
        self.last.store(at.pack(), Ordering::Relaxed);
        self.areas.get(at)
    }

    /// The last area that ends at or below the address.
    pub fn last_ending_below(&self, addr: u64) -> Option<&Area<B>> {
        self.below(self.position(addr))
    }

    /// The areas that overlap the range: an empty one none, wherever it lies.
    pub fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = &Area<B>> {
        let Range { start, end } = *range;
        self.areas
            .iter_from(self.position(start))
            .take_while(move |area| area.start < end && start < end)
    }

    /// Whether every address of the range lies in an area.
    pub fn covers(&self, range: &Range<u64>) -> bool {
        let mut next = range.start;
        for area in self.overlapping(range) {
            if area.start > next {
                return false;
            }
            next = area.end;
        }
        next >= range.end
    }

    /// Whether no address of the range lies in an area.
    pub fn is_free(&self, range: &Range<u64>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// Adds an area where there is none, and merges it with equal neighbours.
    ///
    /// # Errors
    /// [`MapError`]; the map is unchanged.
    pub fn insert(&mut self, area: Area<B>) -> Result<(), MapError> {
        // As Linux, which has one more than the limit in the end; splitting stops at it.
        self.place(area, most_areas())
    }

    /// Adds a copy of another map's area: as many as that has, whatever the limit is now.
    ///
    /// # Errors
    /// [`MapError`]; the map is unchanged.
    pub fn insert_copy(&mut self, area: Area<B>) -> Result<(), MapError> {
        self.place(area, usize::MAX)
    }

    fn place(&mut self, area: Area<B>, most: usize) -> Result<(), MapError> {
        let at = self.position(area.start);
        let next = self.areas.get(at);
        if next.is_some_and(|next| next.start < area.end) {
            return Err(MapError::Occupied);
        }
        let (size, committed) = (area.size(), area.committed());
        let joins_next = next.is_some_and(|next| area.joins(next));
        if let Some(below) = self.areas.before(at)
            && let Some(before) = self.areas.get_mut(below)
            && before.joins(&area)
        {
            before.end = area.end;
            self.bytes += size;
            self.commit(committed);
            if joins_next {
                self.join(below);
            }
            return Ok(());
        }
        if joins_next && let Some(next) = self.areas.get_mut(at) {
            next.start = area.start;
            next.backing = area.backing;
        } else {
            if self.areas.len() > most {
                return Err(MapError::TooMany);
            }
            self.areas.reserve_for(Some(at), None)?;
            self.areas.insert(at, area);
        }
        self.bytes += size;
        self.commit(committed);
        Ok(())
    }

    /// Removes what lies in the range, each piece handed to `removed`.
    ///
    /// # Errors
    /// [`MapError`] when an area would have to be split and can't; the map is unchanged.
    pub fn remove(
        &mut self,
        range: &Range<u64>,
        mut removed: impl FnMut(Area<B>),
    ) -> Result<(), MapError> {
        self.isolate(range)?;
        let first = self.position(range.start);
        let mut at = first;
        let mut committed = 0;
        while self
            .areas
            .get(at)
            .is_some_and(|area| area.start < range.end)
        {
            let next = self.areas.after(at);
            if let Some(area) = self.areas.remove(at) {
                self.bytes -= area.size();
                committed += area.committed();
                removed(area);
            }
            // Within a piece the next one has moved up; an emptied piece stays until all are gone.
            at = if self.areas.get(at).is_some() {
                at
            } else {
                next
            };
        }
        self.commit(committed.wrapping_neg());
        self.areas.tidy_between(first, at);
        let above = self.areas.get(self.position(range.start));
        let end = above.map_or(u64::MAX, |above| above.start);
        self.tried.gap_ends(end);
        Ok(())
    }

    /// Changes what lies in the range; `change` mustn't touch `start` and `end`, nor whether it grows down.
    ///
    /// # Errors
    /// [`MapError`] when an area would have to be split and can't; the map is unchanged.
    pub fn update(
        &mut self,
        range: &Range<u64>,
        mut change: impl FnMut(&mut Area<B>),
    ) -> Result<(), MapError> {
        self.isolate(range)?;
        let mut at = self.position(range.start);
        let mut committed = 0_u64;
        while let Some(area) = self.areas.get_mut(at).filter(|area| area.start < range.end) {
            let before = area.committed();
            change(area);
            committed = committed.wrapping_add(area.committed().wrapping_sub(before));
            at = self.areas.after(at);
        }
        self.commit(committed);
        self.merge(range);
        Ok(())
    }

    /// Moves the start of the area at `start` down to `new_start`; the space must be free, and
    /// the backing stays as it is (for areas without one). Whether there was such an area.
    pub fn grow_down(&mut self, start: u64, new_start: u64) -> bool {
        let at = self.position(start);
        let floor = self.below(at).map_or(0, |area| area.end);
        match self.areas.get_mut(at) {
            Some(area) if area.start == start && (floor..start).contains(&new_start) => {
                let before = area.committed();
                area.start = new_start;
                let more = area.committed() - before;
                self.bytes += start - new_start;
                self.commit(more);
                true
            }
            _ => false,
        }
    }

    /// Makes room for `count` more areas, wherever they come.
    ///
    /// # Errors
    /// [`MapError::TooMany`] and [`MapError::NoMemory`].
    #[inline]
    pub fn reserve(&mut self, count: usize) -> Result<(), MapError> {
        self.check_count(count)?;
        Ok(self.areas.reserve(count)?)
    }

    /// Makes room for the copies of so many areas.
    ///
    /// # Errors
    /// [`MapError::NoMemory`].
    pub fn reserve_copies(&mut self, count: usize) -> Result<(), MapError> {
        Ok(self.areas.reserve(count)?)
    }

    fn check_count(&self, more: usize) -> Result<(), MapError> {
        if self.areas.len() + more > most_areas() {
            return Err(MapError::TooMany);
        }
        Ok(())
    }

    /// The place of the first area that ends above the address.
    #[inline]
    fn position(&self, addr: u64) -> Pos {
        self.areas.partition_point(|area| area.end <= addr)
    }

    /// The area before a place.
    fn below(&self, at: Pos) -> Option<&Area<B>> {
        self.areas.get(self.areas.before(at)?)
    }

    /// Splits the areas that cross the range's borders.
    fn isolate(&mut self, range: &Range<u64>) -> Result<(), MapError> {
        let crossing = |map: &Self, border: u64| {
            let at = map.position(border);
            let area = map.areas.get(at);
            area.is_some_and(|area| area.start < border).then_some(at)
        };
        let (low, high) = (crossing(self, range.start), crossing(self, range.end));
        let splits = usize::from(low.is_some()) + usize::from(high.is_some());
        if splits == 0 {
            return Ok(());
        }
        self.check_count(splits)?;
        self.areas.reserve_for(low, high)?;
        if let Some(at) = high {
            self.split(at, range.end);
        }
        if low.is_some() {
            // It may have moved with the first split.
            self.split(self.position(range.start), range.start);
        }
        self.areas.release();
        Ok(())
    }

    /// Splits the area at a place; room has been reserved.
    fn split(&mut self, at: Pos, border: u64) {
        if let Some(area) = self.areas.get_mut(at) {
            let lower = Area {
                end: border,
                ..area.clone()
            };
            *area = area.part(&(border..area.end));
            self.areas.insert(at, lower);
        }
    }

    /// Merges equal neighbours from the area before the range to the one after it.
    fn merge(&mut self, range: &Range<u64>) {
        let mut at = self.position(range.start);
        at = self.areas.before(at).unwrap_or(at);
        while let Some(area) = self.areas.get(at) {
            if area.start >= range.end {
                break;
            }
            let next = self.areas.get(self.areas.after(at));
            if next.is_some_and(|next| area.joins(next)) {
                at = self.join(at);
            } else {
                at = self.areas.after(at);
            }
        }
    }

    /// Makes the area at a place and the next one into one; where it is then.
    fn join(&mut self, at: Pos) -> Pos {
        let next = self.areas.after(at);
        let Some(gone) = self.areas.remove(next) else {
            return next;
        };
        let mut start = gone.start;
        if let Some(area) = self.areas.get_mut(at) {
            area.end = gone.end;
            start = area.start;
        }
        self.areas.tidy_between(at, next);
        self.position(start)
    }
}

/// `len` rounded up to whole pages; `None` on overflow or when it is 0.
#[must_use]
pub fn whole_pages(len: u64) -> Option<u64> {
    crate::num::align_up(len, PAGE).filter(|len| *len != 0)
}

#[cfg(test)]
#[path = "vma_tests.rs"]
mod tests;
