//! ext4, ext3 and ext2 on disks: kiln-core's implementation under the VFS.
//!
//! [`Volume`] is a mounted file system: the core under a sleeping lock, and the inodes in use.
//! `node` carries the VFS's requests out, `requests` those of ioctl(2), `pages` moves file data, `disk` metadata; `commit` is
//! the thread that commits the journal; `superops` is what the VFS asks of the file system as a whole.
//!
//! What changes often and alone (times, sizes) is noted in the VFS's inode, which the volume holds
//! until it has written it. A deleted file's blocks are freed by whoever comes next
//! ([`Volume::settle`]), since its last handle may go anywhere. Locks: inode, a file's transfers
//! ([`Pages::io`]), the core; spin locks are leaves.

mod commit;
mod disk;
mod node;
mod pages;
mod requests;
mod superops;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::Timestamp;
use kiln_core::fs::ext4::{self as core_fs, Error, Ext4, Ino, Options, ROOT, SetAttr, Shown, Time};

use self::disk::Disk;
use self::node::Node;
use self::pages::Pages;
use self::superops::Super;
use super::blockdev;
use super::clock;
use super::inode::{Inode, InodeParts};
use super::memory::{try_arc, try_box};
use super::superblock::{FileSystemType, MountRequest, SuperBlock, SuperOps};
use crate::drivers::block::Opened;
use crate::mm::{frame, kmem};
use crate::sched::Mutex;
use crate::sync::{Once, SpinLock};
use crate::vm::Mapping;

/// `EXT4_SUPER_MAGIC` (linux/magic.h).
const MAGIC: u32 = 0xEF53;
/// What an entry of the table of inodes takes.
const ENTRY_BYTES: usize = 96;
/// Changed inodes held before they are written.
const MAX_CHANGED: usize = 64;

/// The type as `mount` knows it.
pub(crate) const EXT4: FileSystemType = file_system("ext4", |request| mount(request, 4));
/// Its ancestors are mounted the same way.
pub(crate) const EXT3: FileSystemType = file_system("ext3", |request| mount(request, 3));
/// Without a journal.
pub(crate) const EXT2: FileSystemType = file_system("ext2", |request| mount(request, 2));

const fn file_system(
    name: &'static str,
    mount: fn(&MountRequest<'_>) -> Result<Arc<Inode>, Errno>,
) -> FileSystemType {
    FileSystemType {
        name,
        driver: Some("ext4"),
        option: Some(core_fs::check_option),
        mount,
    }
}

/// What is known of an inode in use.
#[derive(Default)]
struct Known {
    inode: Weak<Inode>,
    pages: Weak<Pages>,
}

/// A file whose last name and last handle are gone.
struct Doomed {
    ino: Ino,
    pages: Option<Arc<Pages>>,
}

/// A mounted ext4 file system.
struct Volume {
    core: Mutex<Ext4<Disk>>,
    disk: Opened,
    /// log2 of the block size.
    block_bits: u32,
    sb: Once<Weak<SuperBlock>>,
    known: SpinLock<BTreeMap<Ino, Known>>,
    /// Inodes with times or sizes to be written.
    changed: SpinLock<Vec<Arc<Inode>>>,
    doomed: SpinLock<Vec<Doomed>>,
    /// Inodes that will be doomed: the list has room for them.
    nameless: AtomicUsize,
    /// Promised blocks of files that are gone.
    returned: AtomicU64,
    /// The first error that nobody has been told of.
    error: SpinLock<Option<Errno>>,
    options: Mutex<Shown>,
}

fn time(stamp: Timestamp) -> Time {
    Time {
        seconds: stamp.sec,
        nanos: stamp.nsec,
    }
}

fn stamp(time: Time) -> Timestamp {
    Timestamp {
        sec: time.seconds,
        nsec: time.nanos,
    }
}

fn now() -> Time {
    time(clock::now())
}

/// Mounts the file system on the disk of `request` as ext2, 3 or 4; its root directory.
fn mount(request: &MountRequest<'_>, generation: u8) -> Result<Arc<Inode>, Errno> {
    let mut shown = Shown::default();
    shown.take(request.options, false)?;
    let device = request.device.as_ref().ok_or(Errno::ENOTBLK)?;
    let disk = Opened::new(blockdev::disk_of(device)?);
    if disk.read_only() && !request.read_only {
        return Err(Errno::EACCES);
    }
    let options = Options {
        read_only: request.read_only,
        generation,
        cache_bytes: cache_bytes(),
        now: now(),
    };
    if let Some(engine) = crate::arch::checksum::crc32c() {
        core_fs::use_engine(engine);
    }
    let mut core = Ext4::mount(Disk::new(Arc::clone(&disk))?, &options).map_err(Error::errno)?;
    core.set_discard(shown.find(b"discard").is_some());
    let block_size = core.block_size();
    let volume = try_arc(Volume::new(core, disk, shown))?;
    let ops: Box<dyn SuperOps> = try_box(Super(Arc::clone(&volume)))?;
    let kind = match generation {
        2 => "ext2",
        3 => "ext3",
        _ => "ext4",
    };
    let size = u32::try_from(block_size).map_err(|_| Errno::EINVAL)?;
    let sb = SuperBlock::on_device(kind, device.rdev(), size, request.read_only, ops)?;
    volume.sb.call_once(|| Arc::downgrade(&sb));
    if volume.core.lock().is_journalled() {
        commit::start(&volume)?;
    }
    volume.inode_with(&sb, &mut volume.core.lock(), ROOT)
}

/// A sixteenth of the free memory, at most 256 MiB, for metadata: what a directory of a million names and its inodes
/// take. Who removes names goes from inode to inode by their hashes, and reads each from the disk when that is less.
fn cache_bytes() -> usize {
    let free = frame::stats().free * kiln_core::addr::PAGE_SIZE;
    (free / 16).clamp(64 << 10, 256 << 20)
}

impl Volume {
    fn new(core: Ext4<Disk>, disk: Opened, options: Shown) -> Self {
        Self {
            block_bits: core.block_size().trailing_zeros(),
            core: Mutex::new(core),
            disk,
            sb: Once::new(),
            known: SpinLock::new(BTreeMap::new()),
            changed: SpinLock::new(Vec::new()),
            doomed: SpinLock::new(Vec::new()),
            nameless: AtomicUsize::new(0),
            returned: AtomicU64::new(0),
            error: SpinLock::new(None),
            options: Mutex::new(options),
        }
    }

    /// The inode of that number; `core` is the volume's own, locked.
    fn inode(self: &Arc<Self>, core: &mut Ext4<Disk>, ino: Ino) -> Result<Arc<Inode>, Errno> {
        let sb = self.sb.get().and_then(Weak::upgrade).ok_or(Errno::EIO)?;
        self.inode_with(&sb, core, ino)
    }

    fn inode_with(
        self: &Arc<Self>,
        sb: &Arc<SuperBlock>,
        core: &mut Ext4<Disk>,
        ino: Ino,
    ) -> Result<Arc<Inode>, Errno> {
        let (inode, pages) = {
            let known = self.known.lock();
            let known = known.get(&ino);
            (
                known.and_then(|known| known.inode.upgrade()),
                known.and_then(|known| known.pages.upgrade()),
            )
        };
        if let Some(inode) = inode {
            return Ok(inode);
        }
        let attr = core.attr(ino).map_err(Error::errno)?;
        let (pages, mapping) = match attr.kind {
            core_fs::FileType::Regular => {
                let limit = core.max_size(ino).map_err(Error::errno)?;
                let (pages, mapping) = self.file_pages(ino, attr.size, limit, pages)?;
                (Some(pages), Some(mapping))
            }
            _ => (None, None),
        };
        let known_pages = pages.as_ref().map_or(Weak::new(), Arc::downgrade);
        let node = try_arc(Node::new(Arc::clone(self), ino, pages))?;
        let inode = Inode::new(InodeParts {
            sb: Arc::clone(sb),
            ino: u64::from(ino),
            attr: node::attr_of(&attr).ok_or(Errno::EUCLEAN)?,
            mapping,
            ops: Arc::<Node>::clone(&node),
        })?;
        node.me.call_once(|| Arc::downgrade(&inode));
        let _charge = kmem::charge(ENTRY_BYTES)?;
        let known = Known {
            inode: Arc::downgrade(&inode),
            pages: known_pages,
        };
        let old = self.known.lock().insert(ino, known);
        drop(old);
        Ok(inode)
    }

    /// A file's pages and page cache: those from before, if some are still to be written.
    fn file_pages(
        self: &Arc<Self>,
        ino: Ino,
        size: u64,
        limit: u64,
        before: Option<Arc<Pages>>,
    ) -> Result<(Arc<Pages>, Arc<Mapping>), Errno> {
        // Those of a deleted file may still be about, though its number is another's now.
        if let Some(pages) = before.filter(|pages| !pages.is_dead())
            && let Some(mapping) = pages.mapping()
        {
            return Ok((pages, mapping));
        }
        let pages = try_arc(Pages::new(Arc::clone(self), ino, size, limit))?;
        let mapping = Mapping::new(Some(Arc::<Pages>::clone(&pages)), size)?;
        pages.set_mapping(&mapping);
        Ok((pages, mapping))
    }

    /// Nothing of this inode is in use any more: `returned` blocks were promised to it.
    fn forget(&self, ino: Ino, returned: u64) {
        self.returned.fetch_add(returned, Ordering::Relaxed);
        let mut known = self.known.lock();
        let gone = known.get(&ino).is_some_and(|known| {
            known.inode.strong_count() == 0 && known.pages.strong_count() == 0
        });
        let entry = if gone { known.remove(&ino) } else { None };
        drop(known);
        drop(entry);
    }

    /// Makes sure that a file that just lost its last name can be noted as doomed.
    fn expect_doomed(&self) -> Result<(), Errno> {
        let count = self.nameless.load(Ordering::Relaxed) + 1;
        let mut doomed = self.doomed.lock();
        let missing = count.saturating_sub(doomed.len());
        doomed.try_reserve(missing).map_err(|_| Errno::ENOMEM)
    }

    /// Does what piled up: frees deleted files, writes changed inodes when there are many.
    fn settle(&self) {
        if self.changed.lock().len() > MAX_CHANGED {
            self.write_changed();
        }
        let returned = self.returned.swap(0, Ordering::Relaxed);
        if returned > 0 {
            self.core.lock().unreserve(returned);
        }
        loop {
            // The lock isn't held while the file goes.
            let next = self.doomed.lock().pop();
            let Some(Doomed { ino, pages }) = next else {
                return;
            };
            if let Some(pages) = &pages {
                pages.empty();
            }
            let result = {
                let _io = pages.as_ref().map(|pages| pages.io.write());
                self.core.lock().evict(ino, now())
            };
            self.nameless.fetch_sub(1, Ordering::Relaxed);
            self.note(result);
        }
    }

    /// Keeps an error until somebody can be told.
    fn note(&self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.error.lock().get_or_insert(error.errno());
        }
    }

    /// A file without a name needs no times any more, and goes sooner when it isn't held.
    fn drop_changed(&self, ino: Ino) {
        let found = {
            let mut changed = self.changed.lock();
            let place = changed
                .iter()
                .position(|inode| inode.ino() == u64::from(ino));
            place.map(|place| changed.swap_remove(place))
        };
        drop(found);
    }

    /// Writes the times and sizes of all changed inodes into the core's buffers.
    fn write_changed(&self) {
        let changed = core::mem::take(&mut *self.changed.lock());
        for inode in &changed {
            self.note(self.write_inode(inode));
        }
    }

    /// Writes an inode's times and size into the core's buffers.
    fn write_inode(&self, inode: &Inode) -> Result<(), Error> {
        if let Some(node) = node::node_of(inode) {
            node.is_changed.store(false, Ordering::Release);
        }
        let attr = inode.attr();
        let (Ok(ino), true) = (Ino::try_from(inode.ino()), attr.nlink > 0) else {
            return Ok(());
        };
        // The core is locked first: who changes the size changes the mapping's before the disk's, so it is either
        // the new one that is seen here or the disk's own turn is still to come.
        let mut core = self.core.lock();
        let set = SetAttr {
            atime: Some(time(attr.atime)),
            mtime: Some(time(attr.mtime)),
            ctime: Some(time(attr.ctime)),
            size: inode.mapping().map(|mapping| mapping.size()),
            ..SetAttr::default()
        };
        core.set_attr(ino, &set)
    }

    /// Takes back what files were promised and don't need, with no lock held.
    fn release_promises(&self) {
        let mut last = 0;
        loop {
            let next = {
                let known = self.known.lock();
                let mut rest = known.range(last + 1..);
                rest.find_map(|(ino, known)| Some((*ino, known.pages.upgrade()?)))
            };
            let Some((ino, pages)) = next else { return };
            last = ino;
            pages.release_promise();
        }
    }

    /// As [`Volume::commit`], unless nothing waits for it.
    fn commit_if_changed(&self) -> Result<(), Errno> {
        if self.core.lock().has_changes() {
            return self.commit();
        }
        Ok(())
    }

    /// Makes durable what the core knows of.
    fn commit(&self) -> Result<(), Errno> {
        let mut core = self.core.lock();
        core.set_now(now());
        core.sync().map_err(Error::errno)
    }

    fn sync(&self) -> Result<(), Errno> {
        self.write_changed();
        self.settle();
        self.release_promises();
        let synced = self.commit();
        let earlier = self.error.lock().take().map_or(Ok(()), Err);
        synced.and(earlier)
    }

    /// Leaves the disk as an unmounted one: deleted files that are still open go, too.
    fn finish(&self) -> Result<(), Errno> {
        let synced = self.sync();
        let mut core = self.core.lock();
        while let Some(ino) = core.orphans().last().copied() {
            if core.evict(ino, now()).is_err() {
                break;
            }
        }
        let finished = core.finish(now()).map_err(Error::errno);
        synced.and(finished)
    }
}
