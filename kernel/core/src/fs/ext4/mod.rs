//! ext4 (and ext2, ext3) on a [`Device`]: what Debian's mke2fs makes, read and written.
//!
//! [`Ext4`] is the mounted file system; operations name files by inode number. It has no locks:
//! the kernel puts a sleeping lock round it, the host uses it as it is. File data may go around
//! it: [`Ext4::map`] and [`Ext4::allocate`] tell where a file's blocks lie, and the page cache
//! moves them itself; [`Ext4::read`] and [`Ext4::write`] do it for callers without one.
//!
//! From below: `device` (the disk), `buffer` (metadata blocks) with `dirty` and `undo`, `seal` (checksums),
//! `superblock` and `geometry`, `group`, `bitmap`, `balloc`/`ialloc` (space), `inode`/`itable`,
//! `extent`/`extent_edit`/`extent_cut`/`indirect`/`indirect_edit`/`map` (a file's blocks),
//! `dir`/`dir_edit`/`hash`/`htree`/`htree_edit`/`list` (directories), `namei`/`rename`
//! (operations on names), `file`/`fallocate` (contents), `attr`, `identity`, `xattr`, `orphan`, `journal`
//! (replay) with `commit`, `held` and `trim` (writing through it), `mount`.
//!
//! Every change of metadata happens between `begin` and `commit` of a transaction; an operation
//! that fails is rolled back whole. Layout: Linux, Documentation/filesystems/ext4.

mod attr;
mod balloc;
mod bitmap;
mod buffer;
mod bytes;
mod commit;
mod csum;
mod device;
mod dir;
mod dir_edit;
mod dirty;
mod error;
mod extent;
mod extent_cut;
mod extent_edit;
mod fallocate;
mod file;
mod geometry;
mod group;
mod hash;
mod held;
mod htree;
mod htree_edit;
mod ialloc;
mod identity;
mod indirect;
mod indirect_edit;
mod inode;
mod itable;
mod journal;
mod list;
mod map;
mod mount;
mod namei;
mod options;
mod orphan;
mod rename;
mod seal;
mod shift;
mod superblock;
#[cfg(test)]
mod tests;
mod trim;
mod undo;
mod xattr;

pub use attr::{Attr, SHOWN_FLAGS, SetAttr, Statfs, USER_FLAGS};
pub use csum::{crc32c, use_engine};
pub use device::{Device, DeviceError};
pub use error::{Error, Result};
pub use inode::{Ino, ROOT};
pub use list::Entry;
pub use map::{Allocated, Fill, Mapping, State};
pub use mount::Options;
pub use namei::{NewFile, Unlinked};
pub use options::{Shown, check_option};
pub use rename::How;
pub use xattr::SetMode;

use alloc::vec::Vec;
use buffer::Cache;
use superblock::{Counters, Super};

/// Longest name of a directory entry, in bytes.
pub const NAME_MAX: usize = 255;

/// A point in time: seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanos: u32,
}

/// What kind of file an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    Unknown,
    Regular,
    Directory,
    Char,
    Block,
    Fifo,
    Socket,
    Symlink,
}

impl FileType {
    /// The kind that the upper bits of `st_mode` name.
    #[must_use]
    pub fn of_mode(mode: u16) -> Self {
        match mode >> 12 {
            0x1 => Self::Fifo,
            0x2 => Self::Char,
            0x4 => Self::Directory,
            0x6 => Self::Block,
            0x8 => Self::Regular,
            0xA => Self::Symlink,
            0xC => Self::Socket,
            _ => Self::Unknown,
        }
    }

    /// `file_type` of a directory entry (`EXT4_FT_*`).
    fn of_entry(byte: u8) -> Self {
        match byte {
            1 => Self::Regular,
            2 => Self::Directory,
            3 => Self::Char,
            4 => Self::Block,
            5 => Self::Fifo,
            6 => Self::Socket,
            7 => Self::Symlink,
            _ => Self::Unknown,
        }
    }

    fn to_entry(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Regular => 1,
            Self::Directory => 2,
            Self::Char => 3,
            Self::Block => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }
}

/// A mounted ext4 file system.
#[derive(Debug)]
pub struct Ext4<D> {
    cache: Cache<D>,
    sup: Super,
    writable: bool,
    /// `s_state` as it was found, restored by a clean unmount.
    state_found: u16,
    /// The counters as they were when the running transaction began.
    before: Option<Counters>,
    /// Unlinked inodes that are still open, and inodes being truncated.
    orphans: Vec<Ino>,
    /// What the running transaction did to that list.
    list_changes: Vec<orphan::ListChange>,
    /// Whether the running operation may use the blocks kept for root.
    privileged: bool,
    next_generation: u32,
    /// Where to look for a free inode.
    free_inode: Option<ialloc::FreeInode>,
    /// The group last asked for its inode table, and where that begins.
    table: Option<(u32, u64)>,
    /// What changes go through, while the file system is writable and has one.
    journal: Option<commit::Journal>,
    /// Blocks that may be given out after the next commit.
    held: held::Held,
    /// Freed blocks are discarded.
    discard: bool,
    trimmed: trim::Trimmed,
    /// The time that commits are noted with.
    now: Time,
}

/// Free blocks, besides the promised ones, that should be there without a commit.
const LOW_WATER: u64 = 1024;

impl<D: Device> Ext4<D> {
    /// Runs one operation as a transaction: all of its changes of metadata happen, or none.
    fn transact<R>(&mut self, operation: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        self.begin()?;
        match operation(self) {
            Ok(value) => {
                self.commit()?;
                Ok(value)
            }
            Err(error) => {
                self.abort();
                Err(error)
            }
        }
    }

    fn begin(&mut self) -> Result<()> {
        if !self.writable {
            return Err(Error::ReadOnly);
        }
        if self.before.is_some() {
            return Err(Error::Invalid);
        }
        self.make_way()?;
        self.before = Some(self.sup.counters);
        self.list_changes.clear();
        self.cache.begin();
        Ok(())
    }

    /// Commits when that is the way to free blocks; refuses changes that could never be committed.
    fn make_way(&mut self) -> Result<()> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        if journal.has_failed() {
            return Err(Error::ReadOnly);
        }
        let counters = self.sup.counters;
        let wanted = counters.reserved.saturating_add(LOW_WATER);
        let held = self.held.blocks();
        if held > 0 && counters.free_blocks.saturating_sub(held) < wanted {
            return self.commit_journal();
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.before = None;
        self.cache.commit();
        self.held.keep();
        if self.journal.is_none() && self.held.blocks() > 0 {
            self.release_held();
        }
        if self.is_strained() {
            self.write_out()?;
        }
        Ok(())
    }

    fn abort(&mut self) {
        if let Some(before) = self.before.take() {
            self.sup.counters = before;
        }
        self.free_inode = None;
        self.undo_list();
        self.held.undo();
        self.cache.abort();
    }
}
