//! fallocate(2)'s ranges that make what is behind them move: `FALLOC_FL_COLLAPSE_RANGE`, `FALLOC_FL_INSERT_RANGE`.

use alloc::sync::Arc;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::fs::ext4::Error;
use kiln_core::num::{low32, u64_of};

use super::Node;
use crate::fs::inode::{Allocate, AllocateKind, Inode, InodeOps};

impl Node {
    /// Takes a range of whole blocks out of a file, or puts one in.
    pub(super) fn shift(&self, inode: &Arc<Inode>, request: &Allocate) -> Result<(), Errno> {
        let (pages, mapping) = self.file(inode)?;
        let Allocate { offset, len, .. } = *request;
        let bits = self.volume.block_bits;
        let (size, unit) = (mapping.size(), 1 << bits);
        let collapse = request.kind == AllocateKind::Collapse;
        let last = if collapse { offset + len } else { offset };
        if !offset.is_multiple_of(unit) || !len.is_multiple_of(unit) || last >= size {
            return Err(Errno::EINVAL);
        }
        if !collapse && size + len > pages.limit {
            return Err(Errno::EFBIG);
        }
        // Nothing of what moves may be in memory: it would be at the wrong place there.
        mapping.sync_all()?;
        let first = offset / u64_of(PAGE_SIZE);
        mapping.discard(first, u64::MAX - first)?;
        let (from, count) = (low32(offset >> bits), low32(len >> bits));
        let (moved, on_disk) = {
            let _io = pages.io.write();
            let mut core = self.volume.core.lock();
            let moved = if collapse {
                core.collapse(self.ino, from, from + count)
            } else {
                core.insert(self.ino, from, count, size + len)
            };
            (moved, core.attr(self.ino))
        };
        // What was read meanwhile.
        mapping.discard(first, u64::MAX - first)?;
        pages.shifted(size + len);
        if collapse {
            moved.map_err(Error::errno)?;
            return self.truncate(inode, size - len);
        }
        // Not before the blocks have moved: what is written of the page in which the file ended goes as far as the
        // file does, and would move up with them.
        let longer = on_disk.map_or(size, |attr| attr.size);
        if longer > size {
            mapping.truncate(longer)?;
        }
        moved.map_err(Error::errno)
    }
}
