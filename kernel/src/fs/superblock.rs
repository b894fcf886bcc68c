//! [`SuperBlock`]: a file system in use; [`FileSystemType`]: a kind of file system that can be
//! mounted.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::DeviceNumber;
use kiln_core::fs::stat::StatFs;

use super::inode::Inode;
use super::memory::{try_arc, try_push};
use crate::sched::Mutex;
use crate::sync::SpinLock;

/// What a file system does as a whole.
pub(crate) trait SuperOps: Send + Sync {
    /// Space and limits; [`StatFs::flags`] and `id` are the VFS's.
    fn statfs(&self) -> Result<StatFs, Errno>;

    /// Brings everything to the disk and waits for it.
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Turns writing off or on; EROFS or EBUSY when that can't be.
    fn remount(&self, read_only: bool) -> Result<(), Errno> {
        let _ = read_only;
        Ok(())
    }

    /// The last mount is going: leave the disk as it should be found.
    fn unmount(&self) -> Result<(), Errno> {
        self.sync()
    }

    /// Options as `/proc/mounts` shows them after `rw,relatime`, each with a comma in front.
    fn options(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// A file system in use.
pub(crate) struct SuperBlock {
    kind: &'static str,
    dev: DeviceNumber,
    block_size: u32,
    read_only: AtomicBool,
    next_ino: AtomicU64,
    ops: Box<dyn SuperOps>,
    /// Held while directories move, so that no directory becomes its own ancestor.
    pub(crate) rename: Mutex<()>,
}

/// Minor numbers of file systems without a device.
static NEXT_ANONYMOUS: AtomicU32 = AtomicU32::new(1);

impl SuperBlock {
    /// A file system without a device: its device number is one of its own with major 0.
    pub(crate) fn new(kind: &'static str, ops: Box<dyn SuperOps>) -> Result<Arc<Self>, Errno> {
        let dev = DeviceNumber::new(0, NEXT_ANONYMOUS.fetch_add(1, Ordering::Relaxed));
        Self::on_device(kind, dev, 4096, false, ops)
    }

    /// A file system on a device.
    pub(crate) fn on_device(
        kind: &'static str,
        dev: DeviceNumber,
        block_size: u32,
        read_only: bool,
        ops: Box<dyn SuperOps>,
    ) -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            kind,
            dev,
            block_size,
            read_only: AtomicBool::new(read_only),
            next_ino: AtomicU64::new(1),
            ops,
            rename: Mutex::new(()),
        })
    }

    /// The name of its type.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// What `st_dev` says.
    pub(crate) fn dev(&self) -> DeviceNumber {
        self.dev
    }

    /// What `st_blksize` says.
    pub(crate) fn block_size(&self) -> u32 {
        self.block_size
    }

    /// What it does as a whole.
    pub(crate) fn ops(&self) -> &dyn SuperOps {
        &*self.ops
    }

    /// Whether nothing in it may change.
    pub(crate) fn read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// Turns writing off or on.
    pub(crate) fn remount(&self, read_only: bool) -> Result<(), Errno> {
        if read_only != self.read_only() {
            if read_only {
                self.ops.sync()?;
            }
            self.ops.remount(read_only)?;
            self.read_only.store(read_only, Ordering::Relaxed);
        }
        Ok(())
    }

    /// An inode number nobody had, for file systems that keep none.
    pub(crate) fn new_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }

    /// Numbers below `first` are taken.
    pub(crate) fn reserve_inos(&self, first: u64) {
        self.next_ino.fetch_max(first, Ordering::Relaxed);
    }

    /// Space and limits.
    pub(crate) fn statfs(&self) -> Result<StatFs, Errno> {
        let mut stat = self.ops.statfs()?;
        if stat.id == 0 {
            stat.id = self.dev.encode();
        }
        Ok(stat)
    }
}

/// What is to be mounted.
pub(crate) struct MountRequest<'a> {
    /// The source as given: a device's path, or any word.
    pub(crate) source: &'a [u8],
    /// The device file that the source names, for types that need one.
    pub(crate) device: Option<Arc<Inode>>,
    /// Options of the type, separated by commas.
    pub(crate) options: &'a [u8],
    /// Not to be written.
    pub(crate) read_only: bool,
}

/// A kind of file system.
#[derive(Clone, Copy)]
pub(crate) struct FileSystemType {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it lies on a block device.
    pub(crate) needs_device: bool,
    /// Makes one ready; answers its root directory.
    pub(crate) mount: fn(&MountRequest<'_>) -> Result<Arc<Inode>, Errno>,
}

static TYPES: SpinLock<Vec<FileSystemType>> = SpinLock::new(Vec::new());

/// Makes a kind of file system known to `mount`.
pub(crate) fn register(kind: FileSystemType) -> Result<(), Errno> {
    try_push(&mut TYPES.lock(), kind)
}

/// The kind of that name; ENODEV.
pub(crate) fn find_type(name: &[u8]) -> Result<FileSystemType, Errno> {
    let types = TYPES.lock();
    let found = types.iter().find(|kind| kind.name.as_bytes() == name);
    found.copied().ok_or(Errno::ENODEV)
}

/// Every kind, in the order they were made known.
pub(crate) fn for_each_type(mut each: impl FnMut(&FileSystemType)) {
    TYPES.lock().iter().for_each(&mut each);
}
