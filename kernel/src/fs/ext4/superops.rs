//! [`Super`]: what the VFS asks of an ext4 file system as a whole.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::errno::Errno;
use kiln_core::fs::ext4::{Error, Ino, ROOT};
use kiln_core::fs::stat::StatFs;

use super::{MAGIC, Volume, now};
use crate::fs::inode::Inode;
use crate::fs::memory::try_copy;
use crate::fs::superblock::SuperOps;
use crate::vm::writeback;

/// The file system as a whole, for the VFS.
pub(super) struct Super(pub(super) Arc<Volume>);

/// The last number of the file system's own files (`EXT4_GOOD_OLD_FIRST_INO` is the next).
const LAST_OWN: Ino = 10;

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        self.0.settle();
        let stat = self.0.core.lock().statfs();
        let [low, high] = stat.id;
        Ok(StatFs {
            magic: MAGIC,
            block_size: stat.block_size,
            blocks: stat.blocks,
            free: stat.free,
            available: stat.available,
            files: stat.inodes,
            files_free: stat.free_inodes,
            id: u64::from(low) | u64::from(high) << 32,
            name_max: stat.name_max,
            flags: 0,
        })
    }

    fn sync(&self) -> Result<(), Errno> {
        self.0.sync()
    }

    fn generation(&self, ino: u64) -> Result<u32, Errno> {
        let ino = Ino::try_from(ino).map_err(|_| Errno::ESTALE)?;
        let attr = self.0.core.lock().attr(ino).map_err(|_| Errno::ESTALE)?;
        Ok(attr.generation)
    }

    fn by_number(&self, ino: u64, generation: u32) -> Result<Arc<Inode>, Errno> {
        let ino = Ino::try_from(ino).map_err(|_| Errno::ESTALE)?;
        let mut core = self.0.core.lock();
        let attr = core.attr(ino).map_err(|_| Errno::ESTALE)?;
        // The file system's own files have no handles.
        let own = ino <= LAST_OWN && ino != ROOT;
        if own || attr.generation != generation || attr.links == 0 {
            return Err(Errno::ESTALE);
        }
        self.0.inode(&mut core, ino)
    }

    fn time_limits(&self) -> (i64, i64) {
        self.0.core.lock().time_limits()
    }

    fn reconfigure(&self, options: &[u8]) -> Result<(), Errno> {
        let mut shown = self.0.options.lock();
        shown.take(options, true)?;
        let discard = shown.find(b"discard").is_some();
        self.0.core.lock().set_discard(discard);
        Ok(())
    }

    fn options(&self) -> Vec<u8> {
        try_copy(&self.0.options.lock().0).unwrap_or_default()
    }

    fn remount(&self, read_only: bool) -> Result<(), Errno> {
        if read_only {
            writeback::sync_everything()?;
            self.0.sync()?;
            return self.0.core.lock().finish(now()).map_err(Error::errno);
        }
        if self.0.disk.read_only() {
            return Err(Errno::EROFS);
        }
        let mut core = self.0.core.lock();
        core.allow_writing(now()).map_err(Error::errno)
    }

    fn unmount(&self) -> Result<(), Errno> {
        self.0.finish()
    }
}
