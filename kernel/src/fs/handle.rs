//! File handles: a few bytes that name a file for as long as it exists, whatever its paths (name_to_handle_at(2)).
//!
//! Files that were asked about are remembered here by nothing but weak references, with their names, so that a directory
//! is found as the one that it is. A file system on a disk finds the file by its number, too
//! ([`SuperOps::by_number`](super::superblock::SuperOps::by_number)), when nothing of it is in memory any more.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::num::{high32, low32};

use super::dentry::Dentry;
use super::inode::Inode;
use super::mount::Path;
use crate::mm::kmem;
use crate::sched::Mutex;

/// A handle: a file's number in two words, and its generation.
pub(crate) type Handle = [u32; 3];

struct Known {
    /// Device and number.
    key: (u64, u64),
    inode: Weak<Inode>,
    dentry: Weak<Dentry>,
}

/// Files that have a handle, in the order of their keys.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// Where the file with this key is, or would be.
fn place(all: &[Known], key: (u64, u64)) -> Result<usize, usize> {
    all.binary_search_by(|known| known.key.cmp(&key))
}

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
    let key = key(path, number);
    let known = Known {
        key,
        inode: Arc::downgrade(inode),
        dentry: Arc::downgrade(&path.dentry),
    };
    // Sees to it that the list can grow.
    let _charge = kmem::charge(size_of::<Known>())?;
    let mut all = KNOWN.lock();
    if all.len() == all.capacity() {
        // First those that are gone go.
        all.retain(|known| known.inode.strong_count() > 0);
        all.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    }
    match place(&all, key) {
        Ok(at) => {
            if let Some(there) = all.get_mut(at) {
                *there = known;
            }
        }
        Err(at) => all.insert(at, known),
    }
    drop(all);
    Ok([low32(number), generation, high32(number)])
}

/// The file, on the file system that shows `at`; ESTALE when it is no more.
pub(crate) fn find(at: &Path, [low, generation, high]: Handle) -> Result<Path, Errno> {
    let ops = at.mount.sb().ops();
    let number = u64::from(high) << 32 | u64::from(low);
    let (inode, dentry) = {
        let all = KNOWN.lock();
        let found = place(&all, key(at, number));
        let known = found.ok().and_then(|found| all.get(found));
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
