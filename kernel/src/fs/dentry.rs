//! [`Dentry`]: a name in a directory, remembered; also that there is no such name.
//!
//! A dentry's inode never changes: when a name is made, a new dentry takes the place of the
//! negative one, and when a name is removed its dentry leaves the cache but lives on for those who
//! have the file open. Parents are held by their children, children by their parent's table; what
//! leaves the table breaks that circle: removal, eviction ([`shrink`]) and unmounting
//! ([`Dentry::prune`]).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use hashbrown::HashTable;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::index::{NameKey, is_same_name};
use kiln_core::num::low8;

use super::inode::Inode;
use super::memory::{try_arc, try_copy};
use super::notify;
use crate::mm::frame;
use crate::sync::{SpinLock, SpinLockGuard};

/// Where a dentry is.
struct Place {
    parent: Option<Arc<Dentry>>,
    name: Box<[u8]>,
}

/// Names in a directory.
type Children = HashTable<(NameKey, Arc<Dentry>)>;

/// The hash that an entry has. (One function, so that the table's code is there once.)
fn hash_of((key, _): &(NameKey, Arc<Dentry>)) -> u64 {
    key.hash()
}

/// A name in a directory.
pub(crate) struct Dentry {
    inode: Option<Arc<Inode>>,
    place: SpinLock<Place>,
    children: SpinLock<Children>,
    /// Mounts on it.
    mounts: AtomicU32,
    /// It is in its parent's table, or is a root.
    hashed: AtomicBool,
    /// Looked up since the last sweep.
    used: AtomicBool,
    /// The file never had a name, and may be given one.
    linkable: bool,
}

/// Every cached dentry, oldest first: the hand of [`shrink`] goes round it.
static CLOCK: SpinLock<VecDeque<Weak<Dentry>>> = SpinLock::new(VecDeque::new());

/// Bytes that a cached dentry is reckoned to take with its inode, to bound their number.
const WEIGHT: usize = 512;

impl Dentry {
    fn make(
        inode: Option<Arc<Inode>>,
        parent: Option<Arc<Self>>,
        name: &[u8],
        hashed: bool,
        linkable: bool,
    ) -> Result<Arc<Self>, Errno> {
        let name = try_copy(name)?.into_boxed_slice();
        try_arc(Self {
            inode,
            place: SpinLock::new(Place { parent, name }),
            children: SpinLock::new(HashTable::new()),
            mounts: AtomicU32::new(0),
            hashed: AtomicBool::new(hashed),
            used: AtomicBool::new(true),
            linkable,
        })
    }

    /// The root of a file system.
    pub(crate) fn root(inode: Arc<Inode>) -> Result<Arc<Self>, Errno> {
        Self::make(Some(inode), None, b"", true, false)
    }

    /// A file that is in no directory: a pipe, or what is yet to be put in one. The name is for show; without one a
    /// pipe or a socket is shown with its number.
    pub(crate) fn unnamed(inode: Arc<Inode>, name: &[u8]) -> Result<Arc<Self>, Errno> {
        Self::make(Some(inode), None, name, true, true)
    }

    /// A child that isn't remembered.
    pub(crate) fn passing(
        self: &Arc<Self>,
        name: &[u8],
        inode: Arc<Inode>,
    ) -> Result<Arc<Self>, Errno> {
        Self::make(Some(inode), Some(Arc::clone(self)), name, true, false)
    }

    /// A file made in the directory without a name (`O_TMPFILE`): `name` is for show.
    pub(crate) fn temporary(
        self: &Arc<Self>,
        name: &[u8],
        inode: Arc<Inode>,
        linkable: bool,
    ) -> Result<Arc<Self>, Errno> {
        Self::make(Some(inode), Some(Arc::clone(self)), name, false, linkable)
    }

    /// Whether a file without names may be given one by this.
    pub(crate) fn is_linkable(&self) -> bool {
        self.linkable
    }

    /// The inode; `None`: there is no such name.
    pub(crate) fn inode(&self) -> Option<&Arc<Inode>> {
        self.inode.as_ref()
    }

    /// The directory it is in; `None` for roots and unnamed files.
    pub(crate) fn parent(&self) -> Option<Arc<Self>> {
        self.place.lock().parent.clone()
    }

    /// Whether it still is where it was found.
    pub(crate) fn is_hashed(&self) -> bool {
        self.hashed.load(Ordering::Acquire)
    }

    /// Whether something is mounted on it.
    pub(crate) fn is_mountpoint(&self) -> bool {
        self.mounts.load(Ordering::Acquire) != 0
    }

    /// Counts a mount on it, or one less.
    pub(crate) fn count_mount(&self, more: bool) {
        if more {
            self.mounts.fetch_add(1, Ordering::AcqRel);
        } else {
            self.mounts.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Puts `/name` in front of `path`, which is written from its end to its start; answers the
    /// parent.
    pub(crate) fn prepend_name(&self, path: &mut Vec<u8>) -> Result<Option<Arc<Self>>, Errno> {
        // The memory is there before the lock is taken: names are 255 bytes at most.
        path.try_reserve(256).map_err(|_| Errno::ENOMEM)?;
        let place = self.place.lock();
        if place.name.is_empty()
            && let Some(inode) = &self.inode
        {
            prepend_number(path, inode);
        }
        path.extend(place.name.iter().rev().take(255));
        path.push(b'/');
        Ok(place.parent.clone())
    }

    /// A copy of its name.
    pub(crate) fn name(&self) -> Result<Vec<u8>, Errno> {
        let mut name = Vec::new();
        name.try_reserve(256).map_err(|_| Errno::ENOMEM)?;
        name.extend(self.place.lock().name.iter().take(255));
        Ok(name)
    }

    fn is_named(&self, name: &[u8]) -> bool {
        is_same_name(&self.place.lock().name, name)
    }

    /// The remembered child of that name.
    pub(crate) fn cached(&self, name: &[u8]) -> Option<Arc<Self>> {
        let key = NameKey::of(name);
        let children = self.children.lock();
        let (_, child) = children.find(key.hash(), |(other, child)| {
            *other == key && (key.is_whole() || child.is_named(name))
        })?;
        child.used.store(true, Ordering::Relaxed);
        Some(Arc::clone(child))
    }

    /// The child of that name; on a miss the file system is asked, with the directory's lock held
    /// by this function (`locked` false) or the caller.
    pub(crate) fn child(self: &Arc<Self>, name: &[u8], locked: bool) -> Result<Arc<Self>, Errno> {
        let inode = self.inode.as_ref().ok_or(Errno::ENOENT)?;
        let cacheable = inode.ops().cacheable();
        if let Some(child) = self.cached_or_pinned(name, cacheable) {
            return Ok(child);
        }
        let _guard = (!locked).then(|| inode.lock.lock());
        if cacheable && let Some(child) = self.cached(name) {
            return Ok(child);
        }
        let found = inode.ops().lookup(inode, name)?;
        if cacheable {
            return self.remember(name, found);
        }
        Self::make(found, Some(Arc::clone(self)), name, true, false)
    }

    fn cached_or_pinned(&self, name: &[u8], cacheable: bool) -> Option<Arc<Self>> {
        if !cacheable && self.children.lock().is_empty() {
            return None;
        }
        self.cached(name)
            .filter(|child| cacheable || child.is_pinned())
    }

    /// Remembers that `name` is `inode`, or that there is no such name. The directory's lock is
    /// held.
    pub(crate) fn remember(
        self: &Arc<Self>,
        name: &[u8],
        inode: Option<Arc<Inode>>,
    ) -> Result<Arc<Self>, Errno> {
        let child = Self::make(inode, Some(Arc::clone(self)), name, true, false)?;
        self.insert(NameKey::of(name), &child)?;
        remember_in_clock(&child)?;
        Ok(child)
    }

    /// Enters a child in the table in place of another of that name.
    fn insert(&self, key: NameKey, child: &Arc<Self>) -> Result<(), Errno> {
        let entry = (key, Arc::clone(child));
        let mut children = self.with_room()?;
        let place = child.place.lock();
        let old = children
            .find_entry(key.hash(), |(other, old)| {
                *other == key && !Arc::ptr_eq(old, child) && old.is_named(&place.name)
            })
            .ok()
            .map(|found| found.remove().0);
        drop(place);
        children.insert_unique(key.hash(), entry, hash_of);
        drop(children);
        if let Some((_, old)) = old {
            old.hashed.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Locks the table of children with room for one more. When memory is too short, or in too
    /// small pieces, for a larger table, other names are forgotten in its place.
    fn with_room(&self) -> Result<SpinLockGuard<'_, Children>, Errno> {
        for _ in 0..SHRINK_TRIES {
            let mut children = self.children.lock();
            if children.try_reserve(1, hash_of).is_ok() {
                return Ok(children);
            }
            drop(children);
            shrink(SHRINK_BATCH);
        }
        Err(Errno::ENOMEM)
    }

    /// Keeps it, and what is above it, findable where names aren't remembered: something is to be
    /// mounted on it. Done once, it needs no memory to be done again.
    pub(super) fn pin(self: &Arc<Self>) -> Result<(), Errno> {
        let mut at = Arc::clone(self);
        while let Some(parent) = at.parent() {
            let cacheable = parent.inode().is_some_and(|inode| inode.ops().cacheable());
            if !cacheable && at.is_hashed() {
                let key = NameKey::of(&at.place.lock().name);
                let is_at = |(_, other): &(NameKey, Arc<Self>)| Arc::ptr_eq(other, &at);
                let is_kept = parent.children.lock().find(key.hash(), is_at).is_some();
                if !is_kept {
                    parent.insert(key, &at)?;
                }
            }
            at = parent;
        }
        Ok(())
    }

    /// Whether it stays where names aren't remembered.
    fn is_pinned(&self) -> bool {
        self.is_mountpoint() || !self.children.lock().is_empty()
    }

    /// Takes it out of its parent's table: the name is gone, or forgotten.
    pub(crate) fn unhash(self: &Arc<Self>) {
        self.hashed.store(false, Ordering::Release);
        if let Some(parent) = self.parent() {
            let removed = parent.take(self);
            drop(removed);
        }
    }

    /// Takes a child out of the table.
    fn take(&self, child: &Arc<Self>) -> Option<(NameKey, Arc<Self>)> {
        let key = NameKey::of(&child.place.lock().name);
        let mut children = self.children.lock();
        let found = children.find_entry(key.hash(), |(_, other)| Arc::ptr_eq(other, child));
        found.ok().map(|entry| entry.remove().0)
    }

    /// Moves it under another parent and name, in place of what has that name. Both directories'
    /// locks are held, and the file system's rename lock.
    pub(crate) fn relocate(self: &Arc<Self>, parent: &Arc<Self>, name: &[u8]) -> Result<(), Errno> {
        let name = try_copy(name)?.into_boxed_slice();
        let key = NameKey::of(&name);
        let taken = self.parent().and_then(|old| old.take(self));
        drop(taken);
        let before = core::mem::replace(
            &mut *self.place.lock(),
            Place {
                parent: Some(Arc::clone(parent)),
                name,
            },
        );
        drop(before);
        self.hashed.store(true, Ordering::Release);
        if parent.insert(key, self).is_err() {
            // It is merely forgotten: the next lookup asks the file system.
            self.hashed.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Whether `self` is `other` or lies beneath it.
    pub(crate) fn is_beneath(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut at = Some(Arc::clone(self));
        while let Some(dentry) = at {
            if Arc::ptr_eq(&dentry, other) {
                return true;
            }
            at = dentry.parent();
        }
        false
    }

    /// Forgets everything beneath it.
    pub(crate) fn prune(self: &Arc<Self>) {
        let mut at = Arc::clone(self);
        loop {
            let mut children = at.children.lock();
            let next = children.iter().next().map(|(_, child)| Arc::clone(child));
            match next {
                Some(child) if child.children.lock().is_empty() => {
                    let removed = children
                        .find_entry(
                            NameKey::of(&child.place.lock().name).hash(),
                            |(_, other)| Arc::ptr_eq(other, &child),
                        )
                        .ok()
                        .map(|found| found.remove().0);
                    drop(children);
                    child.hashed.store(false, Ordering::Release);
                    drop(removed);
                }
                Some(child) => {
                    drop(children);
                    at = child;
                }
                None => {
                    drop(children);
                    match at.parent() {
                        Some(parent) if !Arc::ptr_eq(&at, self) => at = parent,
                        _ => return,
                    }
                }
            }
        }
    }

    /// Whether the sweep may forget it: nobody but the table (and the sweep) holds it.
    fn is_idle(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) <= 2 && !self.is_mountpoint() && self.children.lock().is_empty()
    }
}

/// Puts what a pipe or a socket is called in front of `path`, from its end to its start: its kind and its
/// number (pipe(7), proc(5) of `fd`).
fn prepend_number(path: &mut Vec<u8>, inode: &Inode) {
    let kind: &[u8] = match inode.kind() {
        FileType::Fifo => b"pipe",
        FileType::Socket => b"socket",
        _ => return,
    };
    let mut number = inode.ino();
    path.push(b']');
    loop {
        path.push(b'0' + low8(number % 10));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    path.extend([b'[', b':']);
    path.extend(kind.iter().rev());
}

impl Drop for Dentry {
    fn drop(&mut self) {
        notify::dropped(self.inode.as_ref());
    }
}

/// Names forgotten at a time when a table can't grow.
const SHRINK_BATCH: usize = 64;
/// How often: the first sweep may find every name used lately, and the next ones not.
const SHRINK_TRIES: usize = 256;

/// How many dentries are kept: what they take is a sixteenth of memory at most.
fn limit() -> usize {
    (frame::stats().total * kiln_core::addr::PAGE_SIZE / 16 / WEIGHT).max(256)
}

fn remember_in_clock(dentry: &Arc<Dentry>) -> Result<(), Errno> {
    let mut clock = CLOCK.lock();
    if clock.try_reserve(1).is_err() {
        drop(clock);
        shrink(SHRINK_BATCH);
        clock = CLOCK.lock();
        clock.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    }
    clock.push_back(Arc::downgrade(dentry));
    let over = clock.len() > limit();
    drop(clock);
    if over {
        shrink(32);
    }
    Ok(())
}

/// Forgets about `count` of them for want of memory, those looked up lately too if need be.
pub(crate) fn shrink_hard(count: usize) -> usize {
    let rounds = CLOCK.lock().len() / (count.max(1) * 2) + 1;
    (0..rounds)
        .map(|_| shrink(count))
        .find(|forgotten| *forgotten > 0)
        .unwrap_or(0)
}

/// Forgets up to `count` dentries that nobody uses and nobody has looked up lately. Answers how
/// many those were.
pub(crate) fn shrink(count: usize) -> usize {
    let mut forgotten = 0;
    let rounds = CLOCK.lock().len().min(count * 4);
    for _ in 0..rounds {
        if forgotten >= count {
            break;
        }
        let Some(weak) = CLOCK.lock().pop_front() else {
            break;
        };
        let Some(dentry) = weak.upgrade() else {
            forgotten += 1;
            continue;
        };
        if dentry.is_hashed() && !dentry.used.swap(false, Ordering::Relaxed) && dentry.is_idle() {
            dentry.unhash();
            forgotten += 1;
        } else {
            // The entry came out of the deque, so there is room for it.
            CLOCK.lock().push_back(weak);
        }
    }
    forgotten
}
