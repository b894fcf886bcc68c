//! [`FsContext`]: where a process stands in the tree, shared by `CLONE_FS`; [`Lookup`]: that,
//! together with who asks, is what a path is walked with.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::{Capability, Identity, Want};
use kiln_core::path::{Link, Shape, Tree};

use super::inode::Inode;
use super::memory::try_arc;
use super::mount::{MountFlags, Namespace, Path};
use crate::sync::SpinLock;

/// Whether links that others have put into directories like `/tmp` are followed there; 1: they aren't (proc(5)).
pub(crate) static PROTECTED_SYMLINKS: AtomicU64 = AtomicU64::new(0);
/// Whether others' files may be given more names; 1: only those one could read and write.
pub(crate) static PROTECTED_HARDLINKS: AtomicU64 = AtomicU64::new(0);

/// Where a process stands in the tree.
pub(crate) struct FsContext {
    namespace: Arc<Namespace>,
    root: SpinLock<Path>,
    cwd: SpinLock<Path>,
    umask: AtomicU32,
}

impl FsContext {
    /// At the root of the tree, with the usual umask.
    pub(crate) fn new(namespace: Arc<Namespace>) -> Result<Arc<Self>, Errno> {
        let root = namespace.root().ok_or(Errno::ENOENT)?;
        try_arc(Self {
            namespace,
            root: SpinLock::new(root.clone()),
            cwd: SpinLock::new(root),
            umask: AtomicU32::new(0o022),
        })
    }

    /// A copy, for a child that doesn't share it.
    pub(crate) fn fork(&self) -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            namespace: Arc::clone(&self.namespace),
            root: SpinLock::new(self.root()),
            cwd: SpinLock::new(self.cwd()),
            umask: AtomicU32::new(self.umask()),
        })
    }

    /// The mounts.
    pub(crate) fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// Where absolute paths begin.
    pub(crate) fn root(&self) -> Path {
        self.root.lock().clone()
    }

    /// Where relative paths begin.
    pub(crate) fn cwd(&self) -> Path {
        self.cwd.lock().clone()
    }

    /// Changes the root directory.
    pub(crate) fn set_root(&self, path: Path) {
        let old = core::mem::replace(&mut *self.root.lock(), path);
        drop(old);
    }

    /// Changes the working directory.
    pub(crate) fn set_cwd(&self, path: Path) {
        let old = core::mem::replace(&mut *self.cwd.lock(), path);
        drop(old);
    }

    /// Goes to `new` as root and working directory where it is at `old` ("pivot_root(2)").
    pub(crate) fn replace(&self, old: &Path, new: &Path) {
        if self.root() == *old {
            self.set_root(new.clone());
        }
        if self.cwd() == *old {
            self.set_cwd(new.clone());
        }
    }

    /// Permission bits that new files don't get.
    pub(crate) fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }

    /// Changes the umask; answers the old one.
    pub(crate) fn set_umask(&self, mask: u32) -> u32 {
        self.umask.swap(mask & 0o777, Ordering::Relaxed)
    }
}

/// The part of credentials that files look at.
pub(crate) fn identity(creds: &Credentials) -> Identity<'_> {
    Identity {
        user: creds.uids.real,
        uid: creds.uids.fs,
        gid: creds.gids.fs,
        groups: &creds.groups,
        capabilities: creds.caps.effective.bits(),
    }
}

/// The same with real ids instead, as `access(2)` judges.
pub(crate) fn real_identity(creds: &Credentials) -> Identity<'_> {
    let capabilities = if creds.uids.real == 0 {
        creds.caps.permitted.bits()
    } else {
        0
    };
    Identity {
        user: creds.uids.real,
        uid: creds.uids.real,
        gid: creds.gids.real,
        groups: &creds.groups,
        capabilities,
    }
}

/// What a walk may not do: the flags of `openat2` (linux/openat2.h, `RESOLVE_*`).
#[derive(Clone, Copy, Default)]
pub(crate) struct Restrictions {
    /// Not into other mounts.
    pub(crate) no_mounts: bool,
    /// Along no link of `/proc`.
    pub(crate) no_magic_links: bool,
    /// Along no link at all.
    pub(crate) no_links: bool,
    /// Not out of the directory it starts from (EXDEV).
    pub(crate) beneath: bool,
    /// The directory it starts from is the root.
    pub(crate) in_root: bool,
}

/// What a path is walked with.
pub(crate) struct Lookup<'a> {
    /// Root, working directory, mounts.
    pub(crate) fs: &'a FsContext,
    /// Who asks.
    pub(crate) who: Identity<'a>,
    /// Where relative paths begin, when not in the working directory.
    pub(crate) base: Option<Path>,
    /// What the walk may not do.
    pub(crate) restrictions: Restrictions,
}

impl<'a> Lookup<'a> {
    /// From the working directory, without restrictions.
    pub(crate) fn new(fs: &'a FsContext, who: Identity<'a>) -> Self {
        Self {
            fs,
            who,
            base: None,
            restrictions: Restrictions::default(),
        }
    }

    /// Relative to an open directory.
    pub(crate) fn at(mut self, base: Option<Path>) -> Self {
        self.base = base;
        self
    }

    /// Where relative paths begin.
    pub(crate) fn start(&self) -> Path {
        match &self.base {
            Some(base) => base.clone(),
            None => self.fs.cwd(),
        }
    }

    /// Whether `want` is granted on an inode.
    pub(crate) fn check(&self, inode: &Arc<Inode>, want: Want) -> Result<(), Errno> {
        inode.check(&self.who, want)
    }

    /// Whether it has a capability.
    pub(crate) fn can(&self, capability: Capability) -> bool {
        self.who.can(capability)
    }

    /// The child of `dir`, through mounts; the directory's lock is held or not.
    fn step(&self, dir: &Path, name: &[u8]) -> Result<Option<Path>, Errno> {
        let dentry = dir.dentry.child(name, false)?;
        if dentry.inode().is_none() {
            return Ok(None);
        }
        let path = dir.with(dentry);
        if !path.dentry.is_mountpoint() {
            return Ok(Some(path));
        }
        let down = self.fs.namespace.descend(path);
        if self.restrictions.no_mounts && !Arc::ptr_eq(&down.mount, &dir.mount) {
            return Err(Errno::EXDEV);
        }
        Ok(Some(down))
    }

    fn top(&self) -> Path {
        if self.restrictions.in_root || self.restrictions.beneath {
            self.start()
        } else {
            self.fs.root()
        }
    }
}

impl Lookup<'_> {
    /// EACCES for a link at a path's end that others have put into a directory like `/tmp`: only its owner, and who gets one
    /// of the directory's own owner, may be led by it (`protected_symlinks`).
    fn may_follow(&self, link: &Path, inode: &Arc<Inode>) -> Result<(), Errno> {
        const OPEN_TO_ALL: u32 = 0o1002;
        let owner = inode.with_attr(|attr| attr.uid);
        let parent = link.parent();
        let (mode, uid) = parent.inode()?.with_attr(|attr| (attr.mode, attr.uid));
        let others = owner != self.who.uid && owner != uid;
        match others && mode & OPEN_TO_ALL == OPEN_TO_ALL {
            true => Err(Errno::EACCES),
            false => Ok(()),
        }
    }

    /// EPERM for another name for a file that one neither owns nor could read and write, or that runs
    /// as its owner (`protected_hardlinks`).
    pub(crate) fn may_link(&self, inode: &Arc<Inode>) -> Result<(), Errno> {
        /// `S_ISUID`, and `S_ISGID` with the group's `x`.
        const RUNS_AS: [u32; 2] = [0o4000, 0o2010];
        if PROTECTED_HARDLINKS.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let (owns, mode) = inode.with_attr(|attr| (self.who.owns(attr), attr.mode));
        let plain = inode.kind() == FileType::Regular
            && RUNS_AS.iter().all(|bits| mode & bits != *bits)
            && self.check(inode, Want::READ | Want::WRITE).is_ok();
        if owns || plain {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }
}

impl Tree for Lookup<'_> {
    type Node = Path;

    fn root(&self) -> Result<Path, Errno> {
        if self.restrictions.beneath {
            return Err(Errno::EXDEV);
        }
        Ok(self.top())
    }

    fn parent(&self, dir: &Path) -> Result<Path, Errno> {
        if *dir == self.top() {
            return if self.restrictions.beneath {
                Err(Errno::EXDEV)
            } else {
                Ok(dir.clone())
            };
        }
        let parent = dir.parent();
        if self.restrictions.no_mounts && !Arc::ptr_eq(&parent.mount, &dir.mount) {
            return Err(Errno::EXDEV);
        }
        Ok(self.fs.namespace.descend(parent))
    }

    fn may_search(&self, dir: &Path) -> Result<(), Errno> {
        if self.who.searches_everything() {
            return Ok(());
        }
        self.check(dir.inode()?, Want::EXEC)
    }

    fn lookup(&self, dir: &Path, name: &[u8]) -> Result<Option<Path>, Errno> {
        self.step(dir, name)
    }

    fn shape(&self, node: &Path) -> Shape {
        match node.dentry.inode().map(|inode| inode.kind()) {
            Some(FileType::Directory) => Shape::Directory,
            Some(FileType::Symlink) => Shape::Symlink,
            _ => Shape::Other,
        }
    }

    fn follow(&self, node: &Path, last: bool) -> Result<Link<Path>, Errno> {
        if self.restrictions.no_links || node.mount.has(MountFlags::NO_SYMFOLLOW) {
            return Err(Errno::ELOOP);
        }
        let inode = node.inode()?;
        if last && PROTECTED_SYMLINKS.load(Ordering::Relaxed) != 0 {
            self.may_follow(node, inode)?;
        }
        node.mount.accessed(inode);
        let link = inode.ops().follow(inode)?;
        if let Link::Jump(_) = link {
            if self.restrictions.no_magic_links {
                return Err(Errno::ELOOP);
            }
            if self.restrictions.beneath || self.restrictions.in_root {
                return Err(Errno::EXDEV);
            }
        }
        let elsewhere = |to: &Path| !Arc::ptr_eq(&to.mount, &node.mount);
        let leaves = || match &link {
            Link::Jump(to) => elsewhere(to),
            Link::Text(text) => text.first() == Some(&b'/') && elsewhere(&self.top()),
        };
        if self.restrictions.no_mounts && leaves() {
            return Err(Errno::EXDEV);
        }
        Ok(link)
    }
}
