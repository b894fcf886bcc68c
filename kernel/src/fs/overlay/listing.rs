//! Listing directories: one layer's as it is, several layers' as one list that is kept while it is read.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::dirent;
use kiln_core::fs::overlay::{IMPURE, ORIGIN, origin_ino};
use kiln_core::num::{u64_of, usize_of};

use super::layers::{Entry, Real, entries, is_whiteout, says_yes};
use super::node::Node;
use crate::fs::inode::Emit;
use crate::fs::memory::{try_copy, try_push};

/// The names of a directory of several layers, in the order in which they are listed.
#[derive(Default)]
pub(super) struct Listing {
    entries: Option<Vec<Entry>>,
    stale: bool,
}

impl Listing {
    /// A name has come or gone: whoever lists from the beginning sees it, and those in the midst go on
    /// in the old list.
    pub(super) fn forget(&mut self) {
        self.stale = true;
    }
}

/// The first cursor.
const FIRST: u64 = 2;

/// Lists the directory from `cursor` on.
pub(super) fn list(node: &Node, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
    let (upper, lowers) = (node.upper(), node.lowers()?);
    let plain = match (&upper, lowers.as_slice()) {
        (Some(dir), []) => !dir.inode().is_some_and(|inode| says_yes(inode, IMPURE)),
        (None, [_]) => true,
        _ => false,
    };
    if plain {
        return list_one(node, &node.real()?, cursor, emit);
    }
    let mut listing = node.listing.lock();
    if listing.entries.is_none() || (cursor <= FIRST && listing.stale) {
        listing.entries = Some(merge(node, lowers)?);
        listing.stale = false;
    }
    let all = listing.entries.as_deref().unwrap_or_default();
    let from = usize_of(cursor.saturating_sub(FIRST));
    for (at, entry) in all.iter().enumerate().skip(from) {
        let shown = dirent::Entry {
            ino: entry.ino,
            kind: entry.kind,
            name: &entry.name,
        };
        if !emit(&shown, u64_of(at) + FIRST + 1) {
            break;
        }
    }
    Ok(())
}

/// Lists a directory of one layer.
fn list_one(node: &Node, real: &Real, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
    let inode = real.inode()?;
    let overlay = &node.overlay;
    let _guard = inode.lock.lock();
    inode.ops().readdir(inode, cursor, &mut |entry, next| {
        if entry.kind == FileType::CharDevice.dirent() {
            let there = real.dentry.child(entry.name, true);
            let hidden =
                there.is_ok_and(|there| there.inode().is_some_and(|inode| is_whiteout(inode)));
            if hidden {
                return true;
            }
        }
        let shown = dirent::Entry {
            ino: overlay.ino(real.layer, entry.ino),
            ..*entry
        };
        emit(&shown, next)
    })
}

/// The names of all layers, each once.
fn merge(node: &Node, lowers: Vec<Real>) -> Result<Vec<Entry>, Errno> {
    let mut all: Vec<Entry> = Vec::new();
    // Where each name is in the list; `None`: it is hidden.
    let mut seen: BTreeMap<Vec<u8>, Option<usize>> = BTreeMap::new();
    let upper = node.upper().map(|dir| Real::new(0, dir));
    for real in upper.iter().chain(&lowers) {
        let is_upper = upper.is_some() && real.layer == 0;
        for mut entry in entries(real.inode()?)? {
            let own = node.overlay.ino(real.layer, entry.ino);
            if let Some(place) = seen.get(&entry.name) {
                // A directory's number is that of its topmost part below.
                let first = place.and_then(|at| all.get_mut(at));
                if let Some(first) = first.filter(|first| first.is_above(&entry)) {
                    first.ino = own;
                    first.from_upper = false;
                }
                continue;
            }
            let _charge = crate::mm::kmem::charge(128).map_err(|_| Errno::ENOMEM)?;
            if entry.kind == FileType::CharDevice.dirent()
                && let Some(child) = real.child(&entry.name)?
                && is_whiteout(child.inode()?)
            {
                seen.insert(entry.name, None);
                continue;
            }
            entry.ino = if is_upper {
                origin_of(real, &entry)?.unwrap_or(own)
            } else {
                own
            };
            entry.from_upper = is_upper && !hides(real, &entry)?;
            seen.insert(try_copy(&entry.name)?, Some(all.len()));
            try_push(&mut all, entry)?;
        }
    }
    Ok(all)
}

/// Whether a directory of the upper layer hides what is below it.
fn hides(real: &Real, entry: &Entry) -> Result<bool, Errno> {
    if entry.kind != FileType::Directory.dirent() {
        return Ok(true);
    }
    let child = real.child(&entry.name)?;
    Ok(match child {
        Some(child) => says_yes(child.inode()?, kiln_core::fs::overlay::OPAQUE),
        None => true,
    })
}

/// The number of what a file was copied up from.
fn origin_of(real: &Real, entry: &Entry) -> Result<Option<u64>, Errno> {
    if entry.kind == FileType::Directory.dirent() {
        return Ok(None);
    }
    let Some(child) = real.child(&entry.name)? else {
        return Ok(None);
    };
    let inode = child.inode()?;
    let value = inode.ops().get_xattr(inode, ORIGIN).ok();
    Ok(value.and_then(|value| origin_ino(&value)))
}

impl Entry {
    /// Whether it is a directory of the upper layer over another below.
    fn is_above(&self, below: &Self) -> bool {
        self.from_upper && below.kind == FileType::Directory.dirent()
    }
}
