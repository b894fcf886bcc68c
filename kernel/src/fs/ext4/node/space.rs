//! Where a file's contents lie, and ranges of it allocated or freed.

use alloc::sync::Arc;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::fs::ext4::State;
use kiln_core::num::u64_of;

use super::super::now;
use super::Node;
use crate::fs::inode::{Allocate, AllocateKind, Extent, Inode, InodeOps};
use crate::fs::regular::zero_range;

impl Node {
    /// The extent at byte `from`, or the hole.
    pub(super) fn extent_at(&self, inode: &Inode, from: u64, most: u64) -> Result<Extent, Errno> {
        let bits = self.volume.block_bits;
        let block = u32::try_from(from >> bits).map_err(|_| Errno::EFBIG)?;
        let logical = u64::from(block) << bits;
        let end = from.saturating_add(most);
        let blocks = (end - logical).div_ceil(1 << bits);
        let blocks = u32::try_from(blocks)
            .unwrap_or(u32::MAX)
            .min(u32::MAX - block);
        let (extents, piece) = self.with(|core| {
            let extents = core.uses_extents(self.ino)?;
            // Without them nothing lies behind the end, and looking there would take long.
            let found = (extents || from < inode.size()).then(|| core.map(self.ino, block, blocks));
            Ok((extents, found.transpose()?))
        })?;
        let (state, start, length) = match piece {
            Some(piece) => (piece.state, piece.start, u64::from(piece.length) << bits),
            None => (State::Hole, 0, end - logical),
        };
        let mut flags = if extents { 0 } else { Extent::MERGED };
        if state == State::Unwritten {
            flags |= Extent::UNWRITTEN;
        }
        Ok(Extent {
            logical,
            physical: (state != State::Hole).then_some(start << bits),
            length,
            flags,
        })
    }

    /// What fallocate(2) asks for.
    pub(super) fn change_space(&self, inode: &Arc<Inode>, request: &Allocate) -> Result<(), Errno> {
        let (pages, mapping) = self.file(inode)?;
        let end = request.offset.saturating_add(request.len);
        let extents = self.with(|core| core.uses_extents(self.ino))?;
        // What the file system could have in a file of the better kind.
        let most = u64::from(u32::MAX) << self.volume.block_bits;
        if end > if extents { pages.limit } else { most } {
            return Err(Errno::EFBIG);
        }
        if !extents && request.kind != AllocateKind::Punch {
            return Err(Errno::EOPNOTSUPP);
        }
        if matches!(request.kind, AllocateKind::Collapse | AllocateKind::Insert) {
            return self.shift(inode, request);
        }
        if request.kind != AllocateKind::Reserve {
            self.punch(inode, request.offset, end)?;
        } else if pages.promised() > 0 {
            // What is promised to pages in the range would be told beside what is allocated.
            mapping.sync_all()?;
        }
        if request.kind != AllocateKind::Punch {
            self.with(|core| core.fallocate(self.ino, request.offset, request.len, true, now()))?;
        }
        if !request.keep_size && end > mapping.size() {
            mapping.truncate(end)?;
            self.touched(inode);
        }
        Ok(())
    }

    /// Frees the whole pages within a range of a file, and zeros what is left of it at both ends.
    fn punch(&self, inode: &Inode, from: u64, to: u64) -> Result<(), Errno> {
        let (pages, mapping) = self.file(inode)?;
        let page = u64_of(PAGE_SIZE);
        let size = mapping.size();
        let (first, last) = (from.div_ceil(page), to.min(size).div_ceil(page));
        // Within one page, or up to the end of the file within the last.
        let whole_end = if to >= size { last } else { to / page };
        if first >= whole_end {
            return zero_range(&mapping, from, to.min(size));
        }
        zero_range(&mapping, from, (first * page).min(size))?;
        if to < size {
            zero_range(&mapping, whole_end * page, to)?;
        }
        mapping.discard(first, whole_end - first)?;
        let freed = {
            let _io = pages.io.write();
            self.with(|core| {
                let length = (whole_end - first) * page;
                core.punch_hole(self.ino, first * page, length, now())
            })
        };
        // What was read while the blocks were still there.
        mapping.discard(first, whole_end - first)?;
        freed
    }
}
