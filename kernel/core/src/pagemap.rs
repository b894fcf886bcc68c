//! The index of a page cache: which pages of a file are in memory, and in what state.
//!
//! [`PageMap`] maps page numbers to pages (of any type; the kernel's are counted frames) in
//! chunks of 16, with a bit per page and property. It knows no locks and no waiting: the kernel's
//! `vm::mapping` puts those around it. A page is *loading* until its content has arrived, then
//! *ready*; a ready page may be *dirty*, *under write-back*, or both when it was written to again
//! meanwhile. Eviction is a second-chance clock over the chunks: a page used twice lives through
//! one more turn of the hand.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::ops::Range;

use crate::num::usize_of;

/// Pages in a chunk.
pub const CHUNK_PAGES: u64 = 16;
/// The same, as an array's length.
pub const WIDTH: usize = 16;

/// What a new chunk takes from the heap, its share of the tree included: to be charged before
/// an insertion for which [`PageMap::needs_chunk`] says yes.
pub const CHUNK_BYTES: usize = 256;

/// A page's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Its content is on its way.
    Loading,
    /// Its content is there.
    Ready,
}

#[derive(Debug)]
struct Chunk<P> {
    slots: [Option<P>; WIDTH],
    present: u16,
    loading: u16,
    dirty: u16,
    writeback: u16,
    touched: u16,
    hot: u16,
}

impl<P> Chunk<P> {
    fn new() -> Self {
        Self {
            slots: [const { None }; WIDTH],
            present: 0,
            loading: 0,
            dirty: 0,
            writeback: 0,
            touched: 0,
            hot: 0,
        }
    }

    /// Takes a page out with all its marks.
    fn take(&mut self, slot: usize) -> Option<P> {
        let keep = !(1u16 << slot);
        self.present &= keep;
        self.loading &= keep;
        self.dirty &= keep;
        self.writeback &= keep;
        self.touched &= keep;
        self.hot &= keep;
        self.slots.get_mut(slot)?.take()
    }
}

/// Pages by number.
#[derive(Debug)]
pub struct PageMap<P> {
    chunks: BTreeMap<u64, Box<Chunk<P>>>,
    pages: usize,
    dirty: usize,
    writeback: usize,
}

impl<P> Default for PageMap<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// A page's chunk, its place there, and its bit.
fn locate(index: u64) -> (u64, usize, u16) {
    let slot = usize_of(index % CHUNK_PAGES);
    (index / CHUNK_PAGES, slot, 1 << slot)
}

/// The bits of the chunk whose first page is `base` for the pages of the range.
fn mask(range: &Range<u64>, base: u64) -> u16 {
    let low = usize_of(range.start.saturating_sub(base)).min(WIDTH);
    let high = usize_of(range.end.saturating_sub(base)).min(WIDTH);
    let below = |slot: usize| (1u32 << slot) - 1;
    crate::num::low16(u64::from(below(high) & !below(low)))
}

impl<P> PageMap<P> {
    /// An empty map; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            chunks: BTreeMap::new(),
            pages: 0,
            dirty: 0,
            writeback: 0,
        }
    }

    /// Pages in it, in any state.
    pub fn len(&self) -> usize {
        self.pages
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pages == 0
    }

    /// Dirty pages.
    pub fn dirty(&self) -> usize {
        self.dirty
    }

    /// Pages under write-back.
    pub fn under_writeback(&self) -> usize {
        self.writeback
    }

    /// The page and its state.
    #[inline]
    pub fn get(&self, index: u64) -> Option<(&P, State)> {
        let (key, slot, bit) = locate(index);
        let chunk = self.chunks.get(&key)?;
        let page = chunk.slots.get(slot)?.as_ref()?;
        let state = if chunk.loading & bit == 0 {
            State::Ready
        } else {
            State::Loading
        };
        Some((page, state))
    }

    /// As [`PageMap::get`], and notes that the page was used.
    #[inline]
    pub fn touch(&mut self, index: u64) -> Option<(&P, State)> {
        let (key, slot, bit) = locate(index);
        let chunk = self.chunks.get_mut(&key)?;
        let page = chunk.slots.get(slot)?.as_ref()?;
        chunk.hot |= chunk.touched & bit;
        chunk.touched |= bit;
        let state = if chunk.loading & bit == 0 {
            State::Ready
        } else {
            State::Loading
        };
        Some((page, state))
    }

    /// Calls `each` for every chunk with ready pages of the range, in order, until it answers false: with the number of the
    /// chunk's first page, its pages, and a bit for each that is meant.
    pub fn for_ready(
        &self,
        range: Range<u64>,
        mut each: impl FnMut(u64, &[Option<P>; WIDTH], u16) -> bool,
    ) {
        let chunks = range.start / CHUNK_PAGES..range.end.div_ceil(CHUNK_PAGES);
        if chunks.is_empty() {
            return;
        }
        for (key, chunk) in self.chunks.range(chunks) {
            let base = key * CHUNK_PAGES;
            let ready = chunk.present & !chunk.loading & mask(&range, base);
            if ready != 0 && !each(base, &chunk.slots, ready) {
                return;
            }
        }
    }

    /// How many pages from `index` on, `max` at most, are not there.
    pub fn missing_run(&self, index: u64, max: u64) -> u64 {
        match self.next_present(index) {
            Some(next) => (next - index).min(max),
            None => max,
        }
    }

    /// The first page at or after `index` that is there, in any state.
    pub fn next_present(&self, index: u64) -> Option<u64> {
        let (first, slot, _) = locate(index);
        for (key, chunk) in self.chunks.range(first..) {
            let mask = if *key == first {
                u16::MAX << slot
            } else {
                u16::MAX
            };
            let found = chunk.present & mask;
            if found != 0 {
                return Some(key * CHUNK_PAGES + u64::from(found.trailing_zeros()));
            }
        }
        None
    }

    /// The first page at or after `index` that is not there.
    pub fn next_missing(&self, index: u64) -> u64 {
        let mut at = index;
        while self.get(at).is_some() {
            at += 1;
        }
        at
    }

    /// Whether an insertion at `index` needs a new chunk.
    pub fn needs_chunk(&self, index: u64) -> bool {
        !self.chunks.contains_key(&(index / CHUNK_PAGES))
    }

    /// Puts a page where there is none.
    ///
    /// # Errors
    /// Gives the page back when there is one.
    pub fn insert(&mut self, index: u64, page: P, state: State) -> Result<(), P> {
        let (key, slot, bit) = locate(index);
        let chunk = self
            .chunks
            .entry(key)
            .or_insert_with(|| Box::new(Chunk::new()));
        match chunk.slots.get_mut(slot) {
            Some(free @ None) => *free = Some(page),
            _ => return Err(page),
        }
        chunk.present |= bit;
        if state == State::Loading {
            chunk.loading |= bit;
        }
        self.pages += 1;
        Ok(())
    }

    /// The content of a page has arrived.
    pub fn finish_loading(&mut self, index: u64) {
        let (key, _, bit) = locate(index);
        if let Some(chunk) = self.chunks.get_mut(&key) {
            chunk.loading &= !bit;
        }
    }

    /// Takes a page out, whatever its state.
    pub fn remove(&mut self, index: u64) -> Option<P> {
        let (key, slot, bit) = locate(index);
        let chunk = self.chunks.get_mut(&key)?;
        let (dirty, writeback) = (chunk.dirty & bit != 0, chunk.writeback & bit != 0);
        let page = chunk.take(slot)?;
        if chunk.present == 0 {
            self.chunks.remove(&key);
        }
        self.pages -= 1;
        self.dirty -= usize::from(dirty);
        self.writeback -= usize::from(writeback);
        Some(page)
    }

    /// Takes out all ready pages of the range that are not under write-back, dirty ones too;
    /// `true` when none was left behind.
    pub fn remove_range(&mut self, range: Range<u64>, mut removed: impl FnMut(P)) -> bool {
        let mut clear = true;
        let mut next = range.start;
        while let Some(index) = self.next_present(next).filter(|i| *i < range.end) {
            if self.is_busy(index) {
                clear = false;
            } else if let Some(page) = self.remove(index) {
                removed(page);
            }
            next = index + 1;
        }
        clear
    }

    fn is_busy(&self, index: u64) -> bool {
        let (key, _, bit) = locate(index);
        let chunk = self.chunks.get(&key);
        chunk.is_some_and(|chunk| (chunk.loading | chunk.writeback) & bit != 0)
    }

    /// Whether the page at `index` is dirty.
    pub fn is_dirty(&self, index: u64) -> bool {
        let (key, _, bit) = locate(index);
        let chunk = self.chunks.get(&key);
        chunk.is_some_and(|chunk| chunk.dirty & bit != 0)
    }

    /// Marks a page as dirty; `true` when it is there and wasn't yet.
    pub fn set_dirty(&mut self, index: u64) -> bool {
        let (key, _, bit) = locate(index);
        let Some(chunk) = self.chunks.get_mut(&key) else {
            return false;
        };
        if chunk.present & bit == 0 || chunk.dirty & bit != 0 {
            return false;
        }
        chunk.dirty |= bit;
        self.dirty += 1;
        true
    }

    /// The first dirty page of the range, and how many follow each other from there on, `max`
    /// at most; pages still under an earlier write-back are passed over.
    pub fn next_dirty(&self, range: Range<u64>, max: u64) -> Option<Range<u64>> {
        let (first, slot, _) = locate(range.start);
        let mut found: Option<Range<u64>> = None;
        for (key, chunk) in self.chunks.range(first..) {
            let mask = if *key == first {
                u16::MAX << slot
            } else {
                u16::MAX
            };
            let mut bits = chunk.dirty & !chunk.writeback & mask;
            let base = key * CHUNK_PAGES;
            while bits != 0 {
                let index = base + u64::from(bits.trailing_zeros());
                if index >= range.end {
                    return found;
                }
                match &mut found {
                    None => found = Some(index..index + 1),
                    Some(run) if run.end == index && run.end - run.start < max => run.end += 1,
                    Some(_) => return found,
                }
                bits &= bits - 1;
            }
            if found
                .as_ref()
                .is_some_and(|run| run.end < base + CHUNK_PAGES)
            {
                return found;
            }
        }
        found
    }

    /// The content of a dirty page is about to be written: clean from now on, and under
    /// write-back.
    pub fn begin_writeback(&mut self, index: u64) -> Option<&P> {
        let (key, slot, bit) = locate(index);
        let chunk = self.chunks.get_mut(&key)?;
        let page = chunk.slots.get(slot)?.as_ref()?;
        if chunk.dirty & bit == 0 || chunk.writeback & bit != 0 {
            return None;
        }
        chunk.dirty &= !bit;
        chunk.writeback |= bit;
        self.dirty -= 1;
        self.writeback += 1;
        Some(page)
    }

    /// A write-back has ended.
    pub fn finish_writeback(&mut self, index: u64) {
        let (key, _, bit) = locate(index);
        if let Some(chunk) = self.chunks.get_mut(&key)
            && chunk.writeback & bit != 0
        {
            chunk.writeback &= !bit;
            self.writeback -= 1;
        }
    }

    /// Whether any page of the range is under write-back.
    pub fn any_writeback(&self, range: Range<u64>) -> bool {
        self.any(range, |chunk| chunk.writeback)
    }

    /// Whether any page of the range is dirty or under write-back.
    pub fn any_unwritten(&self, range: Range<u64>) -> bool {
        self.any(range, |chunk| chunk.writeback | chunk.dirty)
    }

    /// Whether any page of the range is loading or under write-back.
    pub fn any_busy(&self, range: Range<u64>) -> bool {
        self.any(range, |chunk| chunk.writeback | chunk.loading)
    }

    fn any(&self, range: Range<u64>, bits: impl Fn(&Chunk<P>) -> u16) -> bool {
        if range.is_empty() {
            return false;
        }
        let (first, low, _) = locate(range.start);
        let (last, high, _) = locate(range.end - 1);
        self.chunks.range(first..=last).any(|(key, chunk)| {
            let from = if *key == first {
                u16::MAX << low
            } else {
                u16::MAX
            };
            let to = if *key == last {
                u16::MAX >> (WIDTH - 1 - high)
            } else {
                u16::MAX
            };
            bits(chunk) & from & to != 0
        })
    }

    /// One turn of the clock from the chunk of `hand` on, over at most `chunks` chunks: pages
    /// that are ready, clean, not hot and of which `idle` says that nobody else has them go to
    /// `evicted`; hot ones cool down. Where the hand stands then; `None` past the last chunk.
    pub fn evict(
        &mut self,
        hand: u64,
        chunks: usize,
        idle: impl Fn(&P) -> bool,
        mut evicted: impl FnMut(P),
    ) -> Option<u64> {
        let mut next = hand / CHUNK_PAGES;
        for _ in 0..chunks {
            let (key, chunk) = self.chunks.range_mut(next..).next()?;
            let key = *key;
            let busy = chunk.loading | chunk.dirty | chunk.writeback | chunk.hot;
            chunk.hot = 0;
            let mut candidates = chunk.present & !busy;
            while candidates != 0 {
                let slot = candidates.trailing_zeros();
                candidates &= candidates - 1;
                let slot = crate::num::usize_of32(slot);
                let Some(Some(page)) = chunk.slots.get(slot) else {
                    continue;
                };
                if idle(page)
                    && let Some(page) = chunk.take(slot)
                {
                    self.pages -= 1;
                    evicted(page);
                }
            }
            if chunk.present == 0 {
                self.chunks.remove(&key);
            }
            next = key + 1;
        }
        self.chunks
            .range(next..)
            .next()
            .map(|(key, _)| key * CHUNK_PAGES)
    }
}

#[cfg(test)]
#[path = "pagemap_tests.rs"]
mod tests;
