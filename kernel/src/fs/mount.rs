//! [`Mount`]: a file system at a place in the tree; [`Path`]: a dentry seen through a mount;
//! [`Namespace`]: all mounts that belong together.

use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kiln_core::errno::Errno;

use super::dentry::Dentry;
use super::inode::Inode;
use super::memory::{append, try_arc, try_copy, try_push};
use super::superblock::{FileSystemType, MountRequest, SuperBlock};
use crate::sched::Mutex;
use crate::sync::SpinLock;

bitflags! {
    /// What a mount forbids or changes; the values are `MS_*` (linux/mount.h).
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
        /// Access times stand still.
        const NO_ATIME = 1024;
        /// Directories' access times do.
        const NO_DIR_ATIME = 2048;
        /// Access times move where they are due.
        const RELATIME = 1 << 21;
    }
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
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Mount {
    /// A mount that shows `root` and what is beneath it, in no tree yet.
    pub(crate) fn new(
        root: Arc<Dentry>,
        flags: MountFlags,
        source: Vec<u8>,
    ) -> Result<Arc<Self>, Errno> {
        let sb = Arc::clone(root.inode().ok_or(Errno::ENOENT)?.sb());
        try_arc(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            root,
            sb,
            flags: AtomicU32::new(flags.bits()),
            source,
            place: SpinLock::new(None),
        })
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

    /// Changes what it forbids.
    pub(crate) fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
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

    /// What it is mounted on.
    pub(crate) fn place(&self) -> Option<Path> {
        self.place.lock().clone()
    }
}

/// A dentry seen through a mount.
#[derive(Clone)]
pub(crate) struct Path {
    /// The mount.
    pub(crate) mount: Arc<Mount>,
    /// The dentry.
    pub(crate) dentry: Arc<Dentry>,
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }
}

impl Path {
    /// The root of a mount.
    pub(crate) fn root_of(mount: &Arc<Mount>) -> Self {
        Self {
            mount: Arc::clone(mount),
            dentry: Arc::clone(&mount.root),
        }
    }

    /// The inode; ENOENT when the name isn't there.
    pub(crate) fn inode(&self) -> Result<&Arc<Inode>, Errno> {
        self.dentry.inode().ok_or(Errno::ENOENT)
    }

    /// The same mount's path of another dentry.
    pub(crate) fn with(&self, dentry: Arc<Dentry>) -> Self {
        Self {
            mount: Arc::clone(&self.mount),
            dentry,
        }
    }

    /// Whether it is the root of its mount.
    pub(crate) fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.dentry, &self.mount.root)
    }

    /// Whether nothing may be executed from here.
    pub(crate) fn is_no_exec(&self) -> bool {
        self.mount.has(MountFlags::NO_EXEC)
    }

    /// The directory above, across mounts; the path itself at the very top.
    pub(crate) fn parent(&self) -> Self {
        let mut at = self.clone();
        while at.is_mount_root() {
            match at.mount.place() {
                Some(place) => at = place,
                None => return at,
            }
        }
        match at.dentry.parent() {
            Some(parent) => at.with(parent),
            None => at,
        }
    }

    /// The path as seen from `root`: `/a/b`. `reachable` is false when it isn't beneath `root`.
    pub(crate) fn name_from(&self, root: &Self) -> Result<Name, Errno> {
        let mut reversed = Vec::new();
        let mut at = self.clone();
        let mut reachable = true;
        while at != *root {
            if at.is_mount_root() {
                match at.mount.place() {
                    Some(place) => at = place,
                    None => {
                        reachable = false;
                        break;
                    }
                }
                continue;
            }
            match at.dentry.prepend_name(&mut reversed)? {
                Some(parent) => at = at.with(parent),
                None => {
                    // Pipes and their like: a name without a slash.
                    reversed.pop();
                    break;
                }
            }
        }
        if reversed.is_empty() {
            append(&mut reversed, b"/")?;
        }
        reversed.reverse();
        Ok(Name {
            bytes: reversed,
            reachable,
            deleted: !self.dentry.is_hashed(),
        })
    }

    /// What `/proc` shows: the name from `root`, ` (deleted)` behind it when it is gone.
    pub(crate) fn display_from(&self, root: &Self) -> Result<Vec<u8>, Errno> {
        let mut name = self.name_from(root)?;
        if name.deleted {
            append(&mut name.bytes, b" (deleted)")?;
        }
        Ok(name.bytes)
    }
}

/// A path as bytes.
pub(crate) struct Name {
    /// `/a/b`
    pub(crate) bytes: Vec<u8>,
    /// It leads there from the root it was made for.
    pub(crate) reachable: bool,
    /// The last component is gone.
    pub(crate) deleted: bool,
}

/// All mounts that belong together.
pub(crate) struct Namespace {
    /// In the order of mounting; the root is the first.
    mounts: SpinLock<Vec<Arc<Mount>>>,
    /// What is yet to be mounted, and on what: on each when it is first looked at.
    late: Mutex<Vec<Late>>,
}

/// A mount to come: of what, on what, and which others on directories of its root.
struct Late {
    place: Path,
    kind: FileSystemType,
    inside: &'static [(&'static [u8], FileSystemType)],
}

impl Namespace {
    /// A tree with `root` at its top.
    pub(crate) fn new(root: Arc<Mount>) -> Result<Arc<Self>, Errno> {
        let mut mounts = Vec::new();
        try_push(&mut mounts, root)?;
        try_arc(Self {
            mounts: SpinLock::new(mounts),
            late: Mutex::new(Vec::new()),
        })
    }

    /// Has a file system of the type mounted on `place` once somebody looks at it or lists the mounts:
    /// a boot doesn't pay for what its job doesn't use. Until then the place counts as a mountpoint.
    /// `inside` are others on directories of its root, which come as late.
    pub(crate) fn mount_late(
        &self,
        place: Path,
        kind: FileSystemType,
        inside: &'static [(&'static [u8], FileSystemType)],
    ) -> Result<(), Errno> {
        let late = Late {
            place,
            kind,
            inside,
        };
        Self::add_late(&mut self.late.lock(), late)
    }

    fn add_late(list: &mut Vec<Late>, late: Late) -> Result<(), Errno> {
        list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        late.place.dentry.count_mount(true);
        list.push(late);
        Ok(())
    }

    /// Mounts on `path` what was to be mounted there late; whether something is mounted there now.
    fn fill(&self, path: &Path) -> bool {
        let mut list = self.late.lock();
        let Some(at) = list.iter().position(|late| late.place == *path) else {
            return self.mounted_on(path).is_some();
        };
        let Late {
            place,
            kind,
            inside,
        } = list.remove(at);
        let done = self.mount_root(kind, place);
        path.dentry.count_mount(false);
        let Ok(root) = done else { return false };
        for (name, kind) in inside {
            // What can't be mounted now isn't there; the rest is.
            if let Ok(dentry) = root.dentry.child(name, false) {
                let late = Late {
                    place: root.with(dentry),
                    kind: *kind,
                    inside: &[],
                };
                let _ = Self::add_late(&mut list, late);
            }
        }
        true
    }

    fn mount_root(&self, kind: FileSystemType, place: Path) -> Result<Path, Errno> {
        let name = kind.name.as_bytes();
        let root = (kind.mount)(&MountRequest {
            source: name,
            device: None,
            options: b"",
            read_only: false,
        })?;
        let mount = Mount::new(Dentry::root(root)?, MountFlags::RELATIME, try_copy(name)?)?;
        self.attach(&mount, place)?;
        Ok(Path::root_of(&mount))
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> Option<Path> {
        self.mounts.lock().first().map(Path::root_of)
    }

    /// Every mount, in the order of mounting, after those that were to come late.
    pub(crate) fn mounts(&self) -> Result<Vec<Arc<Mount>>, Errno> {
        while let Some(place) = self.first_late() {
            self.fill(&place);
        }
        self.mounted()
    }

    /// Every mount that has been needed so far.
    pub(crate) fn mounted(&self) -> Result<Vec<Arc<Mount>>, Errno> {
        let mut copy = Vec::new();
        let count = self.mounts.lock().len();
        copy.try_reserve_exact(count + 8)
            .map_err(|_| Errno::ENOMEM)?;
        copy.extend(self.mounts.lock().iter().take(count + 8).cloned());
        Ok(copy)
    }

    fn first_late(&self) -> Option<Path> {
        let late = self.late.lock();
        late.first().map(|late| late.place.clone())
    }

    /// What is mounted on exactly this path; the last when there are several.
    pub(crate) fn mounted_on(&self, path: &Path) -> Option<Arc<Mount>> {
        let mounts = self.mounts.lock();
        let found = mounts
            .iter()
            .rev()
            .find(|mount| mount.place.lock().as_ref() == Some(path));
        found.map(Arc::clone)
    }

    /// Goes from a mountpoint to the root of what is mounted there, as often as it takes.
    pub(crate) fn descend(&self, mut path: Path) -> Path {
        while path.dentry.is_mountpoint() {
            match self.mounted_on(&path) {
                Some(mount) => path = Path::root_of(&mount),
                None if self.fill(&path) => {}
                None => break,
            }
        }
        path
    }

    /// Mounts `mount` on `place`.
    pub(crate) fn attach(&self, mount: &Arc<Mount>, place: Path) -> Result<(), Errno> {
        let dentry = Arc::clone(&place.dentry);
        let mut mounts = self.mounts.lock();
        mounts.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        *mount.place.lock() = Some(place);
        dentry.count_mount(true);
        mounts.push(Arc::clone(mount));
        Ok(())
    }

    /// Takes `mount` out of the tree; EBUSY while it is used and not `lazy`; EINVAL when it isn't
    /// in the tree or is its root.
    pub(crate) fn detach(&self, mount: &Arc<Mount>, lazy: bool) -> Result<(), Errno> {
        let mut mounts = self.mounts.lock();
        let at = mounts
            .iter()
            .position(|other| Arc::ptr_eq(other, mount))
            .filter(|at| *at > 0)
            .ok_or(Errno::EINVAL)?;
        let covered = mounts.iter().any(|other| {
            let place = other.place.lock();
            place
                .as_ref()
                .is_some_and(|place| Arc::ptr_eq(&place.mount, mount))
        });
        // The table holds it, and the path it was found by.
        if !lazy && (covered || Arc::strong_count(mount) > 2) {
            return Err(Errno::EBUSY);
        }
        let removed = mounts.remove(at);
        drop(mounts);
        let place = removed.place.lock().take();
        if let Some(place) = place {
            place.dentry.count_mount(false);
        }
        Ok(())
    }

    /// Whether another mount shows the same file system.
    pub(crate) fn shows(&self, sb: &Arc<SuperBlock>) -> bool {
        let mounts = self.mounts.lock();
        mounts.iter().any(|mount| Arc::ptr_eq(&mount.sb, sb))
    }
}
