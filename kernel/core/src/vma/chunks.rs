//! [`Chunks`]: a sorted sequence in pieces of bounded size, so that a change in the middle moves few
//! items however many there are.
//!
//! Memory is reserved before a change: an insertion into a piece with room takes none, and one into
//! a full piece takes a piece from those [reserved](Chunks::reserve).

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::num::{u64_of, usize_of};

/// Most items in a piece.
const WIDTH: usize = 32;
/// Pieces that have a note in common, by place: every sixteenth begins a group. Tests want many groups.
const GROUP: usize = if cfg!(test) { 3 } else { 16 };
/// Pieces with fewer items are joined with a neighbour if both fit.
const FEW: usize = WIDTH / 4;

/// There is no memory for the bookkeeping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoMemory;

/// The place of an item, or the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Pos {
    chunk: usize,
    slot: usize,
}

impl Pos {
    /// As a word, to be remembered; there may be another item by then, or none.
    pub(super) fn pack(self) -> u64 {
        u64_of(self.chunk) << 8 | u64_of(self.slot)
    }

    /// The place that a word means.
    pub(super) fn unpack(word: u64) -> Self {
        Self {
            chunk: usize_of(word >> 8),
            slot: usize_of(word & 0xFF),
        }
    }
}

/// A piece: at least one item and at most [`WIDTH`].
#[derive(Debug)]
struct Chunk<T> {
    items: Vec<T>,
    /// What [`Chunks::largest`] remembers of it.
    note: AtomicU64,
    /// The same of its group; [`UNKNOWN`] unless the piece is its group's first.
    group_note: AtomicU64,
    /// What [`Chunks::iter_marked`] remembers of it.
    marked: AtomicU64,
}

/// No note.
const UNKNOWN: u64 = u64::MAX;

/// The sequence.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Chunk<T>>,
    spare: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            spare: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Chunks<T> {
    /// Items.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All items in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.items.iter())
    }

    /// The items that `is_marked` is true of, always the same function, in order. Pieces without one are
    /// remembered until they change.
    pub(super) fn iter_marked(
        &self,
        is_marked: impl Fn(&T) -> bool + Copy,
    ) -> impl Iterator<Item = &T> {
        let has_any = move |chunk: &&Chunk<T>| {
            recall(&chunk.marked, || chunk.items.iter().any(is_marked).into()) != 0
        };
        let chunks = self.chunks.iter().filter(has_any);
        chunks.flat_map(move |chunk| chunk.items.iter().filter(move |item| is_marked(item)))
    }

    /// The items from a place on.
    pub(super) fn iter_from(&self, pos: Pos) -> impl Iterator<Item = &T> {
        let (first, rest) = match self.chunks.get(pos.chunk..) {
            Some([first, rest @ ..]) => (first.items.get(pos.slot..).unwrap_or_default(), rest),
            _ => Default::default(),
        };
        first
            .iter()
            .chain(rest.iter().flat_map(|chunk| chunk.items.iter()))
    }

    /// The first item for which `before` isn't true any more; those for which it is come first.
    pub(super) fn partition_point(&self, before: impl Fn(&T) -> bool) -> Pos {
        let all_before = |chunk: &Chunk<T>| chunk.items.last().is_some_and(&before);
        let chunk = self.chunks.partition_point(all_before);
        let found = self.chunks.get(chunk);
        let slot = found.map_or(0, |chunk| chunk.items.partition_point(&before));
        Pos { chunk, slot }
    }

    /// The item at a place.
    pub(super) fn get(&self, pos: Pos) -> Option<&T> {
        self.chunks.get(pos.chunk)?.items.get(pos.slot)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, pos: Pos) -> Option<&mut T> {
        self.forget(pos.chunk);
        self.chunks.get_mut(pos.chunk)?.items.get_mut(pos.slot)
    }

    /// The place before, if there is one.
    pub(super) fn before(&self, pos: Pos) -> Option<Pos> {
        if let Some(slot) = pos.slot.checked_sub(1) {
            return Some(Pos { slot, ..pos });
        }
        let chunk = pos.chunk.checked_sub(1)?;
        let slot = self.chunks.get(chunk)?.items.len().checked_sub(1)?;
        Some(Pos { chunk, slot })
    }

    /// The place after that of an item.
    pub(super) fn after(&self, pos: Pos) -> Pos {
        let len = self.chunks.get(pos.chunk).map_or(0, |c| c.items.len());
        if pos.slot + 1 < len {
            Pos {
                slot: pos.slot + 1,
                ..pos
            }
        } else {
            Pos {
                chunk: pos.chunk + 1,
                slot: 0,
            }
        }
    }

    /// Sees to it that the next `count` insertions, wherever, find memory.
    pub(super) fn reserve(&mut self, count: usize) -> Result<(), NoMemory> {
        self.chunks.try_reserve(count).map_err(|_| NoMemory)?;
        self.spare.try_reserve(count).map_err(|_| NoMemory)?;
        while self.spare.len() < count {
            let mut items = Vec::new();
            items.try_reserve_exact(WIDTH).map_err(|_| NoMemory)?;
            self.spare.push(items);
        }
        Ok(())
    }

    /// The same for an insertion at each of two places.
    pub(super) fn reserve_for(
        &mut self,
        one: Option<Pos>,
        other: Option<Pos>,
    ) -> Result<(), NoMemory> {
        let same = matches!((one, other), (Some(a), Some(b)) if a.chunk == b.chunk);
        let more = if same { 2 } else { 1 };
        let room = |at: usize| {
            let chunk = self.chunks.get(at);
            chunk.is_some_and(|chunk| chunk.items.len() + more <= WIDTH)
        };
        // A place between two pieces belongs to either.
        let is_full = |pos: &Pos| {
            !(room(pos.chunk) || (pos.slot == 0 && pos.chunk > 0 && room(pos.chunk - 1)))
        };
        match [one, other].into_iter().flatten().filter(is_full).count() {
            0 => Ok(()),
            full => self.reserve(full),
        }
    }

    /// Puts an item before the one at a place; where it is then. Memory was reserved: without that
    /// the item is lost, and nothing comes back.
    pub(super) fn insert(&mut self, pos: Pos, item: T) -> Option<Pos> {
        let mut pos = pos;
        let has_room = |chunk: Option<&Chunk<T>>| chunk.is_some_and(|c| c.items.len() < WIDTH);
        if !has_room(self.chunks.get(pos.chunk)) {
            let before = pos.chunk.checked_sub(1);
            match before.filter(|at| pos.slot == 0 && has_room(self.chunks.get(*at))) {
                Some(chunk) => {
                    let slot = self.chunks.get(chunk)?.items.len();
                    pos = Pos { chunk, slot };
                }
                None => pos = self.make_room(pos)?,
            }
        }
        self.chunks.get_mut(pos.chunk)?.items.insert(pos.slot, item);
        self.len += 1;
        self.forget(pos.chunk);
        Some(pos)
    }

    /// Splits the full piece of a place, or adds one at an end of it; the place in the result.
    fn make_room(&mut self, pos: Pos) -> Option<Pos> {
        let mut items = self.spare.pop()?;
        let (chunk, result) = match self.chunks.get_mut(pos.chunk) {
            // In order, upwards or downwards: pieces stay full.
            None => (pos.chunk, pos),
            Some(_) if pos.slot == 0 => (pos.chunk, pos),
            Some(full) if pos.slot == full.items.len() => {
                let chunk = pos.chunk + 1;
                (chunk, Pos { chunk, slot: 0 })
            }
            Some(full) => {
                let half = full.items.len() / 2;
                items.extend(full.items.drain(half..));
                let result = match pos.slot.checked_sub(half) {
                    Some(slot) if slot > 0 => Pos {
                        chunk: pos.chunk + 1,
                        slot,
                    },
                    _ => pos,
                };
                (pos.chunk + 1, result)
            }
        };
        let inserted = Chunk {
            items,
            note: AtomicU64::new(UNKNOWN),
            group_note: AtomicU64::new(UNKNOWN),
            marked: AtomicU64::new(UNKNOWN),
        };
        self.chunks.insert(chunk, inserted);
        self.forget(chunk);
        self.forget_groups(chunk);
        Some(result)
    }

    /// Takes the item at a place out; the place holds the next one then, or is that one's.
    pub(super) fn remove(&mut self, pos: Pos) -> Option<T> {
        let items = &mut self.chunks.get_mut(pos.chunk)?.items;
        if pos.slot >= items.len() {
            return None;
        }
        let item = items.remove(pos.slot);
        self.len -= 1;
        self.forget(pos.chunk);
        Some(item)
    }

    /// Makes up for removals in the pieces from one place to another: none is empty or much too small
    /// afterwards. Places are other ones then.
    pub(super) fn tidy_between(&mut self, from: Pos, to: Pos) {
        let first = from.chunk.saturating_sub(1);
        for chunk in (first..=to.chunk.min(self.chunks.len())).rev() {
            self.tidy_one(chunk);
        }
    }

    fn tidy_one(&mut self, chunk: usize) {
        let len = |at: usize| self.chunks.get(at).map(|chunk| chunk.items.len());
        match (len(chunk), len(chunk + 1)) {
            (Some(0), _) => {
                self.chunks.remove(chunk);
                self.forget_groups(chunk);
            }
            (Some(own), Some(next)) if own.min(next) < FEW && own + next <= WIDTH => {
                let next = self.chunks.remove(chunk + 1);
                self.forget_groups(chunk + 1);
                if let Some(own) = self.chunks.get_mut(chunk) {
                    own.items.extend(next.items);
                }
            }
            _ => return,
        }
        self.forget(chunk);
    }

    /// Gives up what was reserved and not used, but for one piece.
    pub(super) fn release(&mut self) {
        self.spare.truncate(1);
    }

    /// Going down from a place that is its piece's last, or its group's: the first place of the group or of the
    /// piece, if no two neighbours in there are `least` or more apart by `gap`.
    pub(super) fn skip(&self, pos: Pos, least: u64, gap: &impl Fn(&T, &T) -> u64) -> Option<Pos> {
        let chunk = pos.chunk;
        if self.chunks.get(chunk)?.items.len() > pos.slot + 1 {
            return None;
        }
        let is_last = chunk % GROUP == GROUP - 1 || chunk + 1 == self.chunks.len();
        let first = chunk - chunk % GROUP;
        if is_last && self.largest_of_group(first, gap) < least {
            return Some(Pos {
                chunk: first,
                slot: 0,
            });
        }
        (self.largest(chunk, gap) < least).then_some(Pos { chunk, slot: 0 })
    }

    /// The largest `gap` between two neighbours in a piece.
    fn largest(&self, chunk: usize, gap: &impl Fn(&T, &T) -> u64) -> u64 {
        let Some(chunk) = self.chunks.get(chunk) else {
            return 0;
        };
        recall(&chunk.note, || {
            let pairs = chunk.items.windows(2).map(|pair| match pair {
                [low, high] => gap(low, high),
                _ => 0,
            });
            pairs.max().unwrap_or(0)
        })
    }

    /// The same in a group, between its pieces too.
    fn largest_of_group(&self, first: usize, gap: &impl Fn(&T, &T) -> u64) -> u64 {
        let members = first..self.chunks.len().min(first + GROUP);
        let Some([leader, ..]) = self.chunks.get(members.clone()) else {
            return 0;
        };
        recall(&leader.group_note, || {
            let ends = |at: usize| {
                let low = self.chunks.get(at.checked_sub(1)?)?.items.last()?;
                Some(gap(low, self.chunks.get(at)?.items.first()?))
            };
            let between = members.clone().skip(1).filter_map(ends);
            let within = members.clone().map(|at| self.largest(at, gap));
            between.chain(within).max().unwrap_or(0)
        })
    }

    fn forget(&mut self, chunk: usize) {
        if let Some(chunk) = self.chunks.get_mut(chunk) {
            *chunk.note.get_mut() = UNKNOWN;
            *chunk.marked.get_mut() = UNKNOWN;
        }
        if let Some(leader) = self.chunks.get_mut(chunk - chunk % GROUP) {
            *leader.group_note.get_mut() = UNKNOWN;
        }
    }

    /// A piece came to or left this place: the groups from here on are others. Those that were first are one place
    /// further now, or one before.
    fn forget_groups(&mut self, chunk: usize) {
        let first = chunk - chunk % GROUP;
        for leader in (first..=self.chunks.len()).step_by(GROUP) {
            for chunk in self
                .chunks
                .iter_mut()
                .skip(leader.saturating_sub(1))
                .take(3)
            {
                *chunk.group_note.get_mut() = UNKNOWN;
            }
        }
    }
}

/// What `note` says, or what is found out, which it says from then on.
fn recall(note: &AtomicU64, find_out: impl FnOnce() -> u64) -> u64 {
    let known = note.load(Ordering::Relaxed);
    if known != UNKNOWN {
        return known;
    }
    let found = find_out();
    note.store(found, Ordering::Relaxed);
    found
}
