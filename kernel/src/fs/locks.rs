//! [`Locks`]: an inode's advisory locks, and waiting for them. The rules are in
//! `kiln_core::fs::locks`.

use kiln_core::errno::Errno;
use kiln_core::fs::locks::{FileLocks, Kind, OFFSET_MAX, Range, Record, RecordLocks, Waits};

use super::fdtable::FdTable;
use crate::sched::{Mode, WaitQueue};
use crate::sync::SpinLock;

/// The advisory locks of an inode.
pub(crate) struct Locks {
    records: SpinLock<RecordLocks>,
    files: SpinLock<FileLocks>,
    released: WaitQueue,
}

/// Which process waits for which to release a record lock.
static WAITS: SpinLock<Waits> = SpinLock::new(Waits::new());

/// Every byte.
const ALL: Range = Range {
    start: 0,
    end: OFFSET_MAX,
};

impl Locks {
    /// None held.
    pub(crate) fn new() -> Self {
        Self {
            records: SpinLock::new(RecordLocks::default()),
            files: SpinLock::new(FileLocks::default()),
            released: WaitQueue::new(),
        }
    }

    /// A lock of another that conflicts with `wanted`.
    pub(crate) fn conflict(&self, wanted: &Record) -> Option<Record> {
        self.records.lock().conflict(wanted).copied()
    }

    /// Sets a record lock; `wait` until it can be, or EAGAIN. EDEADLK when processes would wait
    /// for each other; locks of open files aren't looked at for that, as on Linux.
    pub(crate) fn set(&self, wanted: Record, wait: bool) -> Result<(), Errno> {
        let (own, mut edge) = (wanted.owner, None);
        let attempt = || {
            let mut records = self.records.lock();
            let Some(holder) = records.conflict(&wanted).map(|record| record.owner) else {
                return Some(records.set(wanted));
            };
            drop(records);
            if !wait || !FdTable::is_lock_owner(own) {
                return None;
            }
            let mut waits = WAITS.lock();
            waits.end(edge.take());
            if let Err(errno) = waits.begin(own, holder) {
                return Some(Err(errno));
            }
            edge = Some((own, holder));
            None
        };
        let result = self.wait_for(attempt, wait);
        WAITS.lock().end(edge);
        result
    }

    /// Takes the owner's record locks off a range.
    pub(crate) fn clear(&self, owner: u64, range: Range) -> Result<(), Errno> {
        self.records.lock().clear(owner, range)?;
        self.released.wake_all();
        Ok(())
    }

    /// Takes all of the owner's record locks away, as closing any descriptor of the file does.
    pub(crate) fn release_owner(&self, owner: u64) {
        let held = self.records.lock().holds(owner);
        if held && self.clear(owner, ALL).is_err() {
            // Nothing is split by clearing everything, so this can't fail for want of memory.
            debug_assert!(false, "clearing all");
        }
    }

    /// Takes or converts a `flock` lock; `wait` until it can be, or EAGAIN (EWOULDBLOCK).
    pub(crate) fn lock_file(&self, file: u64, kind: Kind, wait: bool) -> Result<(), Errno> {
        let attempt = || match self.files.lock().try_lock(file, kind) {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        };
        let result = self.wait_for(attempt, wait);
        // Converting may have given a lock up, whether or not the new one was got.
        self.released.wake_all();
        result
    }

    /// Releases a `flock` lock.
    pub(crate) fn unlock_file(&self, file: u64) {
        if self.files.lock().unlock(file) {
            self.released.wake_all();
        }
    }

    /// An open file goes: its locks do too.
    pub(crate) fn release_file(&self, file: u64) {
        self.unlock_file(file);
        self.release_owner(file);
    }

    fn wait_for(
        &self,
        mut attempt: impl FnMut() -> Option<Result<(), Errno>>,
        wait: bool,
    ) -> Result<(), Errno> {
        if !wait {
            return attempt().unwrap_or(Err(Errno::EAGAIN));
        }
        match self.released.wait(Mode::Interruptible, None, attempt) {
            Ok(result) => result,
            Err(_) => Err(Errno::ERESTARTSYS),
        }
    }
}
