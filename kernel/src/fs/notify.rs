//! Telling watchers what happens to files: the calls that the rest of this room makes when
//! something did. As long as nobody has ever watched anything, each is one load and a branch.
//!
//! An event of a file goes to the watches of its directory, with its name, and to its own. The
//! order of events is Linux's (`fsnotify.h`, fs/namei.c), which programs can see.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kiln_core::abi;
use kiln_core::fs::attr::FileType;

use super::dentry::Dentry;
use super::file::File;
use super::inode::Inode;
use super::inotify::Seen;
use super::mount::Path;

/// Something is, or was, watched.
static ACTIVE: AtomicBool = AtomicBool::new(false);
static COOKIES: AtomicU32 = AtomicU32::new(0);

/// From now on events are looked at.
pub(super) fn begin() {
    ACTIVE.store(true, Ordering::Release);
}

/// Whether anybody ever watched anything.
#[inline]
fn active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

/// The event's mask, with `IN_ISDIR` where it is about a directory.
fn about(inode: &Inode, mask: u32) -> u32 {
    match inode.kind() {
        FileType::Directory => mask | abi::IN_ISDIR,
        _ => mask,
    }
}

/// Something happened to an open file: it was read, written, opened, closed.
#[inline]
pub(crate) fn file(file: &File, mask: u32) {
    if active() && !file.is_path() {
        on_dentry(&file.path.dentry, &file.inode, mask);
    }
}

/// Something happened to what `path` names.
#[inline]
pub(crate) fn path(path: &Path, mask: u32) {
    if active()
        && mask != 0
        && let Some(inode) = path.dentry.inode()
    {
        on_dentry(&path.dentry, inode, mask);
    }
}

#[cold]
fn on_dentry(dentry: &Arc<Dentry>, inode: &Arc<Inode>, mask: u32) {
    let mask = about(inode, mask);
    if let Some(parent) = dentry.parent()
        && let Some(dir) = parent.inode()
        && dir.watched() & mask != 0
        && let Ok(name) = dentry.name()
    {
        let unlinked = !dentry.is_hashed();
        super::inotify::tell(
            dir,
            &Seen {
                mask,
                name: &name,
                cookie: 0,
                unlinked,
            },
        );
        super::dnotify::tell(dir, mask);
    }
    on_inode(inode, mask);
}

/// Tells the inode's own watches.
fn on_inode(inode: &Arc<Inode>, mask: u32) {
    if inode.watched() & mask & abi::IN_ALL_EVENTS != 0 {
        super::inotify::tell(inode, &Seen::own(mask));
        if mask & abi::IN_ISDIR != 0 {
            super::dnotify::tell(inode, mask);
        }
    }
}

/// A file that tells what the kernel knows, named `name` in `dir`, has another text.
pub(crate) fn modified(dir: Option<&Arc<Inode>>, name: &[u8], inode: &Arc<Inode>) {
    if active() {
        if let Some(dir) = dir {
            in_directory(dir, name, abi::IN_MODIFY, 0);
        }
        on_inode(inode, abi::IN_MODIFY);
    }
}

/// The number of an inode's names changed.
#[inline]
pub(super) fn links(inode: &Arc<Inode>) {
    if active() {
        on_inode(inode, about(inode, abi::IN_ATTRIB));
    }
}

/// `IN_CREATE` or `IN_DELETE`: a name in `dir` of `inode`.
#[inline]
pub(super) fn name(dir: &Arc<Inode>, name: &[u8], inode: &Inode, mask: u32) {
    if active() {
        in_directory(dir, name, about(inode, mask), 0);
    }
}

fn in_directory(dir: &Arc<Inode>, name: &[u8], mask: u32, cookie: u32) {
    if dir.watched() & mask != 0 {
        super::inotify::tell(
            dir,
            &Seen {
                mask,
                name,
                cookie,
                unlinked: false,
            },
        );
        super::dnotify::tell(dir, mask);
    }
}

/// A name moved.
pub(super) fn moved(
    (from, from_name): (&Arc<Inode>, &[u8]),
    (to, to_name): (&Arc<Inode>, &[u8]),
    inode: &Arc<Inode>,
    replaced: Option<&Arc<Inode>>,
) {
    if !active() {
        return;
    }
    let cookie = COOKIES.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    if Arc::ptr_eq(from, to) && from.watched() != 0 {
        super::dnotify::tell(from, super::dnotify::RENAMED);
    }
    in_directory(from, from_name, about(inode, abi::IN_MOVED_FROM), cookie);
    in_directory(to, to_name, about(inode, abi::IN_MOVED_TO), cookie);
    if let Some(replaced) = replaced {
        on_inode(replaced, about(replaced, abi::IN_ATTRIB));
    }
    on_inode(inode, abi::IN_MOVE_SELF);
}

/// A dentry goes away: perhaps the last thing that held a file without names.
#[inline]
pub(super) fn dropped(inode: Option<&Arc<Inode>>) {
    if active()
        && let Some(inode) = inode
        && inode.watched() != 0
        && inode.is_dead()
    {
        on_inode(inode, abi::IN_DELETE_SELF);
        super::inotify::forget(inode);
    }
}

/// A file system is no longer to be seen anywhere.
pub(super) fn unmounted(sb: &Arc<super::SuperBlock>) {
    if active() {
        super::inotify::unmounted(sb);
    }
}
