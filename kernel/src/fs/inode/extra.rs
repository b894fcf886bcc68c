//! What few inodes have: advisory locks, watches and notices, leases, a FIFO's pipe; and how many have it open.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kiln_core::errno::Errno;
use kiln_core::fs::acl::Acl;

use super::Inode;
use crate::fs::dnotify::Note;
use crate::fs::inotify::Watch;
use crate::fs::lease::Leases;
use crate::fs::locks::Locks;
use crate::fs::memory::try_push;
use crate::fs::pipe::Pipe;

/// What few inodes have.
#[derive(Default)]
pub(super) struct Extra {
    locks: Option<Arc<Locks>>,
    pipe: Weak<Pipe>,
    watches: Vec<Arc<Watch>>,
    notes: Vec<Arc<Note>>,
    leases: Option<Arc<Leases>>,
    /// The access control list, once it has been asked for.
    pub(super) acl: Option<Arc<Acl>>,
}

/// The item after `last`, or the first.
fn after<T>(all: &[Arc<T>], last: Option<&Arc<T>>) -> Option<Arc<T>> {
    let mut rest = all.iter();
    if let Some(last) = last {
        rest.find(|item| Arc::ptr_eq(item, last))?;
    }
    rest.next().cloned()
}

impl Inode {
    /// Its advisory locks, if it ever had any.
    pub(crate) fn existing_locks(&self) -> Option<Arc<Locks>> {
        self.extra.lock().locks.clone()
    }

    /// Its advisory locks.
    pub(crate) fn locks(&self) -> Result<Arc<Locks>, Errno> {
        if let Some(locks) = self.existing_locks() {
            return Ok(locks);
        }
        let fresh = Locks::new(self)?;
        let mut extra = self.extra.lock();
        Ok(Arc::clone(extra.locks.get_or_insert(fresh)))
    }

    /// What any of its watches wants to be told, as `IN_*`.
    #[inline]
    pub(in crate::fs) fn watched(&self) -> u32 {
        self.watched.load(Ordering::Relaxed)
    }

    /// Makes [`Self::watched`] right again.
    pub(in crate::fs) fn refresh_watched(&self) {
        let extra = self.extra.lock();
        let watches = extra.watches.iter().map(|watch| watch.wants());
        let notes = extra.notes.iter().map(|note| note.wants());
        let all = watches.chain(notes).fold(0, |all, wanted| all | wanted);
        self.watched.store(all, Ordering::Relaxed);
    }

    /// The first of its notices that is so.
    pub(in crate::fs) fn find_note(&self, is: impl Fn(&Note) -> bool) -> Option<Arc<Note>> {
        let extra = self.extra.lock();
        extra.notes.iter().find(|note| is(note)).cloned()
    }

    /// The notice after `last`, or the first.
    pub(in crate::fs) fn next_note(&self, last: Option<&Arc<Note>>) -> Option<Arc<Note>> {
        after(&self.extra.lock().notes, last)
    }

    /// Adds a notice.
    pub(in crate::fs) fn add_note(&self, note: Arc<Note>) -> Result<(), Errno> {
        try_push(&mut self.extra.lock().notes, note)
    }

    /// Takes a notice away.
    pub(in crate::fs) fn remove_note(&self, note: &Arc<Note>) {
        let mut extra = self.extra.lock();
        extra.notes.retain(|other| !Arc::ptr_eq(other, note));
    }

    /// Its leases, if it ever had any.
    pub(in crate::fs) fn existing_leases(&self) -> Option<Arc<Leases>> {
        self.extra.lock().leases.clone()
    }

    /// Its leases.
    pub(in crate::fs) fn leases(&self) -> Result<Arc<Leases>, Errno> {
        if let Some(leases) = self.existing_leases() {
            return Ok(leases);
        }
        let fresh = Leases::new()?;
        let mut extra = self.extra.lock();
        Ok(Arc::clone(extra.leases.get_or_insert(fresh)))
    }

    /// Counts an opening for reading alone, or one less.
    pub(in crate::fs) fn count_reader(&self, step: i32) {
        self.readers.fetch_add(step, Ordering::AcqRel);
    }

    /// How many have it open for reading alone, and for writing; below zero it is being executed.
    pub(in crate::fs) fn openings(&self) -> (i32, i32) {
        (
            self.readers.load(Ordering::Acquire),
            self.writers.load(Ordering::Acquire),
        )
    }

    /// Its first watch that is so.
    pub(in crate::fs) fn find_watch(&self, is: impl Fn(&Watch) -> bool) -> Option<Arc<Watch>> {
        let extra = self.extra.lock();
        extra.watches.iter().find(|watch| is(watch)).cloned()
    }

    /// The watch after `last`, or the first.
    pub(in crate::fs) fn next_watch(&self, last: Option<&Arc<Watch>>) -> Option<Arc<Watch>> {
        after(&self.extra.lock().watches, last)
    }

    /// Adds a watch.
    pub(in crate::fs) fn add_watch(&self, watch: Arc<Watch>) -> Result<(), Errno> {
        try_push(&mut self.extra.lock().watches, watch)
    }

    /// Takes a watch away.
    pub(in crate::fs) fn remove_watch(&self, watch: &Arc<Watch>) {
        let mut extra = self.extra.lock();
        extra.watches.retain(|other| !Arc::ptr_eq(other, watch));
    }

    /// The pipe that a FIFO's openers share, when it is in use.
    pub(crate) fn pipe(&self) -> Option<Arc<Pipe>> {
        self.extra.lock().pipe.upgrade()
    }

    /// The pipe that a FIFO's openers share: the one in use, or `fresh` from now on.
    pub(crate) fn share_pipe(&self, fresh: Arc<Pipe>) -> Arc<Pipe> {
        let mut extra = self.extra.lock();
        match extra.pipe.upgrade() {
            Some(pipe) => pipe,
            None => {
                extra.pipe = Arc::downgrade(&fresh);
                fresh
            }
        }
    }
}
