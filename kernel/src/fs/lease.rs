//! Leases (`F_SETLEASE` of fcntl(2)): the holder of one is told by a signal when another opens or
//! cuts the file in a way that conflicts, and has some time to give it up before it is taken away.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;

use super::fasync;
use super::file::File;
use super::inode::Inode;
use super::memory::{try_arc, try_push};
use crate::arch::time::now_ns;
use crate::sched::{Mode, WaitQueue, Wake};
use crate::sync::SpinLock;

/// `/proc/sys/fs/lease-break-time`: seconds that a holder has.
pub(crate) static BREAK_TIME: AtomicU64 = AtomicU64::new(45);

/// Somebody ever had a lease.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// What a lease keeps others from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Writing (`F_RDLCK`).
    Read,
    /// Reading too (`F_WRLCK`).
    Write,
}

/// One open file's lease.
struct Lease {
    file: Weak<File>,
    fd: i32,
    kind: Kind,
    /// It is to become this, or to end, by that time.
    breaking: Option<(Option<Kind>, u64)>,
}

impl Lease {
    fn is_of(&self, file: &File) -> bool {
        core::ptr::eq(self.file.as_ptr(), file)
    }

    fn conflicts(&self, writes: bool) -> bool {
        writes || self.kind == Kind::Write
    }
}

/// The leases of an inode.
#[derive(Default)]
pub(crate) struct Leases {
    list: SpinLock<Vec<Lease>>,
    changed: WaitQueue,
}

impl Leases {
    pub(super) fn new() -> Result<Arc<Self>, Errno> {
        try_arc(Self::default())
    }

    /// What a file holds, or is about to hold (`F_GETLEASE`).
    fn held_by(&self, file: &File) -> Option<Kind> {
        let list = self.list.lock();
        let lease = list.iter().find(|lease| lease.is_of(file))?;
        match lease.breaking {
            Some((target, _)) => target,
            None => Some(lease.kind),
        }
    }

    fn remove(&self, file: &File) -> bool {
        let removed = {
            let mut list = self.list.lock();
            let at = list.iter().position(|lease| lease.is_of(file));
            at.map(|at| list.swap_remove(at))
        };
        if removed.is_some() {
            self.changed.wake_all();
        }
        removed.is_some()
    }

    fn add(&self, file: &Arc<File>, fd: i32, kind: Kind) -> Result<bool, Errno> {
        let mut list = self.list.lock();
        let own = list.iter().position(|lease| lease.is_of(file));
        let other = |lease: &Lease| {
            let ends = matches!(lease.breaking, Some((None, _)));
            !lease.is_of(file) && (kind == Kind::Write || ends)
        };
        if list.iter().any(other) {
            return Err(Errno::EAGAIN);
        }
        if let Some(lease) = own.and_then(|at| list.get_mut(at)) {
            lease.kind = kind;
            lease.breaking = None;
            return Ok(false);
        }
        let lease = Lease {
            file: Arc::downgrade(file),
            fd,
            kind,
            breaking: None,
        };
        try_push(&mut list, lease)?;
        Ok(true)
    }

    /// Tells the holders that stand in the way, each once; the time until which the first must have
    /// gone, `None` when none stands there.
    fn begin_break(&self, writes: bool, told: &mut dyn FnMut(Arc<File>, i32)) -> Option<u64> {
        let until = now_ns().saturating_add(BREAK_TIME.load(Ordering::Relaxed) * 1_000_000_000);
        let target = (!writes).then_some(Kind::Read);
        loop {
            let next = {
                let mut list = self.list.lock();
                let fresh = list.iter_mut().find(|lease| {
                    let known = match lease.breaking {
                        None => false,
                        Some((None, _)) => true,
                        Some((Some(_), _)) => !writes,
                    };
                    lease.conflicts(writes) && !known
                });
                match fresh {
                    Some(lease) => {
                        lease.breaking = Some((target, until));
                        Some((lease.file.upgrade(), lease.fd))
                    }
                    None => None,
                }
            };
            match next {
                Some((Some(file), fd)) => told(file, fd),
                Some((None, _)) => {}
                None => break,
            }
        }
        let list = self.list.lock();
        let in_the_way = list.iter().filter(|lease| lease.conflicts(writes));
        in_the_way
            .filter_map(|lease| lease.breaking.map(|(_, until)| until))
            .min()
    }

    /// Takes away, or makes less, what should have been given up by now.
    fn expire(&self) {
        let now = now_ns();
        let mut list = self.list.lock();
        list.retain_mut(|lease| match lease.breaking {
            Some((target, until)) if until <= now => match target {
                Some(kind) => {
                    lease.kind = kind;
                    lease.breaking = None;
                    true
                }
                None => false,
            },
            _ => lease.file.strong_count() > 0,
        });
    }
}

/// `F_SETLEASE`: a lease of this kind, or none.
pub(crate) fn set(file: &Arc<File>, fd: i32, kind: Option<Kind>) -> Result<(), Errno> {
    if file.inode.kind() != FileType::Regular {
        return Err(Errno::EINVAL);
    }
    let Some(kind) = kind else {
        let gone = file
            .inode
            .existing_leases()
            .is_some_and(|leases| leases.remove(file));
        return gone.then_some(()).ok_or(Errno::EAGAIN);
    };
    check_openings(file, kind)?;
    ACTIVE.store(true, Ordering::Release);
    let leases = file.inode.leases()?;
    if leases.add(file, fd, kind)? {
        fasync::own(file);
        // An opening that wasn't seen before the lease stood there.
        if check_openings(file, kind).is_err() {
            leases.remove(file);
            return Err(Errno::EAGAIN);
        }
    } else {
        leases.changed.wake_all();
    }
    Ok(())
}

/// EAGAIN when the file is open in a way that conflicts.
fn check_openings(file: &File, kind: Kind) -> Result<(), Errno> {
    let (readers, writers) = file.inode.openings();
    let own = |is: bool| i32::from(is);
    let free = match kind {
        Kind::Read => writers <= 0,
        Kind::Write => {
            writers.max(0) == own(file.writable())
                && readers == own(file.readable() && !file.writable())
        }
    };
    free.then_some(()).ok_or(Errno::EAGAIN)
}

/// `F_GETLEASE`.
pub(crate) fn get(file: &File) -> u32 {
    let leases = file.inode.existing_leases();
    match leases.and_then(|leases| leases.held_by(file)) {
        Some(Kind::Read) => abi::F_RDLCK,
        Some(Kind::Write) => abi::F_WRLCK,
        None => abi::F_UNLCK,
    }
}

/// The last reference to an open file goes.
pub(super) fn release(file: &File) {
    if ACTIVE.load(Ordering::Relaxed)
        && let Some(leases) = file.inode.existing_leases()
    {
        leases.remove(file);
    }
}

/// Somebody opens the file, or cuts it (`writes`): waits until no lease is in the way.
#[inline]
pub(super) fn break_for(inode: &Inode, writes: bool, nonblocking: bool) -> Result<(), Errno> {
    if !ACTIVE.load(Ordering::Acquire) {
        return Ok(());
    }
    match inode.existing_leases() {
        Some(leases) => break_leases(&leases, writes, nonblocking),
        None => Ok(()),
    }
}

#[cold]
fn break_leases(leases: &Leases, writes: bool, nonblocking: bool) -> Result<(), Errno> {
    leases.expire();
    let mut tell = |file: Arc<File>, fd| fasync::send(&file, fd, abi::POLL_MSG);
    while let Some(until) = leases.begin_break(writes, &mut tell) {
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        let free = || {
            let list = leases.list.lock();
            let in_the_way = list.iter().any(|lease| lease.conflicts(writes));
            (!in_the_way).then_some(())
        };
        match leases.changed.wait(Mode::Interruptible, Some(until), free) {
            Ok(()) => return Ok(()),
            Err(Wake::Timeout) => leases.expire(),
            Err(Wake::Signal) => return Err(Errno::ERESTARTSYS),
        }
    }
    Ok(())
}
