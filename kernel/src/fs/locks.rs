//! [`Locks`]: an inode's advisory locks, waiting for them, and what `/proc` says of them. The rules
//! are in `kiln_core::fs::locks`.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use kiln_core::errno::Errno;
use kiln_core::fs::attr::DeviceNumber;
use kiln_core::fs::locks::{FileLocks, Kind, OFFSET_MAX, Range, Record, RecordLocks, Waits};

use super::fdtable::FdTable;
use super::inode::Inode;
use super::memory::{try_arc, try_push};
use super::text::Text;
use crate::sched::{Mode, WaitQueue};
use crate::sync::SpinLock;

/// The advisory locks of an inode.
pub(crate) struct Locks {
    /// The inode's file system and number.
    place: (DeviceNumber, u64),
    records: SpinLock<RecordLocks>,
    files: SpinLock<FileLocks>,
    released: WaitQueue,
}

/// Which process waits for which to release a record lock.
static WAITS: SpinLock<Waits> = SpinLock::new(Waits::new());

/// Those of every inode that ever had any.
static KNOWN: SpinLock<Vec<Weak<Locks>>> = SpinLock::new(Vec::new());

/// Every byte.
const ALL: Range = Range {
    start: 0,
    end: OFFSET_MAX,
};

impl Locks {
    /// An inode's, none held.
    pub(super) fn new(inode: &Inode) -> Result<Arc<Self>, Errno> {
        let fresh = try_arc(Self {
            place: (inode.sb().dev(), inode.ino()),
            records: SpinLock::new(RecordLocks::default()),
            files: SpinLock::new(FileLocks::default()),
            released: WaitQueue::new(),
        })?;
        let mut known = KNOWN.lock();
        if known.len() == known.capacity() {
            known.retain(|locks| locks.strong_count() != 0);
        }
        try_push(&mut known, Arc::downgrade(&fresh))?;
        Ok(fresh)
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
    pub(crate) fn lock_file(
        &self,
        file: u64,
        pid: i32,
        kind: Kind,
        wait: bool,
    ) -> Result<(), Errno> {
        let attempt = || match self.files.lock().try_lock(file, pid, kind) {
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

    /// Writes a line for each lock, counting on; when told, for those set through one open file.
    pub(super) fn write(
        &self,
        through: Option<u64>,
        count: &mut u32,
        out: &mut Text,
    ) -> Result<(), Errno> {
        let told = |file| through.is_none_or(|one| one == file);
        let mut line = |what, kind, pid, range| {
            *count += 1;
            let label = if through.is_some() { "lock:\t" } else { "" };
            out.put(format_args!("{label}{count}: {what} ADVISORY  "))?;
            self.write_line(kind, pid, range, out)
        };
        let files = self.files.lock();
        let (holders, kind) = files.all();
        for held in holders.iter().filter(|held| told(held.owner)) {
            line("FLOCK ", kind, held.pid, ALL)?;
        }
        drop(files);
        for held in self.records.lock().iter().filter(|held| told(held.file)) {
            let what = if held.pid < 0 { "OFDLCK" } else { "POSIX " };
            line(what, held.kind, held.pid, held.range)?;
        }
        Ok(())
    }

    fn write_line(&self, kind: Kind, pid: i32, range: Range, out: &mut Text) -> Result<(), Errno> {
        let kind = if kind == Kind::Write { "WRITE" } else { "READ" };
        let (DeviceNumber { major, minor }, ino) = self.place;
        out.put(format_args!(
            "{kind} {pid} {major:02x}:{minor:02x}:{ino} {} ",
            range.start
        ))?;
        if range.end == OFFSET_MAX {
            return out.bytes(b"EOF\n");
        }
        out.put(format_args!("{}\n", range.end))
    }
}

/// `/proc/locks`. Who waits isn't in it, nor are leases.
pub(super) fn write_all(out: &mut Text) -> Result<(), Errno> {
    let (mut at, mut count) = (0, 0);
    loop {
        let Some(locks) = KNOWN.lock().get(at).cloned() else {
            return Ok(());
        };
        if let Some(locks) = locks.upgrade() {
            locks.write(None, &mut count, out)?;
        }
        at += 1;
    }
}
