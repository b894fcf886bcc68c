//! [`Inode`]: a file as the file system knows it, whatever its names; [`InodeOps`]: what a file
//! system does for it.
//!
//! The VFS checks permissions and types, holds the locks and keeps the dentry cache; an
//! implementation of [`InodeOps`] carries a checked request out, and keeps the attributes of every
//! inode that the request changes up to date through [`Inode::update`]. Calls on a directory come
//! with its [`Inode::lock`] held (both directories' for a rename, and the victim's when a
//! directory is removed).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, Ordering};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, DeviceNumber, FileType, SetAttr};
use kiln_core::fs::dirent::Entry;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::xattr::SetMode;
use kiln_core::path::Link;

use super::clock;
use super::file::FileOps;
use super::locks::Locks;
use super::memory::try_arc;
use super::mount::Path;
use super::pipe::Pipe;
use super::superblock::SuperBlock;
use crate::sched::Mutex;
use crate::sync::SpinLock;
use crate::vm::Mapping;

/// Something to be made in a directory.
pub(crate) struct NewInode<'a> {
    /// What it is.
    pub(crate) kind: FileType,
    /// Permissions, the umask already taken off.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Its number, for a device.
    pub(crate) rdev: DeviceNumber,
    /// Where it leads, for a symbolic link.
    pub(crate) target: &'a [u8],
}

/// A name that moves.
pub(crate) struct Rename<'a> {
    /// The directory it leaves.
    pub(crate) from: &'a Arc<Inode>,
    /// The name there.
    pub(crate) from_name: &'a [u8],
    /// What it names.
    pub(crate) moved: &'a Arc<Inode>,
    /// The directory it goes to, perhaps the same.
    pub(crate) to: &'a Arc<Inode>,
    /// The name there.
    pub(crate) to_name: &'a [u8],
    /// What had that name; for an exchange it gets the other.
    pub(crate) replaced: Option<&'a Arc<Inode>>,
    /// `RENAME_EXCHANGE`.
    pub(crate) exchange: bool,
}

/// Takes directory entries and the cursor after each; `false` stops the listing.
pub(crate) type Emit<'a> = dyn FnMut(&Entry<'_>, u64) -> bool + 'a;

/// What a file system does for its inodes. The defaults are for what it doesn't have.
pub(crate) trait InodeOps: Send + Sync {
    /// The child `name` of a directory.
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        let _ = (dir, name);
        Err(Errno::ENOTDIR)
    }

    /// Whether what [`Self::lookup`] answers may be remembered. Not where names come and go by
    /// themselves, as in `/proc`.
    fn cacheable(&self) -> bool {
        true
    }

    /// Makes something under a name that is free.
    fn create(
        &self,
        dir: &Arc<Inode>,
        name: &[u8],
        new: &NewInode<'_>,
    ) -> Result<Arc<Inode>, Errno> {
        let _ = (dir, name, new);
        Err(Errno::EPERM)
    }

    /// Makes a regular file without a name (`O_TMPFILE`).
    fn create_unnamed(&self, dir: &Arc<Inode>, new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        let _ = (dir, new);
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives an inode another name.
    fn link(&self, dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        let _ = (dir, name, inode);
        Err(Errno::EPERM)
    }

    /// Removes a name of something that isn't a directory.
    fn unlink(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        let _ = (dir, name, victim);
        Err(Errno::EPERM)
    }

    /// Removes a directory; ENOTEMPTY unless it is empty.
    fn rmdir(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        let _ = (dir, name, victim);
        Err(Errno::EPERM)
    }

    /// Moves a name; what is replaced goes as by `unlink` or `rmdir`.
    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let _ = rename;
        Err(Errno::EPERM)
    }

    /// Lists a directory from `cursor` on; 0 is the beginning, and `.` and `..` are the VFS's:
    /// cursors 0 and 1 never come, the first entry of the file system's own is at 2 or later.
    fn readdir(&self, dir: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        let _ = (dir, cursor, emit);
        Err(Errno::ENOTDIR)
    }

    /// The text of a symbolic link.
    fn readlink(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        let _ = inode;
        Err(Errno::EINVAL)
    }

    /// Where a symbolic link leads.
    fn follow(&self, inode: &Arc<Inode>) -> Result<Link<Path>, Errno> {
        self.readlink(inode).map(Link::Text)
    }

    /// Opens the inode. Permissions are checked, truncation is the VFS's. The default goes by the
    /// type: files with a mapping, directories, FIFOs and devices need nothing of their own.
    fn open(&self, inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        super::open_by_type(inode, flags)
    }

    /// Brings [`Inode::attr`] up to date before it is shown.
    fn refresh(&self, inode: &Inode) -> Result<(), Errno> {
        let _ = inode;
        Ok(())
    }

    /// Carries out a change of attributes that is allowed, the size left out; afterwards the VFS
    /// applies it to [`Inode::attr`].
    fn set_attr(&self, inode: &Arc<Inode>, change: &SetAttr) -> Result<(), Errno> {
        let _ = (inode, change);
        Ok(())
    }

    /// Cuts a regular file, or lets it grow with a hole; [`Inode::lock`] is held.
    fn truncate(&self, inode: &Arc<Inode>, size: u64) -> Result<(), Errno> {
        inode.mapping().ok_or(Errno::EINVAL)?.truncate(size)
    }

    /// Carries `fallocate` out; [`Inode::lock`] is held, the range is checked. The default makes
    /// no space certain, which is right where space is memory.
    fn allocate(&self, inode: &Arc<Inode>, request: &Allocate) -> Result<(), Errno> {
        request.generic(inode)
    }

    /// [`Inode::attr`] changed by itself (times, size): it is to be written out some day.
    fn touched(&self, inode: &Inode) {
        let _ = inode;
    }

    /// Brings the inode, and its data unless they are in its mapping only, to the disk.
    fn sync(&self, inode: &Arc<Inode>, data_only: bool) -> Result<(), Errno> {
        let _ = (inode, data_only);
        Ok(())
    }

    /// The value of an extended attribute.
    fn get_xattr(&self, inode: &Arc<Inode>, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let _ = (inode, name);
        Err(Errno::EOPNOTSUPP)
    }

    /// Sets an extended attribute, or removes it (`None`).
    fn set_xattr(
        &self,
        inode: &Arc<Inode>,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
    ) -> Result<(), Errno> {
        let _ = (inode, name, value, mode);
        Err(Errno::EOPNOTSUPP)
    }

    /// The names of all extended attributes, each ended by a NUL.
    fn list_xattr(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        let _ = inode;
        Ok(Vec::new())
    }

    /// The object itself, for a file system that needs its own side of another inode.
    fn as_any(&self) -> Option<&dyn core::any::Any> {
        None
    }
}

/// What `fallocate` is asked to do with `offset..offset + len`.
#[derive(Clone, Copy)]
pub(crate) struct Allocate {
    /// First byte.
    pub(crate) offset: u64,
    /// Bytes, at least one.
    pub(crate) len: u64,
    /// What becomes of what is there.
    pub(crate) kind: AllocateKind,
    /// `FALLOC_FL_KEEP_SIZE`: the file doesn't grow.
    pub(crate) keep_size: bool,
}

/// The modes of `fallocate` that exist here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllocateKind {
    /// Space is made certain.
    Reserve,
    /// A hole is made.
    Punch,
    /// Zeros are put there.
    Zero,
}

impl Allocate {
    /// The part of the work that the page cache can do: the size, holes and zeros.
    pub(crate) fn generic(&self, inode: &Inode) -> Result<(), Errno> {
        let mapping = inode.mapping().ok_or(Errno::EOPNOTSUPP)?;
        let end = self.offset.checked_add(self.len).ok_or(Errno::EFBIG)?;
        if self.kind != AllocateKind::Reserve {
            super::regular::zero_range(mapping, self.offset, end.min(mapping.size()))?;
        }
        if !self.keep_size && end > mapping.size() {
            mapping.truncate(end)?;
        }
        Ok(())
    }
}

/// What an inode is made of.
pub(crate) struct InodeParts {
    /// The file system it belongs to.
    pub(crate) sb: Arc<SuperBlock>,
    /// Its number.
    pub(crate) ino: u64,
    /// Its attributes.
    pub(crate) attr: Attr,
    /// Its pages, when it has any. The size is there.
    pub(crate) mapping: Option<Arc<Mapping>>,
    /// What its file system does for it.
    pub(crate) ops: Arc<dyn InodeOps>,
}

/// A file, whatever its names.
pub(crate) struct Inode {
    ino: u64,
    kind: FileType,
    rdev: DeviceNumber,
    sb: Arc<SuperBlock>,
    attr: SpinLock<Attr>,
    /// Serialises changes: of a directory's names, of a file's size and contents.
    pub(crate) lock: Mutex<()>,
    mapping: Option<Arc<Mapping>>,
    ops: Arc<dyn InodeOps>,
    /// Above zero: open for writing so many times. Below: being executed so many times.
    writers: AtomicI32,
    extra: SpinLock<Extra>,
}

/// What few inodes have.
#[derive(Default)]
struct Extra {
    locks: Option<Arc<Locks>>,
    pipe: Weak<Pipe>,
}

impl Inode {
    /// A new inode.
    pub(crate) fn new(parts: InodeParts) -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            ino: parts.ino,
            kind: parts.attr.kind,
            rdev: parts.attr.rdev,
            sb: parts.sb,
            attr: SpinLock::new(parts.attr),
            lock: Mutex::new(()),
            mapping: parts.mapping,
            ops: parts.ops,
            writers: AtomicI32::new(0),
            extra: SpinLock::new(Extra {
                locks: None,
                pipe: Weak::new(),
            }),
        })
    }

    /// Its number.
    pub(crate) fn ino(&self) -> u64 {
        self.ino
    }

    /// What it is.
    pub(crate) fn kind(&self) -> FileType {
        self.kind
    }

    /// The device it stands for.
    pub(crate) fn rdev(&self) -> DeviceNumber {
        self.rdev
    }

    /// The file system it belongs to.
    pub(crate) fn sb(&self) -> &Arc<SuperBlock> {
        &self.sb
    }

    /// What its file system does for it.
    pub(crate) fn ops(&self) -> &Arc<dyn InodeOps> {
        &self.ops
    }

    /// Its pages.
    pub(crate) fn mapping(&self) -> Option<&Arc<Mapping>> {
        self.mapping.as_ref()
    }

    /// Its length in bytes.
    pub(crate) fn size(&self) -> u64 {
        match &self.mapping {
            Some(mapping) => mapping.size(),
            None => self.attr.lock().size,
        }
    }

    /// Its attributes.
    pub(crate) fn attr(&self) -> Attr {
        let mut attr = *self.attr.lock();
        if let Some(mapping) = &self.mapping {
            attr.size = mapping.size();
        }
        attr
    }

    /// Looks at the attributes in place, without a copy; their size may be out of date.
    pub(crate) fn with_attr<T>(&self, look: impl FnOnce(&Attr) -> T) -> T {
        look(&self.attr.lock())
    }

    /// Changes the attributes; nothing is told of it.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Attr) -> T) -> T {
        change(&mut self.attr.lock())
    }

    /// Changes the attributes, to be written out some day.
    pub(crate) fn touch(&self, change: impl FnOnce(&mut Attr)) {
        self.update(change);
        self.ops.touched(self);
    }

    /// Stamps a change of the contents.
    pub(crate) fn modified(&self) {
        let now = clock::now();
        self.touch(|attr| (attr.mtime, attr.ctime) = (now, now));
    }

    /// Stamps a change of the inode.
    pub(crate) fn changed(&self) {
        let now = clock::now();
        self.touch(|attr| attr.ctime = now);
    }

    /// Stamps a reading, where the access time is due.
    pub(crate) fn accessed(&self) {
        let due = self.with_attr(|attr| attr.relatime_due(clock::lately()));
        if due && !self.sb.read_only() {
            let now = clock::now();
            self.touch(|attr| attr.atime = now);
        }
    }

    /// Carries out a change of attributes, size included, with the change time set.
    /// [`Self::lock`] is held.
    pub(crate) fn set_attr(self: &Arc<Self>, mut change: SetAttr) -> Result<(), Errno> {
        let now = clock::now();
        change.ctime = Some(now);
        if let Some(size) = change.size.take() {
            if size != self.size() {
                self.ops.truncate(self, size)?;
            }
            change.mtime = change.mtime.or(Some(now));
        }
        self.ops.set_attr(self, &change)?;
        self.update(|attr| attr.apply(&change));
        self.ops.touched(self);
        Ok(())
    }

    /// Takes setuid and setgid away after a write by somebody without the privilege to keep them.
    pub(crate) fn drop_privilege(
        self: &Arc<Self>,
        mode: impl FnOnce(&Attr) -> Option<u32>,
    ) -> Result<(), Errno> {
        let mode = self.with_attr(mode);
        if mode.is_none() {
            return Ok(());
        }
        self.set_attr(SetAttr {
            mode,
            ..SetAttr::default()
        })
    }

    /// Whether its last name is gone.
    pub(crate) fn is_dead(&self) -> bool {
        self.with_attr(|attr| attr.nlink == 0)
    }

    /// Counts an opening for writing; ETXTBSY while it is executed.
    pub(crate) fn begin_writing(&self) -> Result<(), Errno> {
        self.count_writers(1, |count| count >= 0)
    }

    /// Ends what [`Self::begin_writing`] began.
    pub(crate) fn end_writing(&self) {
        self.writers.fetch_sub(1, Ordering::AcqRel);
    }

    /// Keeps writers out while it is executed; ETXTBSY when there are some.
    pub(crate) fn deny_writing(&self) -> Result<(), Errno> {
        self.count_writers(-1, |count| count <= 0)
    }

    /// Ends what [`Self::deny_writing`] began.
    pub(crate) fn allow_writing(&self) {
        self.writers.fetch_add(1, Ordering::AcqRel);
    }

    fn count_writers(&self, step: i32, allowed: impl Fn(i32) -> bool) -> Result<(), Errno> {
        self.writers
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                allowed(count).then(|| count.checked_add(step))?
            })
            .map(|_| ())
            .map_err(|_| Errno::ETXTBSY)
    }

    /// Its advisory locks, if it ever had any.
    pub(crate) fn existing_locks(&self) -> Option<Arc<Locks>> {
        self.extra.lock().locks.clone()
    }

    /// Its advisory locks.
    pub(crate) fn locks(&self) -> Result<Arc<Locks>, Errno> {
        if let Some(locks) = self.existing_locks() {
            return Ok(locks);
        }
        let fresh = try_arc(Locks::new())?;
        let mut extra = self.extra.lock();
        Ok(Arc::clone(extra.locks.get_or_insert(fresh)))
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
