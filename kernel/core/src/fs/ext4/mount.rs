//! Mounting, syncing and unmounting.

use super::Ext4;
use super::buffer::Cache;
use super::device::Device;
use super::error::{Error, Result};
use super::superblock::{self, Incompat, STATE_VALID, Super};
use super::{Time, inode};
use crate::num::{low32, u64_of};
use alloc::vec::Vec;

/// How to mount.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub read_only: bool,
    /// 2 or 3 for what ext2 or ext3 had, no more.
    pub generation: u8,
    /// Clean metadata blocks to keep, in bytes.
    pub cache_bytes: usize,
    pub now: Time,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            read_only: false,
            generation: 4,
            cache_bytes: 1 << 20,
            now: Time::default(),
        }
    }
}

impl<D: Device> Ext4<D> {
    /// Mounts the file system on `dev`.
    ///
    /// # Errors
    /// [`Error::NotExt4`], [`Error::Invalid`] if it isn't of the generation, [`Error::Unsupported`] for features that aren't known,
    /// [`Error::ReadOnly`] for ones that can't be kept up by a writer,
    /// [`Error::NeedsRecovery`] when the journal would have to be replayed but mustn't be.
    pub fn mount(mut dev: D, options: &Options) -> Result<Self> {
        let sup = read_super(&mut dev)?;
        if !sup.is_of(options.generation, options.read_only) {
            return Err(Error::Invalid);
        }
        if !options.read_only && !sup.is_writable() {
            return Err(Error::ReadOnly);
        }
        let mut fs = Self::over(dev, sup, options)?;
        if fs.needs_replay() {
            if options.read_only {
                return Err(Error::NeedsRecovery);
            }
            fs.replay_journal()?;
            // Anything may have changed on the disk, the superblock included.
            let mut dev = fs.cache.dev;
            let mut sup = read_super(&mut dev)?;
            sup.incompat.remove(Incompat::RECOVER);
            fs = Self::over(dev, sup, options)?;
        }
        fs.load_dir(inode::ROOT)?;
        if !options.read_only {
            fs.allow_writing(options.now)?;
        }
        Ok(fs)
    }

    /// The file system on `dev`, not yet looked at beyond its superblock.
    fn over(dev: D, sup: Super, options: &Options) -> Result<Self> {
        let cache = Cache::new(dev, sup.block_size, options.cache_bytes / sup.block_size)?;
        let seed = low32(options.now.seconds.cast_unsigned()) ^ options.now.nanos ^ sup.seed;
        Ok(Self {
            cache,
            state_found: sup.state(),
            sup,
            writable: false,
            before: None,
            orphans: Vec::new(),
            list_changes: Vec::new(),
            privileged: true,
            next_generation: seed | 1,
            free_inode: None,
            table: None,
            journal: None,
            held: super::held::Held::default(),
            discard: false,
            trimmed: super::trim::Trimmed::default(),
            now: options.now,
        })
    }

    /// Notes on the disk that the file system is in use: with a journal that it is to be
    /// replayed; without one only e2fsck may trust it again if this isn't taken back.
    fn mark_mounted(&mut self, now: Time) -> Result<()> {
        self.now = now;
        self.sup.note_mount(now.seconds.max(0).cast_unsigned())?;
        if self.sup.has_journal() {
            self.open_journal()?;
            self.sup.incompat.insert(Incompat::RECOVER);
            self.seal_dirty()?;
            self.cache.write_dirty()?;
            self.cache.flush()?;
            return self.start_journal();
        }
        self.sup.set_state(self.state_found & !STATE_VALID)?;
        self.write_out()
    }

    /// Makes all changes durable.
    ///
    /// # Errors
    /// When the device fails; what couldn't be written stays to be tried again.
    pub fn sync(&mut self) -> Result<()> {
        if !self.writable {
            return Ok(());
        }
        if self.journal.is_some() {
            return self.commit_journal();
        }
        self.write_out()?;
        self.cache.flush()
    }

    /// Makes all changes durable, and puts them where they belong: who reads the device itself sees them.
    ///
    /// # Errors
    /// As [`Ext4::sync`].
    pub fn write_back(&mut self) -> Result<()> {
        self.sync()?;
        self.checkpoint()
    }

    /// Writes everything and notes that the file system is whole: nothing can be changed from then
    /// on (until [`Ext4::allow_writing`]), and the device is as an unmounted one.
    ///
    /// # Errors
    /// When the device fails: the file system then counts as not cleanly unmounted.
    pub fn finish(&mut self, now: Time) -> Result<()> {
        if !self.writable {
            return Ok(());
        }
        self.now = now;
        self.sync()?;
        self.close_journal()?;
        if self.sup.counters.last_orphan == 0 {
            self.sup.set_state(self.state_found)?;
        }
        self.sup.note_write(now.seconds.max(0).cast_unsigned())?;
        self.sync()?;
        self.writable = false;
        Ok(())
    }

    /// Allows changes again after [`Ext4::finish`], or after mounting read-only.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when a feature stands against it, or when the device fails.
    pub fn allow_writing(&mut self, now: Time) -> Result<()> {
        if self.writable {
            return Ok(());
        }
        if !self.sup.is_writable() {
            return Err(Error::ReadOnly);
        }
        self.writable = true;
        let ready = self
            .mark_mounted(now)
            .and_then(|()| self.finish_orphans(now));
        self.writable = ready.is_ok();
        ready
    }

    /// [`Ext4::finish`], giving the device back.
    ///
    /// # Errors
    /// As there.
    pub fn unmount(mut self, now: Time) -> Result<D> {
        self.finish(now)?;
        Ok(self.cache.dev)
    }

    /// Inodes that have no name left but haven't been evicted, the oldest first; and inodes whose
    /// truncation was interrupted by an error.
    #[must_use]
    pub fn orphans(&self) -> &[inode::Ino] {
        &self.orphans
    }

    /// Whether changes are allowed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The seconds of the first and the last time that inodes can hold: 32 bits, and two more in large inodes.
    #[must_use]
    pub fn time_limits(&self) -> (i64, i64) {
        let more = if self.sup.inode_size > 128 {
            3 << 32
        } else {
            0
        };
        (i64::from(i32::MIN), i64::from(i32::MAX) + more)
    }

    /// The size of a block in bytes.
    #[must_use]
    pub fn block_size(&self) -> usize {
        self.sup.block_size
    }

    /// The device beneath, for data that goes around the file system.
    pub fn device(&mut self) -> &mut D {
        &mut self.cache.dev
    }
}

fn read_super<D: Device>(dev: &mut D) -> Result<Super> {
    let mut raw = Vec::new();
    raw.try_reserve_exact(superblock::SIZE)
        .map_err(|_| Error::NoMemory)?;
    raw.resize(superblock::SIZE, 0);
    if dev.size() < superblock::OFFSET + u64_of(superblock::SIZE) {
        return Err(Error::NotExt4);
    }
    dev.read(superblock::OFFSET, &mut raw)
        .map_err(|_| Error::Io)?;
    Super::parse(raw, dev.size())
}
