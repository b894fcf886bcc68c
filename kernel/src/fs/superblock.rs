//! [`SuperBlock`]: a file system in use; [`FileSystemType`]: a kind of file system that can be
//! mounted.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::DeviceNumber;
use kiln_core::fs::stat::StatFs;

use super::context::Lookup;
use super::dentry::Dentry;
use super::inode::Inode;
use super::memory::{try_arc, try_push};
use super::mount::MountFlags;
use super::{notify, start};
use crate::sched::Mutex;
use crate::sync::{Once, SpinLock};
use crate::vm::writeback;

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

    /// Takes other options; what they don't name stays as it is.
    fn reconfigure(&self, options: &[u8]) -> Result<(), Errno> {
        let _ = options;
        Ok(())
    }

    /// The last mount is going: leave the disk as it should be found.
    fn unmount(&self) -> Result<(), Errno> {
        self.sync()
    }

    /// The seconds of the first and the last time that it can keep.
    fn time_limits(&self) -> (i64, i64) {
        (i64::MIN, i64::MAX)
    }

    /// The generation of file `ino`: another file of that number has another.
    fn generation(&self, ino: u64) -> Result<u32, Errno> {
        let _ = ino;
        Ok(0)
    }

    /// The file of that number and generation; ESTALE when it is no more.
    fn by_number(&self, ino: u64, generation: u32) -> Result<Arc<Inode>, Errno> {
        let _ = (ino, generation);
        Err(Errno::ESTALE)
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
    /// Those of [`MountFlags`] that are a file system's.
    flags: AtomicU32,
    next_ino: AtomicU64,
    ops: Box<dyn SuperOps>,
    /// Mounts that show it, in any tree or none.
    mounts: AtomicUsize,
    /// Held while directories move, so that no directory becomes its own ancestor.
    pub(crate) rename: Mutex<()>,
}

/// Minor numbers of file systems without a device.
static NEXT_ANONYMOUS: AtomicU32 = AtomicU32::new(1);

impl SuperBlock {
    /// A file system without a device: its device number is one of its own with major 0.
    pub(crate) fn new(kind: &'static str, ops: Box<dyn SuperOps>) -> Result<Arc<Self>, Errno> {
        Self::with_block_size(kind, 4096, ops)
    }

    /// The same with a unit of I/O of its own.
    pub(crate) fn with_block_size(
        kind: &'static str,
        block_size: u32,
        ops: Box<dyn SuperOps>,
    ) -> Result<Arc<Self>, Errno> {
        let dev = DeviceNumber::new(0, NEXT_ANONYMOUS.fetch_add(1, Ordering::Relaxed));
        Self::on_device(kind, dev, block_size, false, ops)
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
            flags: AtomicU32::new(u32::from(read_only)),
            next_ino: AtomicU64::new(1),
            ops,
            mounts: AtomicUsize::new(0),
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
        self.flags().contains(MountFlags::READ_ONLY)
    }

    /// [`MountFlags::READ_ONLY`] and those of [`MountFlags::OF_FS`].
    pub(crate) fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// Changes the flags of [`MountFlags::OF_FS`].
    pub(crate) fn set_flags(&self, flags: MountFlags) {
        let kept = self.flags() & MountFlags::READ_ONLY;
        let all = (flags & MountFlags::OF_FS) | kept;
        self.flags.store(all.bits(), Ordering::Relaxed);
    }

    /// Turns writing off or on.
    pub(crate) fn remount(&self, read_only: bool) -> Result<(), Errno> {
        if read_only != self.read_only() {
            if read_only {
                self.ops.sync()?;
            }
            self.ops.remount(read_only)?;
            let bit = MountFlags::READ_ONLY.bits();
            self.flags.fetch_xor(bit, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Counts a mount that shows it, or one less.
    pub(super) fn count_mount(&self, more: bool) {
        if more {
            self.mounts.fetch_add(1, Ordering::AcqRel);
        } else {
            self.mounts.fetch_sub(1, Ordering::AcqRel);
        }
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
    /// Where the paths of options are looked up; `None`: nobody asks who could name any.
    pub(crate) lookup: Option<&'a Lookup<'a>>,
    /// The device file that the source names, for types that need one.
    pub(crate) device: Option<Arc<Inode>>,
    /// Options of the type, separated by commas.
    pub(crate) options: &'a [u8],
    /// Not to be written.
    pub(crate) read_only: bool,
}

/// Looks at an option by itself.
pub(crate) type CheckOption = fn(&[u8], Option<&[u8]>) -> Result<(), Errno>;

/// Looks at each of a mount's options.
pub(crate) fn check_options(options: &[u8], known: CheckOption) -> Result<(), Errno> {
    let mut given = options.split(|byte| *byte == b',');
    given.try_for_each(|option| {
        let at = option.iter().position(|byte| *byte == b'=');
        match at.and_then(|at| Some((option.get(..at)?, option.get(at + 1..)?))) {
            Some((key, value)) => known(key, Some(value)),
            None if option.is_empty() => Ok(()),
            None => known(option, None),
        }
    })
}

/// What a type's options are that has none.
pub(crate) fn no_option(_: &[u8], _: Option<&[u8]>) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// A kind of file system.
#[derive(Clone, Copy)]
pub(crate) struct FileSystemType {
    /// Its name.
    pub(crate) name: &'static str,
    /// Who reads and writes its format, if it lies on a block device.
    pub(crate) driver: Option<&'static str>,
    /// Refuses (EINVAL) options that it doesn't have, each with its value; `None`: it takes all.
    pub(crate) option: Option<CheckOption>,
    /// Makes one ready; answers its root directory.
    pub(crate) mount: fn(&MountRequest<'_>) -> Result<Arc<Inode>, Errno>,
}

/// Kinds that rooms above have, to be found by `mount` like this room's own.
static MORE_TYPES: Once<&'static [FileSystemType]> = Once::new();

/// Makes kinds of file systems known to `mount`: once, by the room that has any.
pub(crate) fn register(kinds: &'static [FileSystemType]) {
    MORE_TYPES.call_once(|| kinds);
}

/// Every kind that can be mounted.
pub(crate) fn types() -> impl Iterator<Item = &'static FileSystemType> {
    let more = MORE_TYPES.get().copied().unwrap_or_default();
    start::TYPES.iter().chain(more)
}

/// The kind of that name; ENODEV.
pub(crate) fn find_type(name: &[u8]) -> Result<FileSystemType, Errno> {
    let found = types().find(|kind| kind.name.as_bytes() == name);
    found.copied().ok_or(Errno::ENODEV)
}

/// A file system that is, or was, mounted, and its root, which all its mounts show.
struct InUse {
    sb: Arc<SuperBlock>,
    root: Arc<Dentry>,
}

/// The file systems in use: a mount may outlive its place in the tree, and a file system its last
/// mount, until [`settle`].
static IN_USE: SpinLock<Vec<InUse>> = SpinLock::new(Vec::new());

/// The root of the file system with that root directory: the same for all its mounts, so that they
/// see the same names.
pub(crate) fn root_of(root: Arc<Inode>) -> Result<Arc<Dentry>, Errno> {
    let sb = Arc::clone(root.sb());
    let known = |list: &[InUse]| {
        let found = list.iter().find(|known| Arc::ptr_eq(&known.sb, &sb));
        found.map(|known| Arc::clone(&known.root))
    };
    if let Some(root) = known(&IN_USE.lock()) {
        return Ok(root);
    }
    let root = Dentry::root(root)?;
    let entry = InUse {
        sb: Arc::clone(&sb),
        root: Arc::clone(&root),
    };
    try_push(&mut IN_USE.lock(), entry)?;
    Ok(root)
}

/// The file system on a device, when there is one in use, with its root.
pub(crate) fn on_device(dev: DeviceNumber) -> Option<(Arc<SuperBlock>, Arc<Dentry>)> {
    let list = IN_USE.lock();
    let found = list
        .iter()
        .find(|known| known.sb.dev == dev && dev.major != 0);
    found.map(|known| (Arc::clone(&known.sb), Arc::clone(&known.root)))
}

/// Ends the use of those that no mount shows any more: they are left as they should be found.
pub(crate) fn settle() -> Result<(), Errno> {
    let mut result = Ok(());
    loop {
        let mut list = IN_USE.lock();
        let idle = |known: &InUse| known.sb.mounts.load(Ordering::Acquire) == 0;
        let Some(at) = list.iter().position(idle) else {
            return result;
        };
        let gone = list.swap_remove(at);
        drop(list);
        notify::unmounted(&gone.sb);
        gone.root.prune();
        if gone.sb.dev.major != 0 {
            result = result.and(writeback::sync_everything());
        }
        result = result.and(gone.sb.ops.unmount());
    }
}

/// Every file system in use.
pub(crate) fn in_use() -> Result<Vec<Arc<SuperBlock>>, Errno> {
    let mut all = Vec::new();
    let list = IN_USE.lock();
    all.try_reserve_exact(list.len())
        .map_err(|_| Errno::ENOMEM)?;
    all.extend(list.iter().map(|known| Arc::clone(&known.sb)));
    Ok(all)
}
