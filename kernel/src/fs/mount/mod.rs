//! [`Mount`]: a file system at a place in the tree; [`Path`]: a dentry seen through a mount;
//! [`Namespace`]: all mounts that belong together.

mod index;
mod namespace;
mod path;

use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};
use kiln_core::errno::Errno;

use super::dentry::Dentry;
use super::inode::Inode;
use super::memory::{try_arc, try_copy};
use super::superblock::SuperBlock;
use super::text::Changes;
use crate::sync::SpinLock;

pub(crate) use index::Index;
pub(crate) use namespace::{MAX_MOUNTS, Namespace};
pub(crate) use path::Path;

/// Mounts that came, went or got other flags: who polls `/proc/self/mounts` waits for them.
pub(crate) static CHANGES: Changes = Changes::new();

bitflags! {
    /// What a mount forbids or changes; the values are `MS_*` (linux/mount.h). Those of [`OF_FS`](Self::OF_FS) are its
    /// file system's.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct MountFlags: u32 {
        /// Not to be written through.
        const READ_ONLY = 1;
        /// Set-id bits mean nothing.
        const NO_SUID = 2;
        /// Devices can't be opened.
        const NO_DEV = 4;
        /// Nothing can be executed.
        const NO_EXEC = 8;
        /// What is written is on the disk when the call returns.
        const SYNC = 16;
        /// Locks may be mandatory: only told.
        const MAND = 64;
        /// The same as `SYNC` of changes to directories.
        const DIR_SYNC = 128;
        /// Symbolic links aren't followed.
        const NO_SYMFOLLOW = 256;
        /// Access times stand still.
        const NO_ATIME = 1024;
        /// Directories' access times do.
        const NO_DIR_ATIME = 2048;
        /// Access times move where they are due.
        const RELATIME = 1 << 21;
        /// Times go to the disk late: only told, as they always do.
        const LAZYTIME = 1 << 25;
    }
}

impl MountFlags {
    /// Those that say how access times move.
    pub(crate) const ATIME: Self = Self::NO_ATIME
        .union(Self::NO_DIR_ATIME)
        .union(Self::RELATIME);

    /// Those that a file system has for all its mounts, besides [`READ_ONLY`](Self::READ_ONLY).
    pub(crate) const OF_FS: Self = Self::SYNC
        .union(Self::MAND)
        .union(Self::DIR_SYNC)
        .union(Self::LAZYTIME);
}

/// How mounts made beneath a mount reach others, as `mount_namespaces(7)` has it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Propagation {
    /// The peer group that it shares events with; 0 for none.
    pub(crate) shared: u32,
    /// The peer group that it receives events of; 0 for none.
    pub(crate) master: u32,
    /// It can't be bound elsewhere.
    pub(crate) unbindable: bool,
}

/// A file system at a place in the tree.
pub(crate) struct Mount {
    id: u64,
    root: Arc<Dentry>,
    sb: Arc<SuperBlock>,
    flags: AtomicU32,
    source: Vec<u8>,
    /// What it is mounted on; `None` for the root and for what is in no tree.
    place: SpinLock<Option<Path>>,
    propagation: SpinLock<Propagation>,
    /// Files open for writing through it.
    writers: AtomicI32,
    /// How often a walk came into it.
    entered: AtomicU32,
    /// What `entered` was when it was marked as expired (`MNT_EXPIRE`); 0: it isn't.
    expires: AtomicU32,
    /// What is to become of it while mounts are taken away: [`GOES`], [`STAYS`].
    fate: AtomicU8,
}

/// Bits of what is to become of a mount while others are taken away: it goes.
pub(crate) const GOES: u8 = 1;
/// What it is on was told that it, or what covers it, stays.
pub(crate) const STAYS: u8 = 2;

/// The first number is the invisible root's, which the tree's root is mounted on.
static NEXT_ID: AtomicU64 = AtomicU64::new(INVISIBLE + 1);

/// The number of what the root is mounted on.
pub(crate) const INVISIBLE: u64 = 1;

impl Mount {
    /// A mount that shows `root` and what is beneath it, in no tree yet.
    pub(crate) fn new(
        root: Arc<Dentry>,
        flags: MountFlags,
        source: Vec<u8>,
    ) -> Result<Arc<Self>, Errno> {
        let sb = Arc::clone(root.inode().ok_or(Errno::ENOENT)?.sb());
        let mount = try_arc(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            root,
            sb,
            flags: AtomicU32::new((flags - MountFlags::OF_FS).bits()),
            source,
            place: SpinLock::new(None),
            propagation: SpinLock::default(),
            writers: AtomicI32::new(0),
            entered: AtomicU32::new(0),
            expires: AtomicU32::new(0),
            fate: AtomicU8::new(0),
        })?;
        mount.sb.count_mount(true);
        Ok(mount)
    }

    /// Another mount of the same file system that shows `root`, with the same flags.
    pub(crate) fn copy(&self, root: Arc<Dentry>) -> Result<Arc<Self>, Errno> {
        let copy = Self::new(root, self.flags(), try_copy(&self.source)?)?;
        *copy.propagation.lock() = self.propagation();
        Ok(copy)
    }

    /// Its number in `/proc/PID/mountinfo`.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// What it shows.
    pub(crate) fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// The file system it shows.
    pub(crate) fn sb(&self) -> &Arc<SuperBlock> {
        &self.sb
    }

    /// The source it was mounted from.
    pub(crate) fn source(&self) -> &[u8] {
        &self.source
    }

    /// What it forbids.
    pub(crate) fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// Changes what it forbids; EBUSY when writing is to be forbidden and files are open for it.
    pub(crate) fn set_flags(&self, flags: MountFlags) -> Result<(), Errno> {
        let read_only = flags.contains(MountFlags::READ_ONLY);
        if read_only && !self.has(MountFlags::READ_ONLY) && self.writers() != 0 {
            return Err(Errno::EBUSY);
        }
        let own = flags - MountFlags::OF_FS;
        self.flags.store(own.bits(), Ordering::Relaxed);
        CHANGES.note();
        Ok(())
    }

    /// Whether it forbids this.
    pub(crate) fn has(&self, flag: MountFlags) -> bool {
        self.flags.load(Ordering::Relaxed) & flag.bits() != 0
    }

    /// EROFS when nothing may be written through it.
    pub(crate) fn check_writable(&self) -> Result<(), Errno> {
        if self.has(MountFlags::READ_ONLY) || self.sb.read_only() {
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    /// Counts a file open for writing through it, or one less.
    pub(crate) fn count_writer(&self, more: bool) {
        self.writers
            .fetch_add(if more { 1 } else { -1 }, Ordering::AcqRel);
    }

    /// Files open for writing through it.
    pub(crate) fn writers(&self) -> i32 {
        self.writers.load(Ordering::Acquire)
    }

    /// Stamps a reading of `inode` through it, where access times move.
    pub(crate) fn accessed(&self, inode: &Inode) {
        let flags = self.flags();
        let is_dir = inode.kind() == kiln_core::fs::attr::FileType::Directory;
        if flags.contains(MountFlags::NO_ATIME)
            || is_dir && flags.contains(MountFlags::NO_DIR_ATIME)
            || flags.contains(MountFlags::READ_ONLY)
        {
            return;
        }
        if flags.contains(MountFlags::RELATIME) {
            inode.accessed();
        } else {
            inode.accessed_always();
        }
    }

    /// How events reach it.
    pub(crate) fn propagation(&self) -> Propagation {
        *self.propagation.lock()
    }

    /// Changes that.
    pub(crate) fn set_propagation(&self, propagation: Propagation) {
        *self.propagation.lock() = propagation;
    }

    /// A walk comes into it.
    fn enter(&self) {
        self.entered.fetch_add(1, Ordering::Relaxed);
    }

    /// Marks it as expired. Answers whether it was already, and nobody has come into it since, but
    /// for whoever asks.
    pub(crate) fn expire(&self) -> bool {
        let now = self.entered.load(Ordering::Relaxed);
        let before = self.expires.swap(now, Ordering::Relaxed);
        before != 0 && before.wrapping_add(1) == now
    }

    /// Whether that was said of its fate.
    pub(crate) fn is_to(&self, fate: u8) -> bool {
        self.fate.load(Ordering::Relaxed) & fate != 0
    }

    /// Says that of its fate, or no more. Only who keeps others from mounting does.
    pub(crate) fn is_to_be(&self, fate: u8, so: bool) {
        let others = self.fate.load(Ordering::Relaxed) & !fate;
        let fate = if so { fate } else { 0 };
        self.fate.store(others | fate, Ordering::Relaxed);
    }

    /// What it is mounted on.
    pub(crate) fn place(&self) -> Option<Path> {
        self.place.lock().clone()
    }

    fn is_on(&self, mount: &Arc<Self>) -> bool {
        let place = self.place.lock();
        let on = place.as_ref();
        on.is_some_and(|place| Arc::ptr_eq(&place.mount, mount))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.sb.count_mount(false);
    }
}
