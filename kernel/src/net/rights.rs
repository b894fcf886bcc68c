//! [`Rights`]: open files on their way in a message (`SCM_RIGHTS`).
//!
//! A socket that is on its way may have on its way, in its own queue, the message it is in: then
//! nobody can ever receive either. [`collect`] finds such rings: a socket all of whose references
//! are messages, and that can't be reached through the queue of one that isn't so, is garbage.
//!
//! Files of messages that nobody received are closed one after the other, never one within the
//! other: a chain of any length needs no more stack than one.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use kiln_core::errno::Errno;

use super::socket::Socket;
use super::unix::UnixSock;
use crate::fs::File;
use crate::fs::memory::{try_box, try_push};
use crate::sync::SpinLock;

/// Files on their way.
pub(crate) struct Rights {
    files: Vec<Arc<File>>,
    next: Option<Box<Self>>,
}

/// Files on their way, of all messages.
static FILES: AtomicUsize = AtomicUsize::new(0);
/// Sockets that are on their way, each as often as it is.
static FLYING: SpinLock<Vec<Flying>> = SpinLock::new(Vec::new());
/// Changes with every departure and arrival of a socket.
static EPOCH: AtomicU64 = AtomicU64::new(0);

struct Flying {
    file: Weak<File>,
    socket: Weak<UnixSock>,
    count: usize,
}

/// How many files are on their way.
pub(crate) fn in_flight() -> usize {
    FILES.load(Ordering::Relaxed)
}

fn unix_of(file: &File) -> Option<Arc<UnixSock>> {
    let socket = file.ops_as::<Socket>()?;
    socket.unix()
}

impl Rights {
    /// Sends these files off.
    pub(super) fn new(files: Vec<Arc<File>>) -> Result<Box<Self>, Errno> {
        let mut rights = try_box(Self {
            files: Vec::new(),
            next: None,
        })?;
        for file in &files {
            if let Some(socket) = unix_of(file) {
                depart(file, &socket)?;
            }
        }
        FILES.fetch_add(files.len(), Ordering::Relaxed);
        rights.files = files;
        Ok(rights)
    }

    /// The files, for a look that leaves them on their way.
    pub(super) fn copy(&self) -> Result<Vec<Arc<File>>, Errno> {
        let mut copy = Vec::new();
        for file in &self.files {
            try_push(&mut copy, Arc::clone(file))?;
        }
        Ok(copy)
    }

    /// They have arrived.
    pub(super) fn land(mut self) -> Vec<Arc<File>> {
        let files = core::mem::take(&mut self.files);
        FILES.fetch_sub(files.len(), Ordering::Relaxed);
        for file in &files {
            arrive(file);
        }
        files
    }

    fn sockets(&self) -> impl Iterator<Item = Arc<UnixSock>> {
        self.files.iter().filter_map(|file| unix_of(file))
    }
}

fn depart(file: &Arc<File>, socket: &Arc<UnixSock>) -> Result<(), Errno> {
    let mut flying = FLYING.lock();
    EPOCH.fetch_add(1, Ordering::SeqCst);
    let known = flying
        .iter_mut()
        .find(|one| core::ptr::eq(one.file.as_ptr(), Arc::as_ptr(file)));
    match known {
        Some(one) => one.count += 1,
        None => try_push(
            &mut flying,
            Flying {
                file: Arc::downgrade(file),
                socket: Arc::downgrade(socket),
                count: 1,
            },
        )?,
    }
    Ok(())
}

fn arrive(file: &Arc<File>) {
    if unix_of(file).is_none() {
        return;
    }
    let mut flying = FLYING.lock();
    EPOCH.fetch_add(1, Ordering::SeqCst);
    let at = flying
        .iter()
        .position(|one| core::ptr::eq(one.file.as_ptr(), Arc::as_ptr(file)));
    let Some(at) = at else { return };
    let gone = match flying.get_mut(at) {
        Some(one) if one.count > 1 => {
            one.count -= 1;
            None
        }
        _ => Some(flying.swap_remove(at)),
    };
    drop(flying);
    drop(gone);
}

/// Files of messages that nobody received.
static GRAVE: SpinLock<Option<Box<Rights>>> = SpinLock::new(None);
static DIGGING: AtomicBool = AtomicBool::new(false);

/// Closes files that nobody received: at once, or after those that are being closed.
pub(super) fn bury(mut rights: Box<Rights>) {
    {
        let mut grave = GRAVE.lock();
        rights.next = grave.take();
        *grave = Some(rights);
    }
    while !DIGGING.swap(true, Ordering::AcqRel) {
        loop {
            let first = {
                let mut grave = GRAVE.lock();
                let mut first = grave.take();
                if let Some(first) = &mut first {
                    *grave = first.next.take();
                }
                first
            };
            let Some(first) = first else { break };
            drop(first.land());
        }
        DIGGING.store(false, Ordering::Release);
        if GRAVE.lock().is_none() {
            return;
        }
    }
}

/// A socket that may be garbage.
struct Candidate {
    socket: Arc<UnixSock>,
    reachable: bool,
}

/// Finds sockets that only messages refer to which nobody can receive, and drops those messages.
/// Whoever comes while that is going on, from within too, leaves it to who is at it.
pub(super) fn collect() {
    static BUSY: AtomicBool = AtomicBool::new(false);
    static AGAIN: AtomicBool = AtomicBool::new(false);
    let nothing = FLYING.lock().is_empty();
    if nothing {
        return;
    }
    AGAIN.store(true, Ordering::SeqCst);
    while AGAIN.load(Ordering::SeqCst) && !BUSY.swap(true, Ordering::SeqCst) {
        AGAIN.store(false, Ordering::SeqCst);
        sweep();
        BUSY.store(false, Ordering::SeqCst);
    }
}

fn sweep() {
    let epoch = EPOCH.load(Ordering::SeqCst);
    let Ok(mut candidates) = candidates() else {
        return;
    };
    mark(&mut candidates);
    if EPOCH.load(Ordering::SeqCst) != epoch {
        // Somebody sent or received meanwhile: what was seen may not be so any more.
        return;
    }
    for candidate in candidates.iter().filter(|one| !one.reachable) {
        candidate.socket.drop_messages();
    }
}

/// The sockets on their way; reachable are those that somebody else refers to.
fn candidates() -> Result<Vec<Candidate>, Errno> {
    let mut list = Vec::new();
    let wanted = FLYING.lock().len();
    list.try_reserve(wanted).map_err(|_| Errno::ENOMEM)?;
    let mut held: Vec<Arc<File>> = Vec::new();
    held.try_reserve(wanted).map_err(|_| Errno::ENOMEM)?;
    let flying = FLYING.lock();
    if flying.len() > wanted {
        return Err(Errno::EAGAIN);
    }
    for one in flying.iter() {
        let (Some(file), Some(socket)) = (one.file.upgrade(), one.socket.upgrade()) else {
            continue;
        };
        // One of the references is this look's.
        let reachable = Arc::strong_count(&file) - 1 != one.count;
        list.push(Candidate { socket, reachable });
        held.push(file);
    }
    drop(flying);
    drop(held);
    Ok(list)
}

/// Marks what can be reached through the queues of what is reachable.
fn mark(candidates: &mut [Candidate]) {
    // A socket that isn't on its way is somebody's: what is in its queue can be received. So begin
    // with everybody reachable who isn't in a queue of a candidate, and go on from there.
    let mut inside = Vec::new();
    for one in candidates.iter() {
        one.socket.each_rights(&mut |rights| {
            for socket in rights.sockets() {
                // Out of memory: take nothing for garbage that can't be looked through.
                let _ = try_push(
                    &mut inside,
                    (Arc::as_ptr(&one.socket), Arc::as_ptr(&socket)),
                );
            }
        });
    }
    let counted = |socket: *const UnixSock| inside.iter().filter(|(_, to)| *to == socket).count();
    for one in candidates.iter_mut() {
        let count = flights_of(&one.socket);
        one.reachable |= counted(Arc::as_ptr(&one.socket)) < count;
    }
    loop {
        let mut changed = false;
        for at in 0..candidates.len() {
            let Some(one) = candidates.get(at) else { break };
            if one.reachable {
                continue;
            }
            let own = Arc::as_ptr(&one.socket);
            let reached = inside.iter().any(|(from, to)| {
                *to == own
                    && candidates
                        .iter()
                        .any(|other| other.reachable && Arc::as_ptr(&other.socket) == *from)
            });
            if reached && let Some(one) = candidates.get_mut(at) {
                one.reachable = true;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

fn flights_of(socket: &Arc<UnixSock>) -> usize {
    let flying = FLYING.lock();
    let own = Arc::as_ptr(socket);
    let of = flying
        .iter()
        .filter(|one| core::ptr::eq(one.socket.as_ptr(), own));
    of.map(|one| one.count).sum()
}
