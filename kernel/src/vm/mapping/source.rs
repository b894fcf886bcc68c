//! What lies behind a [`Mapping`](super::Mapping): a [`PageSource`], which pages come from and go to, or a
//! [`PageOrigin`], which a file in memory begins with.

use kiln_core::errno::Errno;

use crate::mm::frame::FrameRef;

/// Where a file's pages come from and go to.
///
/// Both directions are called with no lock of the page cache held, by any thread: the flusher, a
/// reader in a fault, or a writer that holds the inode's lock. So they mustn't take that lock.
pub(crate) trait PageSource: Send + Sync {
    /// Fills `frames` with the pages from number `first` on; what lies past the end of the file
    /// becomes zero.
    ///
    /// # Errors
    /// Usually `EIO`.
    fn read_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno>;

    /// Writes the pages from number `first` on.
    ///
    /// # Errors
    /// `EIO`, `ENOSPC`: told by the next `fsync`.
    fn write_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno>;

    /// Where data begins (`data`) or a hole does, from byte `from` on; `end` or more: before the end nowhere.
    /// What is dirty has been written.
    ///
    /// # Errors
    /// Usually `EIO`.
    fn seek(&self, from: u64, end: u64, data: bool) -> Result<u64, Errno> {
        Ok(if data { from } else { end })
    }

    /// The greatest size that the file can have (`MAX_LFS_FILESIZE`, where nothing else is in the way).
    fn limit(&self) -> u64 {
        i64::MAX.cast_unsigned()
    }

    /// Makes sure that pages about to become dirty will have a place.
    ///
    /// # Errors
    /// `ENOSPC`, `EDQUOT`: the write isn't done.
    fn reserve(&self, first: u64, count: u64) -> Result<(), Errno> {
        let _ = (first, count);
        Ok(())
    }
}

/// Where a file without a source begins: with pages that lie in memory already. Each is asked for
/// when it is first wanted, and belongs to the file from then on.
pub(crate) trait PageOrigin: Send + Sync {
    /// The page of this number, its bytes past the end of the file zero.
    ///
    /// # Errors
    /// `ENOMEM`, or that of a broken image.
    fn page(&self, index: u64) -> Result<FrameRef, Errno>;
}
