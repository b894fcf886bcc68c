//! Opening files: open(2) with all its flags.

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{APPEND_ONLY, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::perm::{Capability, Want};
use kiln_core::path::{Last, Shape, Tree, Walker};

use super::create::{Node, create_locked};
use super::{resolve, truncate_inode, walk};
use crate::fs::context::Lookup;
use crate::fs::file::File;
use crate::fs::inode::{Inode, NewInode};
use crate::fs::mount::{MountFlags, Path};
use crate::fs::{lease, pipe};

/// What the walk of an open came to.
struct Found {
    path: Path,
    created: bool,
    must_be_dir: bool,
}

/// Opens `path`.
pub(crate) fn open(lookup: &Lookup<'_>, path: &[u8], flags: OpenFlags) -> Result<Arc<File>, Errno> {
    if flags.unnamed() {
        return open_unnamed(lookup, path, flags);
    }
    let found = find(lookup, path, flags)?;
    if flags.has(abi::O_CREAT) && !found.created {
        if flags.has(abi::O_EXCL) {
            return Err(Errno::EEXIST);
        }
        if found.path.inode()?.kind() == FileType::Directory {
            return Err(Errno::EISDIR);
        }
    }
    let wants_dir = found.must_be_dir || flags.has(abi::O_DIRECTORY);
    if wants_dir && lookup.shape(&found.path) != Shape::Directory {
        return Err(Errno::ENOTDIR);
    }
    open_found(lookup, found.path, flags, found.created)
}

/// Opens what is known by its path already: an executable, or a file behind a descriptor.
pub(crate) fn open_path(
    lookup: &Lookup<'_>,
    path: Path,
    flags: OpenFlags,
) -> Result<Arc<File>, Errno> {
    open_found(lookup, path, flags, false)
}

/// Walks to the file, making it when it is missing and `O_CREAT` says so.
fn find(lookup: &Lookup<'_>, path: &[u8], flags: OpenFlags) -> Result<Found, Errno> {
    let mut walker = walk(lookup, path)?;
    loop {
        let node = match walker.to_last()? {
            Last::Root | Last::Dot => walker.node().clone(),
            Last::DotDot => lookup.parent(walker.node())?,
            Last::Name => match last_name(lookup, &walker, flags)? {
                Step::Found(node) => node,
                Step::Created(path) => {
                    return Ok(Found {
                        path,
                        created: true,
                        must_be_dir: false,
                    });
                }
                Step::Follow(link) => {
                    if !walker.follow(&link)? {
                        continue;
                    }
                    walker.node().clone()
                }
            },
        };
        return Ok(Found {
            path: node,
            created: false,
            must_be_dir: walker.must_be_directory(),
        });
    }
}

enum Step {
    Found(Path),
    Created(Path),
    /// A link to go on along.
    Follow(Path),
}

fn last_name(
    lookup: &Lookup<'_>,
    walker: &Walker<'_, Lookup<'_>>,
    flags: OpenFlags,
) -> Result<Step, Errno> {
    let creates = flags.has(abi::O_CREAT);
    if creates && walker.trailing_slash() {
        return Err(Errno::EISDIR);
    }
    let node = match walker.child()? {
        Some(node) => node,
        None if !creates => return Err(Errno::ENOENT),
        None => match make(lookup, walker, flags)? {
            (node, true) => return Ok(Step::Created(node)),
            (node, false) => node,
        },
    };
    if lookup.shape(&node) != Shape::Symlink {
        return Ok(Step::Found(node));
    }
    if flags.follows() || walker.must_be_directory() {
        return Ok(Step::Follow(node));
    }
    Ok(Step::Found(node))
}

/// Makes the file; or finds what somebody else made meanwhile: the answer says whether it is new.
fn make(
    lookup: &Lookup<'_>,
    walker: &Walker<'_, Lookup<'_>>,
    flags: OpenFlags,
) -> Result<(Path, bool), Errno> {
    let dir = walker.node();
    let inode = dir.inode()?;
    let _guard = inode.lock.lock();
    let there = super::locked_child(walker)?;
    if there.inode().is_some() {
        return Ok((dir.with(there), false));
    }
    dir.mount.check_writable()?;
    if !inode.ops().makes_files() {
        super::may_change(lookup, dir)?;
        return Err(Errno::EACCES);
    }
    let dentry = create_locked(lookup, dir, walker.name(), &Node::regular(flags.mode))?;
    Ok((dir.with(dentry), true))
}

fn open_found(
    lookup: &Lookup<'_>,
    path: Path,
    flags: OpenFlags,
    created: bool,
) -> Result<Arc<File>, Errno> {
    let inode = Arc::clone(path.inode()?);
    if flags.has(abi::O_PATH) {
        return File::new(path, crate::fs::file::path_ops(), flags);
    }
    if !created {
        may_open(lookup, &path, &inode, flags)?;
    }
    let ops = match inode.kind() {
        FileType::Fifo => pipe::open(&lookup.who, &inode, flags)?,
        _ => inode.ops().open(&inode, flags)?,
    };
    let file = File::new(path, ops, flags)?;
    if inode.kind() == FileType::Regular {
        if flags.writes() {
            file.begin_writing()?;
        } else if flags.reads() {
            file.begin_reading();
        }
        lease::break_for(&inode, flags.writes(), flags.has(abi::O_NONBLOCK))?;
    }
    file.ops.opened(lookup, &file)?;
    file.tell_opened();
    if flags.has(abi::O_TRUNC) && inode.kind() == FileType::Regular && !created {
        // Whoever only reads it may cut it, too, but not while it is executed.
        inode.begin_writing()?;
        let done = truncate_inode(lookup, &file.path, 0);
        inode.end_writing();
        done?;
    }
    Ok(file)
}

/// `may_open` of Linux's fs/namei.c: what the type and the mount allow, then the permissions.
fn may_open(
    lookup: &Lookup<'_>,
    path: &Path,
    inode: &Arc<Inode>,
    flags: OpenFlags,
) -> Result<(), Errno> {
    let want = flags.want();
    let writes = want.contains(Want::WRITE);
    match inode.kind() {
        FileType::Symlink => return Err(Errno::ELOOP),
        FileType::Directory if writes => return Err(Errno::EISDIR),
        FileType::CharDevice | FileType::BlockDevice if path.mount.has(MountFlags::NO_DEV) => {
            return Err(Errno::EACCES);
        }
        _ => {}
    }
    let on_disk = matches!(inode.kind(), FileType::Regular | FileType::Directory);
    if writes && on_disk && inode.sb().read_only() {
        return Err(Errno::EROFS);
    }
    lookup.check(inode, want)?;
    if writes && on_disk {
        path.mount.check_writable()?;
    }
    if inode.with_attr(|attr| attr.has(APPEND_ONLY)) {
        let overwrites = flags.raw & abi::O_ACCMODE != abi::O_RDONLY && !flags.has(abi::O_APPEND);
        if overwrites || flags.has(abi::O_TRUNC) {
            return Err(Errno::EPERM);
        }
    }
    let owner = inode.with_attr(|attr| attr.uid) == lookup.who.uid;
    if flags.has(abi::O_NOATIME) && !owner && !lookup.can(Capability::Fowner) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// `O_TMPFILE`.
fn open_unnamed(lookup: &Lookup<'_>, path: &[u8], flags: OpenFlags) -> Result<Arc<File>, Errno> {
    let dir = resolve(lookup, path, true)?;
    if lookup.shape(&dir) != Shape::Directory {
        return Err(Errno::ENOTDIR);
    }
    dir.mount.check_writable()?;
    let parent = dir.inode()?;
    lookup.check(parent, Want::WRITE | Want::EXEC)?;
    let default = super::acl::default_of(parent)?;
    let mode = super::acl::mode_for_new(default.as_ref(), flags.mode, lookup.fs.umask());
    let (uid, gid, mode) =
        parent.with_attr(|attr| lookup.who.for_new(attr, FileType::Regular, mode));
    let new = NewInode {
        kind: FileType::Regular,
        mode,
        uid,
        gid,
        rdev: kiln_core::fs::attr::DeviceNumber::default(),
        target: b"",
    };
    let guard = parent.lock.lock();
    let inode = parent.ops().create_unnamed(parent, &new)?;
    drop(guard);
    super::acl::inherit(default.as_ref(), &inode, flags.mode)?;
    let name = alloc::format!("#{}", inode.ino());
    let linkable = !flags.has(abi::O_EXCL);
    let dentry = dir.dentry.temporary(name.as_bytes(), inode, linkable)?;
    open_found(lookup, dir.with(dentry), flags, true)
}
