//! How many pages to read at once.
//!
//! A file read in order gets twice as many each time, up to [`MAX_PAGES`]; one read here and there
//! gets what was asked for.

/// Most pages read at once.
pub(super) const MAX_PAGES: u64 = 128;
/// Pages read at the start of a file.
const FIRST_PAGES: u64 = 4;

/// What is remembered of the last read that found a page missing.
pub(super) struct Readahead {
    /// Where reading in order would go on.
    next: u64,
    /// Pages read then.
    window: u64,
}

impl Readahead {
    pub(super) const fn new() -> Self {
        Self { next: 0, window: 0 }
    }

    /// Pages to read from `index` on, when `wanted` are asked for.
    pub(super) fn window(&mut self, index: u64, wanted: u64) -> u64 {
        let in_order = index == self.next;
        let grown = if in_order {
            (self.window * 2).max(FIRST_PAGES)
        } else {
            1
        };
        self.window = grown.max(wanted).min(MAX_PAGES);
        self.next = index + self.window;
        self.window
    }
}
