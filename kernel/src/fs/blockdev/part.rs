//! [`Part`]: a partition, which is a disk of its own to whoever opens or mounts it.

use alloc::string::String;
use alloc::sync::Arc;
use kiln_core::num::u64_of;

use super::Key;
use crate::drivers::block::{BlockDevice, DiskStats, IoError, Memory, SECTOR_SIZE};

/// A part of a disk.
pub(super) struct Part {
    pub(super) key: Key,
    pub(super) disk: Arc<dyn BlockDevice>,
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) sectors: u64,
}

impl Part {
    /// A sector of the part as one of the disk, with `count` behind it that are the part's too.
    fn at(&self, sector: u64, count: u64) -> Result<u64, IoError> {
        let end = sector.checked_add(count);
        if end.is_none_or(|end| end > self.sectors) {
            return Err(IoError::OutOfRange);
        }
        Ok(self.start + sector)
    }

    fn span(&self, sector: u64, memory: &Memory<'_>) -> Result<u64, IoError> {
        let bytes: usize = memory.from(0).map(|segment| segment.len()).sum();
        self.at(sector, u64_of(bytes / SECTOR_SIZE))
    }
}

impl BlockDevice for Part {
    fn name(&self) -> &str {
        &self.name
    }

    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read_only(&self) -> bool {
        super::is_read_only(self.key)
    }

    fn set_read_only(&self, on: bool) -> Result<(), IoError> {
        super::protect(self.key, on);
        Ok(())
    }

    fn read(&self, sector: u64, into: Memory<'_>) -> Result<(), IoError> {
        self.disk.read(self.span(sector, &into)?, into)
    }

    fn write(&self, sector: u64, from: Memory<'_>) -> Result<(), IoError> {
        if self.read_only() {
            return Err(IoError::ReadOnly);
        }
        self.disk.write(self.span(sector, &from)?, from)
    }

    fn flush(&self) -> Result<(), IoError> {
        self.disk.flush()
    }

    fn discard(&self, sector: u64, count: u64) -> Result<(), IoError> {
        if self.read_only() {
            return Err(IoError::ReadOnly);
        }
        self.disk.discard(self.at(sector, count)?, count)
    }

    fn can_discard(&self) -> bool {
        self.disk.can_discard()
    }

    fn serial(&self, buffer: &mut [u8; 20]) -> Result<usize, IoError> {
        self.disk.serial(buffer)
    }

    fn stats(&self) -> DiskStats {
        self.disk.stats()
    }

    fn geometry(&self) -> Option<[u8; 4]> {
        self.disk.geometry()
    }

    fn block_size(&self) -> u32 {
        self.disk.block_size()
    }

    fn count_user(&self, more: bool) {
        self.disk.count_user(more);
    }
}
