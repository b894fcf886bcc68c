//! The orphan list: inodes without a name that are still open, or that are being truncated. It
//! starts in the superblock and goes on in each inode's `i_dtime`, so that after a crash the
//! next mount (or e2fsck) finishes the work.

use super::Ext4;
use super::device::Device;
use super::inode::Ino;

impl<D: Device> Ext4<D> {
    pub(super) fn is_orphan(&self, ino: Ino) -> bool {
        self.orphans.contains(&ino)
    }
}
