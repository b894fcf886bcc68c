//! The file system `mqueue`: one directory with a file for every queue. Whoever mounts it sees the
//! same one; the calls use it without a mount.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::dirent::Entry;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::perm::{Capability, Want};
use kiln_core::fs::stat::StatFs;
use kiln_core::ipc::posix::Shape;
use kiln_core::num::u64_of;

use super::{OpenQueue, Queue};
use crate::fs::inode::{Emit, NewInode};
use crate::fs::memory::{try_arc, try_box, try_copy, try_push};
use crate::fs::superblock::{check_options, no_option};
use crate::fs::{
    Dentry, File, FileOps, FileSystemType, Inode, InodeOps, InodeParts, Lookup, Mount, MountFlags,
    MountRequest, Path, SuperBlock, SuperOps, clock, vfs,
};
use crate::process::current;
use crate::sched::Mutex;
use crate::sync::{Once, SpinLock};

/// The type.
pub(crate) const TYPE: FileSystemType = FileSystemType {
    name: "mqueue",
    driver: None,
    option: Some(no_option),
    mount: |request: &MountRequest<'_>| {
        check_options(request.options, no_option)?;
        Ok(Arc::clone(root()?.dentry.inode().ok_or(Errno::ENOENT)?))
    },
};

/// linux/magic.h.
const MQUEUE_MAGIC: u32 = 0x1980_0202;
/// What `st_size` says of a queue, and how much of a directory's each is (ipc/mqueue.c's
/// `FILENT_SIZE` and `DIRENT_SIZE`, which stat(2) shows).
const FILE_SIZE: u64 = 80;
const ENTRY_SIZE: u64 = 20;
/// Cursors 0 and 1 are `.` and `..`.
const FIRST_CURSOR: u64 = 2;

/// A name in the directory.
struct Name {
    cursor: u64,
    name: Box<[u8]>,
    inode: Arc<Inode>,
}

/// The directory.
struct Directory {
    names: Mutex<Vec<Name>>,
    next_cursor: AtomicU64,
}

struct Super;

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs {
            magic: MQUEUE_MAGIC,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }
}

/// The root of the mount that the calls use.
fn root() -> Result<&'static Path, Errno> {
    static ROOT: Once<Path> = Once::new();
    ROOT.try_call_once(|| {
        let sb = SuperBlock::new("mqueue", try_box(Super)?)?;
        let mut attr = Attr::new(FileType::Directory, 0o1777, 0, 0, clock::now());
        attr.nlink = 2;
        let inode = Inode::new(InodeParts {
            ino: sb.new_ino(),
            sb,
            attr,
            mapping: None,
            ops: try_arc(Directory {
                names: Mutex::new(Vec::new()),
                next_cursor: AtomicU64::new(FIRST_CURSOR),
            })?,
        })?;
        let mount = Mount::new(Dentry::root(inode)?, MountFlags::empty(), b"none".into())?;
        Ok(Path::root_of(&mount))
    })
}

fn directory() -> Result<(&'static Path, &'static Arc<Inode>), Errno> {
    let root = root()?;
    Ok((root, root.inode()?))
}

/// Bytes that the queues of each user count for.
static SHARES: SpinLock<Vec<(u32, u64)>> = SpinLock::new(Vec::new());

/// Part of a user's `RLIMIT_MSGQUEUE`, given back when it goes.
pub(super) struct Share {
    uid: u32,
    bytes: u64,
}

impl Share {
    /// Takes so much; EMFILE when the user has too much then.
    fn take(bytes: u64) -> Result<Self, Errno> {
        let task = current().ok_or(Errno::EMFILE)?;
        let uid = task.creds().uids.real;
        let limit = task.process().limit(abi::RLIMIT_MSGQUEUE);
        let mut shares = SHARES.lock();
        let at = shares.iter().position(|(owner, _)| *owner == uid);
        let had = at.and_then(|at| shares.get(at)).map_or(0, |share| share.1);
        let now = had
            .checked_add(bytes)
            .filter(|now| *now <= limit)
            .ok_or(Errno::EMFILE)?;
        match at.and_then(|at| shares.get_mut(at)) {
            Some(share) => share.1 = now,
            None => try_push(&mut shares, (uid, now))?,
        }
        Ok(Self { uid, bytes })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = SHARES.lock();
        for share in shares.iter_mut().filter(|share| share.0 == self.uid) {
            share.1 -= self.bytes;
        }
        shares.retain(|share| share.1 > 0);
    }
}

impl Directory {
    fn find(&self, name: &[u8]) -> Option<Arc<Inode>> {
        let names = self.names.lock();
        let found = names.iter().find(|entry| *entry.name == *name);
        found.map(|entry| Arc::clone(&entry.inode))
    }

    /// Makes a queue under a name that is free; the directory is locked.
    fn make(
        &self,
        dir: &Arc<Inode>,
        name: &[u8],
        new: &NewInode<'_>,
        shape: Shape,
    ) -> Result<Arc<Inode>, Errno> {
        let privileged = current().is_none_or(|task| task.creds().has(abi::CAP_SYS_RESOURCE));
        let most = super::MAX_QUEUES.load(Ordering::Relaxed);
        if u64_of(self.names.lock().len()) >= most && !privileged {
            return Err(Errno::ENOSPC);
        }
        let share = Share::take(shape.bytes()?)?;
        let mut attr = Attr::new(FileType::Regular, new.mode, new.uid, new.gid, clock::now());
        attr.size = FILE_SIZE;
        attr.nlink = 1;
        let inode = Inode::new(InodeParts {
            sb: Arc::clone(dir.sb()),
            ino: dir.sb().new_ino(),
            attr,
            mapping: None,
            ops: try_arc(Node(Queue::new(shape, share)?))?,
        })?;
        let entry = Name {
            cursor: self.next_cursor.fetch_add(1, Ordering::Relaxed),
            name: try_copy(name)?.into_boxed_slice(),
            inode: Arc::clone(&inode),
        };
        try_push(&mut self.names.lock(), entry)?;
        dir.update(|attr| attr.size += ENTRY_SIZE);
        dir.modified();
        Ok(inode)
    }
}

impl InodeOps for Directory {
    fn lookup(&self, _: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        Ok(self.find(name))
    }

    fn cacheable(&self) -> bool {
        false
    }

    fn create(
        &self,
        dir: &Arc<Inode>,
        name: &[u8],
        new: &NewInode<'_>,
    ) -> Result<Arc<Inode>, Errno> {
        if new.kind != FileType::Regular {
            return Err(Errno::EPERM);
        }
        self.make(dir, name, new, super::usual_shape())
    }

    fn unlink(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        let removed = {
            let mut names = self.names.lock();
            let at = names.iter().position(|entry| *entry.name == *name);
            at.map(|at| names.remove(at))
        };
        victim.update(|attr| attr.nlink = 0);
        victim.changed();
        dir.update(|attr| attr.size = attr.size.saturating_sub(ENTRY_SIZE));
        dir.modified();
        drop(removed);
        Ok(())
    }

    fn readdir(&self, _: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        let mut cursor = cursor.max(FIRST_CURSOR);
        loop {
            let next = {
                let names = self.names.lock();
                let entry = names.iter().find(|entry| entry.cursor >= cursor);
                match entry {
                    Some(entry) => (try_copy(&entry.name)?, entry.inode.ino(), entry.cursor),
                    None => return Ok(()),
                }
            };
            let (name, ino, at) = next;
            cursor = at + 1;
            let entry = Entry {
                ino,
                kind: FileType::Regular.dirent(),
                name: &name,
            };
            if !emit(&entry, cursor) {
                return Ok(());
            }
        }
    }
}

/// A queue's inode.
struct Node(Arc<Queue>);

impl InodeOps for Node {
    fn open(&self, _: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        if flags.has(abi::O_PATH) {
            return Ok(crate::fs::file::path_ops());
        }
        Ok(try_arc(OpenQueue(Arc::clone(&self.0)))?)
    }

    fn truncate(&self, _: &Arc<Inode>, _: u64) -> Result<(), Errno> {
        Ok(())
    }
}

/// A message was sent or received.
pub(super) fn touch(inode: &Inode) {
    let now = clock::now();
    inode.update(|attr| (attr.atime, attr.mtime, attr.ctime) = (now, now, now));
}

/// Something else was.
pub(crate) fn touch_access(inode: &Inode) {
    let now = clock::now();
    inode.update(|attr| (attr.atime, attr.ctime) = (now, now));
}

/// EACCES for what can't be a queue's name: without the slash that the C library takes away, and
/// not a directory's.
fn check_name(name: &[u8]) -> Result<(), Errno> {
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Err(Errno::EACCES);
    }
    if name.len() > kiln_core::path::NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    Ok(())
}

/// mq_open(3): opens the queue, or makes it. `asked` is its shape, by the words of `struct mq_attr`.
///
/// # Errors
/// As there.
pub(crate) fn open(
    lookup: &Lookup<'_>,
    name: &[u8],
    flags: OpenFlags,
    mode: u32,
    asked: Option<(i64, i64)>,
) -> Result<Arc<File>, Errno> {
    check_name(name)?;
    let (root, dir) = directory()?;
    lookup.check(dir, Want::EXEC)?;
    let guard = dir.lock.lock();
    let names: &Directory = dir.ops_as().ok_or(Errno::ENOENT)?;
    let inode = match names.find(name) {
        None if !flags.has(abi::O_CREAT) => return Err(Errno::ENOENT),
        None => {
            lookup.check(dir, Want::WRITE | Want::EXEC)?;
            let privileged = lookup.can(Capability::SysResource);
            let shape = match asked {
                Some((messages, size)) => {
                    Shape::asked(messages, size, super::limits(), privileged)?
                }
                None => super::usual_shape(),
            };
            let new = NewInode {
                kind: FileType::Regular,
                mode: mode & 0o777 & !lookup.fs.umask(),
                uid: lookup.who.uid,
                gid: lookup.who.gid,
                rdev: kiln_core::fs::attr::DeviceNumber::default(),
                target: b"",
            };
            names.make(dir, name, &new, shape)?
        }
        Some(_) if flags.has(abi::O_CREAT) && flags.has(abi::O_EXCL) => {
            return Err(Errno::EEXIST);
        }
        Some(inode) => {
            let access = flags.raw & abi::O_ACCMODE;
            if access == abi::O_ACCMODE {
                return Err(Errno::EINVAL);
            }
            let want = match access {
                abi::O_RDONLY => Want::READ,
                abi::O_WRONLY => Want::WRITE,
                _ => Want::READ | Want::WRITE,
            };
            lookup.check(&inode, want)?;
            inode
        }
    };
    drop(guard);
    let ops = inode.ops().open(&inode, flags)?;
    let dentry = root.dentry.passing(name, inode)?;
    File::new(root.with(dentry), ops, flags)
}

/// mq_unlink(3).
///
/// # Errors
/// As there.
pub(crate) fn unlink(lookup: &Lookup<'_>, name: &[u8]) -> Result<(), Errno> {
    check_name(name)?;
    let (root, _) = directory()?;
    let at_root = Lookup::new(lookup.fs, lookup.who).at(Some(root.clone()));
    vfs::unlink(&at_root, name)
}
