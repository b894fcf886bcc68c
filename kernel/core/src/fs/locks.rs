//! Advisory locks: record locks of fcntl(2) in [`RecordLocks`], whole files' of flock(2) in
//! [`FileLocks`]. Owners are opaque numbers: the table of descriptors (POSIX) or the open file
//! (OFD, flock). Waiting and waking are the kernel's.

use crate::errno::Errno;
use alloc::vec::Vec;

/// Last byte a range may have (`OFFSET_MAX`).
pub const OFFSET_MAX: u64 = i64::MAX as u64;

/// Whether a lock is shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Shared.
    Read,
    /// Exclusive.
    Write,
}

/// Bytes `start..=end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// Last byte; [`OFFSET_MAX`] for what reaches to the end, however far it moves.
    pub end: u64,
}

impl Range {
    /// The range that `l_start` and `l_len` mean from `base`.
    ///
    /// # Errors
    /// EINVAL when it begins before the file, EOVERFLOW when it ends too far out.
    pub fn new(base: u64, start: i64, len: i64) -> Result<Self, Errno> {
        let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
        let first = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
        let (first, last) = match len {
            0 => (first, i64::MAX),
            1.. => {
                let last = first.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?;
                (first, last)
            }
            _ => (first.checked_add(len).ok_or(Errno::EINVAL)?, first - 1),
        };
        match (u64::try_from(first), u64::try_from(last)) {
            (Ok(start), Ok(end)) => Ok(Self { start, end }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `l_len` for the range: 0 when it reaches to the end.
    #[must_use]
    pub const fn len(self) -> u64 {
        if self.end == OFFSET_MAX {
            0
        } else {
            self.end - self.start + 1
        }
    }

    /// Never: a range has a byte at least.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    const fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// A record lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Whose.
    pub owner: u64,
    /// The open file that it was set through; `/proc` tells it there.
    pub file: u64,
    /// What `F_GETLK` tells of it; -1 for OFD locks.
    pub pid: i32,
    /// Shared or exclusive.
    pub kind: Kind,
    /// Which bytes.
    pub range: Range,
}

/// The record locks of an inode; each owner's in the order of bytes.
#[derive(Default)]
pub struct RecordLocks {
    list: Vec<Record>,
}

impl RecordLocks {
    /// A lock of another that keeps `wanted` from being set.
    #[must_use]
    pub fn conflict(&self, wanted: &Record) -> Option<&Record> {
        self.list
            .iter()
            .filter(|held| held.owner != wanted.owner && held.range.overlaps(wanted.range))
            .filter(|held| held.kind == Kind::Write || wanted.kind == Kind::Write)
            .min_by_key(|held| held.range.start)
    }

    /// Sets a lock that conflicts with none: it replaces the owner's own over its range, and
    /// joins those of its kind that touch it.
    ///
    /// # Errors
    /// ENOLCK when memory is out; the owner's locks stay as they were.
    pub fn set(&mut self, mut lock: Record) -> Result<(), Errno> {
        self.list.try_reserve(3).map_err(|_| Errno::ENOLCK)?;
        let same = |held: &Record| held.owner == lock.owner && held.kind == lock.kind;
        let (mut joined, mut through) = (lock.range, None);
        for held in self.list.iter().filter(|held| same(held)) {
            let touches = held.range.start <= lock.range.end.saturating_add(1)
                && lock.range.start <= held.range.end.saturating_add(1);
            if touches {
                // The first of them grows, as on Linux: it stays that file's.
                through.get_or_insert(held.file);
                joined.start = joined.start.min(held.range.start);
                joined.end = joined.end.max(held.range.end);
            }
        }
        // What is joined is covered by the new lock: it goes together with what is replaced.
        let given = lock.range;
        self.list.retain(|held| {
            !(held.owner == lock.owner
                && held.kind == lock.kind
                && held.range.start >= joined.start
                && held.range.end <= joined.end)
        });
        self.cut(lock.owner, given);
        lock.file = through.unwrap_or(lock.file);
        lock.range = joined;
        self.insert(lock);
        Ok(())
    }

    /// Takes the owner's locks off a range.
    ///
    /// # Errors
    /// ENOLCK when a lock would have to be split and memory is out.
    pub fn clear(&mut self, owner: u64, range: Range) -> Result<(), Errno> {
        self.list.try_reserve(1).map_err(|_| Errno::ENOLCK)?;
        self.cut(owner, range);
        Ok(())
    }

    /// Cuts `range` out of the owner's locks; room for one more entry has been reserved, and as
    /// the owner's locks don't overlap, at most one of them is split.
    fn cut(&mut self, owner: u64, range: Range) {
        let mut behind = None;
        self.list.retain_mut(|held| {
            if held.owner != owner || !held.range.overlaps(range) {
                return true;
            }
            let whole = held.range;
            if whole.end > range.end {
                behind = Some(Record {
                    range: Range {
                        start: range.end + 1,
                        end: whole.end,
                    },
                    ..*held
                });
            }
            held.range.end = range.start.wrapping_sub(1);
            whole.start < range.start
        });
        if let Some(behind) = behind {
            self.insert(behind);
        }
    }

    /// Before the owner's locks that begin later, where room has been reserved.
    fn insert(&mut self, lock: Record) {
        let later = |held: &Record| held.owner == lock.owner && held.range.start > lock.range.start;
        let at = self.list.iter().position(later).unwrap_or(self.list.len());
        self.list.insert(at, lock);
    }

    /// Whether the owner holds any lock.
    #[must_use]
    pub fn holds(&self, owner: u64) -> bool {
        self.list.iter().any(|held| held.owner == owner)
    }

    /// Every lock, for `/proc/locks`.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.list.iter()
    }
}

/// The `flock` locks of an inode: one exclusive or many shared.
#[derive(Default)]
pub struct FileLocks {
    holders: Vec<FileLock>,
    exclusive: bool,
}

/// One of [`FileLocks`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileLock {
    /// The open file.
    pub owner: u64,
    /// Who took it, for `/proc/locks`.
    pub pid: i32,
}

impl FileLocks {
    /// Takes or converts the owner's lock; `false`: another holds one against it, and the owner's
    /// previous lock is gone, as flock(2) warns.
    ///
    /// # Errors
    /// ENOLCK when memory is out.
    pub fn try_lock(&mut self, owner: u64, pid: i32, kind: Kind) -> Result<bool, Errno> {
        self.unlock(owner);
        if !self.holders.is_empty() && (self.exclusive || kind == Kind::Write) {
            return Ok(false);
        }
        self.holders.try_reserve(1).map_err(|_| Errno::ENOLCK)?;
        self.holders.push(FileLock { owner, pid });
        self.exclusive = kind == Kind::Write;
        Ok(true)
    }

    /// Releases the owner's lock; whether there was one.
    pub fn unlock(&mut self, owner: u64) -> bool {
        let before = self.holders.len();
        self.holders.retain(|holder| holder.owner != owner);
        self.holders.len() != before
    }

    /// Every lock, and of which kind they are.
    #[must_use]
    pub fn all(&self) -> (&[FileLock], Kind) {
        let kind = if self.exclusive {
            Kind::Write
        } else {
            Kind::Read
        };
        (&self.holders, kind)
    }
}

/// Who waits for whom to release a record lock, to see processes that would wait for each other.
#[derive(Debug, Default)]
pub struct Waits {
    /// A waiting owner, and the owner of what it waits for.
    edges: Vec<(u64, u64)>,
}

impl Waits {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self { edges: Vec::new() }
    }

    /// `owner` is going to wait for `holder`.
    ///
    /// # Errors
    /// `EDEADLK` when that one waits, by however many others, for `owner`; `ENOMEM`.
    pub fn begin(&mut self, owner: u64, holder: u64) -> Result<(), Errno> {
        // Every round follows one more edge, so there are never more rounds than edges.
        let mut at = holder;
        for _ in 0..=self.edges.len() {
            if at == owner {
                return Err(Errno::EDEADLK);
            }
            match self.edges.iter().find(|(waiting, _)| *waiting == at) {
                Some((_, next)) => at = *next,
                None => break,
            }
        }
        self.edges.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.edges.push((owner, holder));
        Ok(())
    }

    /// A wait that began is over.
    pub fn end(&mut self, edge: Option<(u64, u64)>) {
        let at = self.edges.iter().position(|other| Some(*other) == edge);
        if let Some(at) = at {
            self.edges.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rings_of_waiting_are_seen() {
        let mut waits = Waits::new();
        assert_eq!(waits.begin(1, 2), Ok(()));
        assert_eq!(waits.begin(2, 3), Ok(()));
        assert_eq!(waits.begin(3, 1), Err(Errno::EDEADLK));
        assert_eq!(waits.begin(3, 4), Ok(()));
        waits.end(Some((2, 3)));
        waits.end(None);
        assert_eq!(waits.begin(4, 1), Ok(()));
        assert_eq!(waits.begin(2, 3), Err(Errno::EDEADLK));
        assert_eq!(waits.begin(5, 5), Err(Errno::EDEADLK));
    }

    const BYTES: usize = 24;

    fn record(owner: u64, kind: Kind, start: u64, end: u64) -> Record {
        Record {
            owner,
            file: owner,
            pid: 1,
            kind,
            range: Range { start, end },
        }
    }

    proptest! {
        #[test]
        fn as_a_map_of_bytes(
            steps in prop::collection::vec((0..3u64, 0..3u8, 0..20u64, 0..4u64), 0..120)
        ) {
            let mut locks = RecordLocks::default();
            let mut model = [[None; BYTES]; 3];
            for (owner, what, start, len) in steps {
                let end = start + len;
                let span = start as usize..=end as usize;
                let kind = if what == 0 { Kind::Read } else { Kind::Write };
                if what == 2 {
                    locks.clear(owner, Range { start, end }).unwrap();
                    model[owner as usize][span].fill(None);
                    continue;
                }
                let wanted = record(owner, kind, start, end);
                let clash = (0..3).filter(|other| *other != owner as usize).any(|other| {
                    model[other][span.clone()].iter().any(|held| {
                        held.is_some_and(|held| held == Kind::Write || kind == Kind::Write)
                    })
                });
                prop_assert_eq!(locks.conflict(&wanted).is_some(), clash);
                if !clash {
                    locks.set(wanted).unwrap();
                    model[owner as usize][span].fill(Some(kind));
                }
            }
            let mut got = [[None; BYTES]; 3];
            for held in locks.iter() {
                for byte in held.range.start..=held.range.end {
                    let cell = &mut got[held.owner as usize][byte as usize];
                    prop_assert_eq!(*cell, None, "overlap");
                    *cell = Some(held.kind);
                }
            }
            prop_assert_eq!(got, model);
        }
    }

    #[test]
    fn ranges() {
        let range = |base, start, len| Range::new(base, start, len).map(|r| (r.start, r.end));
        assert_eq!(range(10, 0, 0), Ok((10, OFFSET_MAX)));
        assert_eq!(range(10, -5, 5), Ok((5, 9)));
        assert_eq!(range(10, 0, -5), Ok((5, 9)));
        assert_eq!(range(0, -1, 0), Err(Errno::EINVAL));
        assert_eq!(range(1, i64::MAX, 1), Err(Errno::EOVERFLOW));
    }

    #[test]
    fn touching_locks_join() {
        let mut locks = RecordLocks::default();
        locks.set(record(1, Kind::Read, 0, 4)).unwrap();
        locks.set(record(1, Kind::Read, 5, 9)).unwrap();
        assert_eq!(locks.iter().count(), 1);
        locks.set(record(1, Kind::Write, 3, 6)).unwrap();
        assert_eq!(locks.iter().count(), 3);
    }

    #[test]
    fn flock_converts() {
        let mut locks = FileLocks::default();
        assert_eq!(locks.try_lock(1, 0, Kind::Read), Ok(true));
        assert_eq!(locks.try_lock(2, 0, Kind::Read), Ok(true));
        assert_eq!(locks.try_lock(1, 0, Kind::Write), Ok(false));
        assert!(locks.unlock(2));
        assert_eq!(locks.try_lock(1, 0, Kind::Write), Ok(true));
        assert_eq!(locks.try_lock(2, 0, Kind::Read), Ok(false));
    }
}
