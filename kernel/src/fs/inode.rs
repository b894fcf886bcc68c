//! [`Inode`]: a file as the file system knows it, whatever its names; [`InodeOps`]: what a file
//! system does for it.
//!
//! The VFS checks permissions and types, holds the locks and keeps the dentry cache; an
//! implementation of [`InodeOps`] carries a checked request out, and keeps the attributes of every
//! inode that the request changes up to date through [`Inode::update`]. Calls on a directory come
//! with its [`Inode::lock`] held (both directories' for a rename, and the victim's when a
//! directory is removed).

mod extra;
mod ops;

use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, Ordering};
use kiln_core::errno::Errno;
use kiln_core::fs::acl::{self, Acl};
use kiln_core::fs::attr::{Attr, DeviceNumber, FileType, NO_ATIME, SYNCHRONOUS, SetAttr};
use kiln_core::fs::perm::{Identity, Want};
use kiln_core::fs::xattr::{FILE_CAPABILITIES, SetMode};

use super::memory::try_arc;
use super::mount::MountFlags;
use super::superblock::SuperBlock;
use super::{clock, limits};
use crate::sched::Mutex;
use crate::sync::SpinLock;
use crate::vm::Mapping;

use extra::Extra;
pub(crate) use ops::{Allocate, AllocateKind, Emit, Extent, InodeOps, NewInode, Rename};

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
    /// Open for reading alone so many times.
    readers: AtomicI32,
    extra: SpinLock<Extra>,
    /// What any of its watches wants to be told (inotify(7)).
    watched: AtomicU32,
    /// `extra` says whether there is an access control list.
    acl_known: AtomicBool,
    /// It is known to give its executor no capabilities (`S_NOSEC`).
    gives_nothing: AtomicBool,
    /// How long what is written will live (`F_SET_RW_HINT`).
    write_hint: AtomicU8,
    /// What is written goes to the disk at once (chattr's S).
    synchronous: AtomicBool,
}

impl Inode {
    /// A new inode.
    pub(crate) fn new(parts: InodeParts) -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            ino: parts.ino,
            kind: parts.attr.kind,
            rdev: parts.attr.rdev,
            sb: parts.sb,
            synchronous: AtomicBool::new(parts.attr.has(SYNCHRONOUS)),
            attr: SpinLock::new(parts.attr),
            lock: Mutex::new(()),
            mapping: parts.mapping,
            ops: parts.ops,
            writers: AtomicI32::new(0),
            readers: AtomicI32::new(0),
            extra: SpinLock::new(Extra::default()),
            acl_known: AtomicBool::new(false),
            gives_nothing: AtomicBool::new(false),
            write_hint: AtomicU8::new(0),
            watched: AtomicU32::new(0),
        })
    }

    /// The root directory of a file system that tells what the kernel knows: everybody may read it, nobody
    /// change it.
    pub(crate) fn told_root(
        sb: Arc<SuperBlock>,
        ops: Arc<dyn InodeOps>,
    ) -> Result<Arc<Self>, Errno> {
        Self::new(InodeParts {
            sb,
            ino: 1,
            attr: Attr::new(FileType::Directory, 0o555, 0, 0, clock::now()),
            mapping: None,
            ops,
        })
    }

    /// Whether `want` is granted to `who`.
    pub(crate) fn check(self: &Arc<Self>, who: &Identity<'_>, want: Want) -> Result<(), Errno> {
        let (granted, by_list) =
            self.with_attr(|attr| (who.check(attr, want), who.heeds_acl(attr, want)));
        if by_list
            && granted != Err(Errno::EPERM)
            && let Some(list) = self.access_list()?
        {
            return self.with_attr(|attr| list.check(who, attr, want));
        }
        granted
    }

    /// Its access control list.
    pub(crate) fn access_list(self: &Arc<Self>) -> Result<Option<Arc<Acl>>, Errno> {
        if self.acl_known.load(Ordering::Acquire) {
            return Ok(self.extra.lock().acl.clone());
        }
        let list = match self.ops.get_xattr(self, acl::ACCESS) {
            Ok(value) => Acl::parse(&value)?.map(try_arc).transpose()?,
            Err(Errno::ENODATA | Errno::EOPNOTSUPP) => None,
            Err(error) => return Err(error),
        };
        self.extra.lock().acl.clone_from(&list);
        self.acl_known.store(true, Ordering::Release);
        Ok(list)
    }

    /// The access control list has changed.
    pub(crate) fn forget_access_list(&self) {
        self.acl_known.store(false, Ordering::Release);
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

    /// The same as what one file system has for it, if it is of that one.
    #[inline(never)]
    pub(crate) fn ops_as<T: InodeOps>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.ops;
        any.downcast_ref()
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
    #[inline]
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

    /// Stamps a change of contents that left the size as it was: nothing new, when another has come at this time.
    pub(crate) fn rewritten(&self) {
        let now = clock::now();
        let news = self.update(|attr| {
            let before = core::mem::replace(&mut attr.mtime, now);
            (before, core::mem::replace(&mut attr.ctime, now)) != (now, now)
        });
        if news {
            self.ops.touched(self);
        }
    }

    /// Stamps a change of the inode.
    pub(crate) fn changed(&self) {
        let now = clock::now();
        self.touch(|attr| attr.ctime = now);
    }

    /// Stamps a reading, where the access time is due.
    pub(crate) fn accessed(&self) {
        let due = self.with_attr(|attr| attr.relatime_due(clock::lately()) && !attr.has(NO_ATIME));
        if due && !self.sb.read_only() {
            let now = clock::now();
            self.touch(|attr| attr.atime = now);
        }
    }

    /// Stamps a reading whenever there is one (`strictatime`).
    pub(crate) fn accessed_always(&self) {
        if !self.sb.read_only() {
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
        let synchronous = self.update(|attr| {
            attr.apply(&change);
            attr.has(SYNCHRONOUS)
        });
        self.synchronous.store(synchronous, Ordering::Relaxed);
        self.ops.touched(self);
        Ok(())
    }

    /// Whether what is written goes to the disk at once, by the file's flag or its file system's.
    pub(crate) fn is_synchronous(&self) -> bool {
        self.synchronous.load(Ordering::Relaxed) || self.sb.flags().contains(MountFlags::SYNC)
    }

    /// Takes away what the file gives its executor, before the running program changes its contents
    /// (`file_remove_privs` of Linux): the capabilities, and set-id bits unless that has `CAP_FSETID`. The file must be locked.
    pub(crate) fn remove_privs(self: &Arc<Self>) -> Result<(), Errno> {
        self.drop_capabilities()?;
        let mode = self.with_attr(|attr| {
            let mode = attr.mode_without_privilege();
            (mode != attr.mode).then_some(mode)
        });
        if mode.is_none() || limits::keeps_set_id() {
            return Ok(());
        }
        self.set_attr(SetAttr {
            mode,
            ..SetAttr::default()
        })
    }

    /// Says that it has just been made, and gives its executor nothing.
    pub(crate) fn note_made(&self) {
        self.gives_nothing.store(true, Ordering::Relaxed);
    }

    /// Sets or takes away an extended attribute. The file must be locked.
    pub(crate) fn set_xattr(
        self: &Arc<Self>,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
    ) -> Result<(), Errno> {
        self.gives_nothing.store(false, Ordering::Relaxed);
        self.ops.set_xattr(self, name, value, mode)
    }

    /// Takes away what the file gives its executor, which goes with its contents and with its owner. It must be
    /// locked.
    #[inline]
    pub(crate) fn drop_capabilities(self: &Arc<Self>) -> Result<(), Errno> {
        if self.gives_nothing.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.drop_capabilities_now()
    }

    #[cold]
    fn drop_capabilities_now(self: &Arc<Self>) -> Result<(), Errno> {
        match self.set_xattr(FILE_CAPABILITIES, None, SetMode::Replace) {
            Ok(()) | Err(Errno::ENODATA | Errno::EOPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
        self.note_made();
        Ok(())
    }

    /// How long what is written will live, and a new word on it (`RWH_*`): kept and told.
    pub(crate) fn write_hint(&self, new: Option<u8>) -> u8 {
        match new {
            Some(hint) => self.write_hint.swap(hint, Ordering::Relaxed),
            None => self.write_hint.load(Ordering::Relaxed),
        }
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
}
