//! File handles: a few bytes that name a file for as long as it exists, whatever its paths (name_to_handle_at(2)).
//!
//! Files that were asked about are remembered here by nothing but weak references, with their names, so that a directory
//! is found as the one that it is. A file system on a disk finds the file by its number, too
//! ([`SuperOps::by_number`](super::superblock::SuperOps::by_number)), when nothing of it is in memory any more.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};

use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::num::{high32, low32};

use super::dentry::Dentry;
use super::inode::Inode;
use super::mount::Path;
use crate::mm::kmem;
use crate::sync::SpinLock;

/// A handle: a file's number in two words, and its generation.
pub(crate) type Handle = [u32; 3];

/// What remembering a file may take.
const COST: usize = 192;

struct Known {
    inode: Weak<Inode>,
    dentry: Weak<Dentry>,
}

/// Files that have a handle, by device and number.
static KNOWN: SpinLock<BTreeMap<(u64, u64), Known>> = SpinLock::new(BTreeMap::new());

fn key(at: &Path, number: u64) -> (u64, u64) {
    (at.mount.sb().dev().encode(), number)
}

/// The handle of a file; EOPNOTSUPP where its file system has none.
pub(crate) fn of(path: &Path) -> Result<Handle, Errno> {
    let inode = path.inode()?;
    let number = inode.ino();
    if !matches!(inode.sb().kind(), "ext4" | "tmpfs" | "devtmpfs") {
        return Err(Errno::EOPNOTSUPP);
    }
    let generation = inode.sb().ops().generation(number)?;
    let _charge = kmem::charge(COST)?;
    let known = Known {
        inode: Arc::downgrade(inode),
        dentry: Arc::downgrade(&path.dentry),
    };
    let mut all = KNOWN.lock();
    // Those that are gone, now and then.
    if all.len().is_power_of_two() {
        all.retain(|_, known| known.inode.strong_count() > 0);
    }
    all.insert(key(path, number), known);
    drop(all);
    Ok([low32(number), generation, high32(number)])
}

/// The file, on the file system that shows `at`; ESTALE when it is no more.
pub(crate) fn find(at: &Path, [low, generation, high]: Handle) -> Result<Path, Errno> {
    let ops = at.mount.sb().ops();
    let number = u64::from(high) << 32 | u64::from(low);
    let (inode, dentry) = {
        let all = KNOWN.lock();
        let known = all.get(&key(at, number));
        (
            known.and_then(|known| known.inode.upgrade()),
            known.and_then(|known| known.dentry.upgrade()),
        )
    };
    let inode = match inode {
        Some(inode) if ops.generation(number)? == generation => inode,
        _ => ops.by_number(number, generation)?,
    };
    if inode.is_dead() {
        return Err(Errno::ESTALE);
    }
    let same = |dentry: &Arc<Dentry>| {
        let own = dentry.inode();
        own.is_some_and(|own| Arc::ptr_eq(own, &inode))
    };
    match dentry.filter(same) {
        Some(dentry) => Ok(at.with(dentry)),
        // A directory must not be there twice.
        None if inode.kind() == FileType::Directory => Err(Errno::ESTALE),
        None => Ok(at.with(Dentry::unnamed(inode, b"/")?)),
    }
}
