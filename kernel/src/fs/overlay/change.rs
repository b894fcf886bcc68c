//! Names made, removed and moved: each in the upper layer, with whiteouts over what lies below.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType, SetAttr};
use kiln_core::fs::overlay::{IMPURE, OPAQUE, YES};

use super::Upper;
use super::layers::{Real, clear, is_dir, is_whiteout, mark, set_attr};
use super::node::{Node, node_of};
use crate::fs::Dentry;
use crate::fs::clock;
use crate::fs::inode::{Inode, NewInode, Rename};
use crate::fs::vfs::{self, Node as NewNode};

/// What the upper layer has of a name.
fn there(dir: &Arc<Dentry>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
    let child = Real::new(0, Arc::clone(dir)).child(name)?;
    child.map(|child| child.inode().cloned()).transpose()
}

/// The directory in the upper layer, copied there if need be.
fn directory(node: &Node, dir: &Arc<Inode>) -> Result<Arc<Dentry>, Errno> {
    node.overlay.copy_up(dir, true)
}

/// A name in `dir` has come or gone.
fn changed(node: &Node, dir: &Arc<Inode>) -> Result<(), Errno> {
    node.listing.lock().forget();
    node.take_attributes(dir)
}

/// Gives what was just made the owner and permissions that were decided on.
fn own(real: &Arc<Inode>, new: &NewInode<'_>) -> Result<(), Errno> {
    let attr: Attr = real.attr();
    let change = SetAttr {
        mode: (attr.mode != new.mode && new.kind != FileType::Symlink).then_some(new.mode),
        uid: (attr.uid != new.uid).then_some(new.uid),
        gid: (attr.gid != new.gid).then_some(new.gid),
        ..SetAttr::default()
    };
    if change == SetAttr::default() {
        return Ok(());
    }
    set_attr(real, change)
}

pub(super) fn create(
    node: &Node,
    dir: &Arc<Inode>,
    name: &[u8],
    new: &NewInode<'_>,
) -> Result<Arc<Inode>, Errno> {
    // A whiteout of the program's own would hide what it shouldn't.
    if new.kind == FileType::CharDevice && new.rdev == Default::default() {
        return Err(Errno::EPERM);
    }
    let upper = node.overlay.upper()?;
    let above = directory(node, dir)?;
    let wanted = NewNode {
        kind: new.kind,
        mode: new.mode,
        rdev: new.rdev,
        target: new.target,
    };
    let covered = there(&above, name)?.is_some();
    let made = if covered {
        over_whiteout(upper, &above, name, &wanted)?
    } else {
        vfs::create(&upper.at(&above), name, &wanted)?.dentry
    };
    own(made.inode().ok_or(Errno::ENOENT)?, new)?;
    changed(node, dir)?;
    let place = (Arc::clone(dir), Box::from(name));
    Node::inode(&node.overlay, Some(made), Vec::new(), Some(place))
}

/// Makes something in place of a whiteout.
fn over_whiteout(
    upper: &Upper,
    dir: &Arc<Dentry>,
    name: &[u8],
    new: &NewNode<'_>,
) -> Result<Arc<Dentry>, Errno> {
    let (made, temporary) = upper.make(new)?;
    let inode = made.inode()?;
    let placed = if is_dir(inode) {
        mark(inode, OPAQUE, YES)
            .and_then(|()| upper.place(&temporary, dir, name, abi::RENAME_EXCHANGE))
    } else {
        upper.place(&temporary, dir, name, 0)
    };
    if placed.is_err() || is_dir(inode) {
        // The whiteout is there in its place, or what couldn't be placed.
        let unmade = upper.unmake(&temporary);
        placed.and(unmade)?;
    }
    Ok(made.dentry)
}

pub(super) fn create_unnamed(
    node: &Node,
    dir: &Arc<Inode>,
    new: &NewInode<'_>,
) -> Result<Arc<Inode>, Errno> {
    let above = directory(node, dir)?;
    let real = above.inode().ok_or(Errno::ENOENT)?;
    let guard = real.lock.lock();
    let made = real.ops().create_unnamed(real, new)?;
    drop(guard);
    let dentry = Dentry::unnamed(made, b"/#unnamed")?;
    Node::inode(&node.overlay, Some(dentry), Vec::new(), None)
}

pub(super) fn link(
    node: &Node,
    dir: &Arc<Inode>,
    name: &[u8],
    inode: &Arc<Inode>,
) -> Result<(), Errno> {
    let upper = node.overlay.upper()?;
    let old = crate::fs::mount::Path {
        mount: Arc::clone(&upper.mount),
        dentry: node.overlay.copy_up(inode, true)?,
    };
    let above = directory(node, dir)?;
    if there(&above, name)?.is_some() {
        vfs::unlink(&upper.at(&above), name)?;
    }
    vfs::link(&upper.at(&above), &old, name)?;
    let parent = above.inode().ok_or(Errno::ENOENT)?;
    mark(parent, IMPURE, YES)?;
    changed(node, dir)?;
    node_of(inode)?.take_attributes(inode)
}

/// EEXIST's opposite: ENOTEMPTY unless the overlay shows nothing in the directory.
fn check_empty(victim: &Inode) -> Result<(), Errno> {
    let node = node_of(victim)?;
    let mut empty = true;
    super::listing::list(node, 2, &mut |_, _| {
        empty = false;
        false
    })?;
    node.listing.lock().forget();
    empty.then_some(()).ok_or(Errno::ENOTEMPTY)
}

pub(super) fn remove(
    node: &Node,
    dir: &Arc<Inode>,
    name: &[u8],
    victim: &Arc<Inode>,
) -> Result<(), Errno> {
    let below = node_of(victim)?;
    if is_dir(victim) {
        check_empty(victim)?;
    }
    let upper = node.overlay.upper()?;
    let above = directory(node, dir)?;
    if node.is_below(name)? || (is_dir(victim) && below.has_lowers()) {
        upper.white_out(&above, name)?;
    } else if is_dir(victim) {
        if let Some(own) = below.upper() {
            clear(upper, &own)?;
        }
        vfs::rmdir(&upper.at(&above), name)?;
    } else {
        vfs::unlink(&upper.at(&above), name)?;
    }
    lose_link(below, victim)?;
    changed(node, dir)
}

/// A name of `victim` is gone.
fn lose_link(node: &Node, victim: &Arc<Inode>) -> Result<(), Errno> {
    if is_dir(victim) || node.upper().is_none() {
        let now = clock::now();
        let dir = is_dir(victim);
        victim.update(|attr| {
            attr.nlink = if dir { 0 } else { attr.nlink.saturating_sub(1) };
            attr.ctime = now;
        });
        return Ok(());
    }
    node.take_attributes(victim)
}

/// Whether it lies below, wholly or in part, and is a directory: those don't move.
fn is_fixed(inode: &Inode) -> Result<bool, Errno> {
    Ok(is_dir(inode) && node_of(inode)?.has_lowers())
}

pub(super) fn rename(node: &Node, rename: &Rename<'_>) -> Result<(), Errno> {
    let upper = node.overlay.upper()?;
    let (from, to) = (node, node_of(rename.to)?);
    let swapped = rename.replaced.filter(|_| rename.exchange);
    if is_fixed(rename.moved)? || swapped.map_or(Ok(false), |other| is_fixed(other))? {
        return Err(Errno::EXDEV);
    }
    if let Some(other) = rename
        .replaced
        .filter(|other| !rename.exchange && is_dir(other))
    {
        check_empty(other)?;
        if let Some(own) = node_of(other)?.upper() {
            clear(upper, &own)?;
        }
    }
    let overlay = &node.overlay;
    let moved = overlay.copy_up(rename.moved, true)?;
    let (from_dir, to_dir) = (directory(from, rename.from)?, directory(to, rename.to)?);
    let uncovers = from.is_below(rename.from_name)?;
    if is_dir(rename.moved) && to.is_below(rename.to_name)? {
        mark(moved.inode().ok_or(Errno::ENOENT)?, OPAQUE, YES)?;
    }
    if let Some(other) = swapped {
        let other_real = overlay.copy_up(other, true)?;
        if is_dir(other) && uncovers {
            mark(other_real.inode().ok_or(Errno::ENOENT)?, OPAQUE, YES)?;
        }
    }
    let target = there(&to_dir, rename.to_name)?;
    let onto_whiteout = target.is_some_and(|inode| is_whiteout(&inode));
    let flags = if rename.exchange || (onto_whiteout && is_dir(rename.moved)) {
        abi::RENAME_EXCHANGE
    } else if uncovers {
        abi::RENAME_WHITEOUT
    } else {
        0
    };
    let (source, dest) = (upper.at(&from_dir), upper.at(&to_dir));
    vfs::rename(&source, rename.from_name, &dest, rename.to_name, flags)?;
    if !rename.exchange && flags == abi::RENAME_EXCHANGE && !uncovers {
        // The whiteout that was there has nothing to hide here.
        vfs::unlink(&source, rename.from_name)?;
    }
    let impure = to_dir.inode().ok_or(Errno::ENOENT)?;
    mark(impure, IMPURE, YES)?;
    moved_names(rename)?;
    changed(from, rename.from)?;
    changed(to, rename.to)
}

/// The inodes are told where they are now.
fn moved_names(rename: &Rename<'_>) -> Result<(), Errno> {
    let node = node_of(rename.moved)?;
    node.set_place((Arc::clone(rename.to), Box::from(rename.to_name)));
    node.take_attributes(rename.moved)?;
    let Some(other) = rename.replaced else {
        return Ok(());
    };
    let node = node_of(other)?;
    if rename.exchange {
        node.set_place((Arc::clone(rename.from), Box::from(rename.from_name)));
        return node.take_attributes(other);
    }
    lose_link(node, other)
}
