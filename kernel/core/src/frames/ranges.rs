//! Memory that is free but not yet in use, as a short sorted list of ranges.

/// A list of disjoint, non-adjacent ranges `start..end` in rising order.
#[derive(Clone, Debug)]
pub struct Ranges<const N: usize> {
    items: [(u64, u64); N],
    len: usize,
}

/// The list is full; what was to be added stays unused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyRanges;

impl<const N: usize> Default for Ranges<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Ranges<N> {
    /// No memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            items: [(0, 0); N],
            len: 0,
        }
    }

    /// The ranges, in rising order.
    #[must_use]
    pub fn as_slice(&self) -> &[(u64, u64)] {
        self.items.get(..self.len).unwrap_or_default()
    }

    /// Bytes in all of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.as_slice().iter().map(|(start, end)| end - start).sum()
    }

    /// Adds `start..end`, merging with what it touches.
    ///
    /// # Errors
    /// [`TooManyRanges`] leaves the list as it was.
    pub fn add(&mut self, start: u64, end: u64) -> Result<(), TooManyRanges> {
        if start >= end {
            return Ok(());
        }
        let mut merged = (start, end);
        let mut next = Self::new();
        let mut placed = false;
        for &(from, to) in self.as_slice() {
            if to < merged.0 {
                next.push(from, to)?;
            } else if merged.1 < from {
                if !placed {
                    next.push(merged.0, merged.1)?;
                    placed = true;
                }
                next.push(from, to)?;
            } else {
                merged = (merged.0.min(from), merged.1.max(to));
            }
        }
        if !placed {
            next.push(merged.0, merged.1)?;
        }
        *self = next;
        Ok(())
    }

    /// Takes `start..end` out, whatever of it is there.
    ///
    /// # Errors
    /// [`TooManyRanges`] (a range was to be split in a full list) leaves the list as it was.
    pub fn remove(&mut self, start: u64, end: u64) -> Result<(), TooManyRanges> {
        if start >= end {
            return Ok(());
        }
        let mut next = Self::new();
        for &(from, to) in self.as_slice() {
            if to <= start || end <= from {
                next.push(from, to)?;
            } else {
                next.push(from, to.min(start))?;
                next.push(from.max(end), to)?;
            }
        }
        *self = next;
        Ok(())
    }

    /// Takes `len` bytes, at a multiple of `len` (a power of two), off the lowest range that has
    /// them at its start once aligned; the bytes skipped for alignment stay.
    pub fn take(&mut self, len: u64) -> Option<u64> {
        let fit = |&(start, end): &(u64, u64)| {
            let at = crate::num::align_up(start, len)?;
            (at.checked_add(len)? <= end).then_some(at)
        };
        let at = self.as_slice().iter().find_map(fit)?;
        self.remove(at, at + len).ok()?;
        Some(at)
    }

    /// Takes from the lowest range what lies before the next multiple of `section`.
    pub fn take_section(&mut self, section: u64) -> Option<(u64, u64)> {
        let &(start, end) = self.as_slice().first()?;
        let boundary = crate::num::align_up(start + 1, section)?;
        let end = end.min(boundary);
        self.remove(start, end).ok()?;
        Some((start, end))
    }

    fn push(&mut self, start: u64, end: u64) -> Result<(), TooManyRanges> {
        if start < end {
            *self.items.get_mut(self.len).ok_or(TooManyRanges)? = (start, end);
            self.len += 1;
        }
        Ok(())
    }
}
