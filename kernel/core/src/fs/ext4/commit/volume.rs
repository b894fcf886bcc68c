//! What a mounted file system does with its [`Journal`]: opens it, commits to it, writes what was committed to its
//! places, closes it.

use super::{BATCH_BYTES, Journal, Piece};
use crate::fs::ext4::device::Device;
use crate::fs::ext4::error::{Error, Result};
use crate::fs::ext4::journal::{FEATURE_64BIT, FEATURE_CSUM_V3, FEATURE_REVOKE, Log, SB_SIZE};
use crate::fs::ext4::map::State;
use crate::fs::ext4::superblock::Incompat;
use crate::fs::ext4::{Ext4, Time};
use alloc::vec::Vec;

impl<D: Device> Ext4<D> {
    /// Whether changes go through a journal.
    #[must_use]
    pub fn is_journalled(&self) -> bool {
        self.journal.is_some()
    }

    /// Whether a commit would find anything to do.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.journal.is_some() && (self.cache.dirty > 0 || self.held.blocks() > 0)
    }

    /// Notes the time that the next commits carry.
    pub fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// Opens the journal, if there is one. It is empty: it was replayed.
    pub(in crate::fs::ext4) fn open_journal(&mut self) -> Result<()> {
        if !self.sup.has_journal() || self.journal.is_some() {
            return Ok(());
        }
        if self.sup.journal_inode == 0 {
            return Err(Error::Unsupported("journal on another device"));
        }
        let inode = self.load_any(self.sup.journal_inode)?;
        let mut raw = self.zero_block()?;
        let place = self.log_place(&inode, 0)?;
        self.cache.read_raw(place, &mut raw)?;
        let mut log = Log::parse(inode, &raw, self.sup.block_size)?;
        if log.start != 0 {
            return Err(Error::NeedsRecovery);
        }
        raw.truncate(SB_SIZE);
        log.features |= FEATURE_REVOKE;
        if self.sup.is_wide() {
            log.features |= FEATURE_64BIT;
        }
        if self.sup.has_csum() && !log.has_csum() {
            log.features |= FEATURE_CSUM_V3;
        }
        let pieces = self.journal_pieces(&log)?;
        let mut batch = Vec::new();
        batch
            .try_reserve_exact(BATCH_BYTES)
            .map_err(|_| Error::NoMemory)?;
        self.journal = Some(Journal {
            raw,
            pieces,
            block_size: self.sup.block_size,
            head: log.first,
            used: 0,
            sequence: log.sequence.max(1),
            failed: false,
            batch,
            batch_start: 0,
            log,
        });
        Ok(())
    }

    /// Has replays look for transactions from now on.
    pub(in crate::fs::ext4) fn start_journal(&mut self) -> Result<()> {
        let Some(journal) = self.journal.as_mut() else {
            return Ok(());
        };
        let first = journal.log.first;
        journal.write_super(&mut self.cache, first)
    }

    fn journal_pieces(&mut self, log: &Log) -> Result<Vec<Piece>> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut at = 0;
        while at < log.end {
            let mapping = self.map_inode(&log.inode, at, log.end - at)?;
            let length = mapping.length.min(log.end - at);
            let inside = self.sup.has_blocks(mapping.start, u64::from(length));
            if mapping.state != State::Written || !inside || length == 0 {
                return Err(Error::Corrupt("journal"));
            }
            pieces.try_reserve(1).map_err(|_| Error::NoMemory)?;
            pieces.push(Piece {
                first: at,
                length,
                start: mapping.start,
            });
            at += length;
        }
        Ok(pieces)
    }

    /// Whether the running transaction is large enough to be committed.
    pub(in crate::fs::ext4) fn is_strained(&self) -> bool {
        match &self.journal {
            Some(journal) => self.cache.dirty > self.cache.most_pinned().min(journal.most_dirty()),
            None => self.cache.is_strained(),
        }
    }

    /// Commits what has changed since the last commit.
    pub(in crate::fs::ext4) fn commit_journal(&mut self) -> Result<()> {
        if self.cache.dirty == 0 && self.cache.revoked.is_empty() {
            self.release_held();
            return self.cache.flush();
        }
        self.seal_dirty()?;
        let list = self.cache.dirty_blocks()?;
        let mut blocks = Vec::new();
        blocks
            .try_reserve_exact(list.len())
            .map_err(|_| Error::NoMemory)?;
        blocks.extend(list.iter().map(|(block, _)| *block));
        let Some(journal) = self.journal.as_mut() else {
            return Err(Error::Invalid);
        };
        if journal.failed {
            return Err(Error::Io);
        }
        journal.write(&mut self.cache, &blocks, self.now)?;
        self.cache.note_logged(&blocks);
        let half = journal.used > journal.length() / 2;
        self.release_held();
        if half || self.cache.logged > self.cache.most_pinned() {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Writes everything that is in the log to its place, and empties the log. Nothing is dirty.
    pub(in crate::fs::ext4) fn checkpoint(&mut self) -> Result<()> {
        let Some(journal) = self.journal.as_mut() else {
            return Ok(());
        };
        if journal.used == 0 {
            return Ok(());
        }
        if self.cache.dirty > 0 {
            return Err(Error::Invalid);
        }
        self.cache.write_logged()?;
        self.cache.flush()?;
        let head = journal.head;
        journal.write_super(&mut self.cache, head)?;
        journal.used = 0;
        self.cache.forget_logged();
        Ok(())
    }

    /// Ends journalling: everything is in its place, and the log is marked empty.
    pub(in crate::fs::ext4) fn close_journal(&mut self) -> Result<()> {
        self.checkpoint()?;
        let Some(journal) = self.journal.as_mut() else {
            return Ok(());
        };
        journal.write_super(&mut self.cache, 0)?;
        self.journal = None;
        self.sup.incompat.remove(Incompat::RECOVER);
        Ok(())
    }
}
