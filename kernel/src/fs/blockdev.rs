//! Disks as files: `/dev/vda` and its like, through a page cache of the disk's own.
//!
//! A mounted file system has private buffers and doesn't see this cache, as on Linux.
//!
//! Here are the minor numbers, what each stands for, and the caches. [`part`] makes a partition a disk of its
//! own, [`pages`] fills a cache, [`file`] is what a program opens.

mod file;
mod pages;
mod part;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{DeviceNumber, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::partition::{self, Partition};
use kiln_core::num::{u64_of, usize_of32};

use super::devfs;
use super::devices::{self, Driver};
use super::file::FileOps;
use super::inode::Inode;
use super::memory::{try_arc, try_push};
use super::text::Text;
use super::vfs::Node;
use crate::drivers::block::{self, BlockDevice, SECTOR_SIZE};
use crate::sync::SpinLock;
use crate::vm::Mapping;
use file::DiskFile;
use pages::Pages;
use part::Part;

/// The major number of virtio disks, and minor numbers for each (its partitions).
pub(crate) const MAJOR: u32 = 254;
pub(super) const MINORS: u32 = 16;

/// A disk or a part of one, once it has been opened: its pages.
struct Cache {
    minor: u32,
    device: Arc<dyn BlockDevice>,
    mapping: Arc<Mapping>,
}

static CACHES: SpinLock<Vec<Cache>> = SpinLock::new(Vec::new());

/// The partitions found so far, each with its disk's first minor number.
static PARTITIONS: SpinLock<Vec<(u32, Partition)>> = SpinLock::new(Vec::new());

/// Makes the device files of all registered disks.
pub(crate) fn init() -> Result<(), Errno> {
    let disks = block::disks();
    let count = u32::try_from(disks.len()).map_err(|_| Errno::EINVAL)?;
    devices::register(Driver {
        kind: FileType::BlockDevice,
        major: MAJOR,
        first: 0,
        count: count * MINORS,
        open,
    })?;
    (0..count).try_for_each(|number| add_node(number * MINORS))
}

/// The path in `/dev` of a disk or partition.
fn node_path(minor: u32) -> Result<Vec<u8>, Errno> {
    let mut path = Text::default();
    path.bytes(b"/")?;
    write_name(minor, &mut path)?;
    Ok(path.into_bytes())
}

fn add_node(minor: u32) -> Result<(), Errno> {
    let node = Node {
        rdev: DeviceNumber::new(MAJOR, minor),
        ..Node::new(FileType::BlockDevice, 0o660)
    };
    devfs::add(&node_path(minor)?, &node)
}

/// Reads a disk's partition table and makes device files of what is in it, in place of those of an earlier
/// reading. EBUSY while one of these is open.
pub(crate) fn scan(disk: u32) -> Result<(), Errno> {
    let first = disk * MINORS;
    let device = block::disks().get(usize_of32(disk)).ok_or(Errno::ENXIO)?;
    let is_part = |minor: u32| minor != first && minor / MINORS == disk;
    let mut caches = CACHES.lock();
    let in_use = |cache: &Cache| is_part(cache.minor) && Arc::strong_count(&cache.mapping) > 1;
    if caches.iter().any(in_use) {
        return Err(Errno::EBUSY);
    }
    let (gone, kept) = core::mem::take(&mut *caches)
        .into_iter()
        .partition(|cache: &Cache| is_part(cache.minor));
    *caches = kept;
    drop(caches);
    let gone: Vec<Cache> = gone;
    drop(gone);
    let found = partition::partitions(device.sectors(), |sector| {
        let mut bytes = [0; SECTOR_SIZE];
        let at = sector.checked_mul(u64_of(SECTOR_SIZE))?;
        block::read_bytes(&**device, at, &mut bytes).ok()?;
        Some(bytes)
    });
    while let Some(minor) = next_minor(first + 1).filter(|minor| is_part(*minor)) {
        devfs::remove(&node_path(minor)?)?;
        let mut all = PARTITIONS.lock();
        all.retain(|(of, part)| of + part.number != minor);
    }
    for part in found {
        try_push(&mut PARTITIONS.lock(), (first, part))?;
        add_node(first + part.number)?;
    }
    Ok(())
}

/// The first minor number from there on that stands for a disk or partition.
pub(crate) fn next_minor(from: u32) -> Option<u32> {
    let disk = from.checked_next_multiple_of(MINORS)?;
    let disk = (usize_of32(disk / MINORS) < block::disks().len()).then_some(disk);
    let parts = PARTITIONS.lock();
    let minors = parts.iter().map(|(first, part)| first + part.number);
    minors.filter(|minor| *minor >= from).chain(disk).min()
}

/// The disk that a minor number belongs to.
pub(super) fn disk(minor: u32) -> Option<&'static Arc<dyn BlockDevice>> {
    block::disks().get(usize_of32(minor / MINORS))
}

/// Writes the name of a disk or partition.
pub(crate) fn write_name(minor: u32, out: &mut Text) -> Result<(), Errno> {
    let disk = disk(minor).ok_or(Errno::ENOENT)?;
    out.bytes(disk.name().as_bytes())?;
    match minor % MINORS {
        0 => Ok(()),
        number => out.put(format_args!("{number}")),
    }
}

/// Where on its disk a minor number's device begins and how long it is, in sectors.
pub(crate) fn extent(minor: u32) -> Option<(u64, u64)> {
    let disk = disk(minor)?;
    if minor.is_multiple_of(MINORS) {
        return Some((0, disk.sectors()));
    }
    let parts = PARTITIONS.lock();
    let found = parts
        .iter()
        .find(|(first, part)| first + part.number == minor);
    found.map(|(_, part)| (part.start, part.sectors))
}

/// The disk or partition that a block device's file stands for.
pub(crate) fn disk_of(inode: &Inode) -> Result<Arc<dyn BlockDevice>, Errno> {
    let number = inode.rdev();
    if inode.kind() != FileType::BlockDevice || number.major != MAJOR {
        return Err(Errno::ENXIO);
    }
    let (start, sectors) = extent(number.minor).ok_or(Errno::ENXIO)?;
    let disk = disk(number.minor).ok_or(Errno::ENXIO)?;
    if number.minor.is_multiple_of(MINORS) {
        return Ok(Arc::clone(disk));
    }
    let mut name = Text::default();
    write_name(number.minor, &mut name)?;
    Ok(try_arc(Part {
        disk: Arc::clone(disk),
        name: String::from_utf8(name.into_bytes()).map_err(|_| Errno::EINVAL)?,
        start,
        sectors,
    })?)
}

/// The pages of a disk or partition, made when it is first opened.
fn cache_of(inode: &Inode) -> Result<(Arc<dyn BlockDevice>, Arc<Mapping>), Errno> {
    let minor = inode.rdev().minor;
    let known = |caches: &[Cache]| {
        let found = caches.iter().find(|cache| cache.minor == minor);
        found.map(|cache| (Arc::clone(&cache.device), Arc::clone(&cache.mapping)))
    };
    if let Some(found) = known(&CACHES.lock()) {
        return Ok(found);
    }
    let device = disk_of(inode)?;
    let size = device.sectors().saturating_mul(u64_of(SECTOR_SIZE));
    let mapping = Mapping::new(Some(try_arc(Pages(Arc::clone(&device)))?), size)?;
    let mut caches = CACHES.lock();
    if let Some(found) = known(&caches) {
        return Ok(found);
    }
    let entry = Cache {
        minor,
        device: Arc::clone(&device),
        mapping: Arc::clone(&mapping),
    };
    try_push(&mut caches, entry)?;
    Ok((device, mapping))
}

fn open(inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
    let (disk, mapping) = cache_of(inode)?;
    if flags.writes() && disk.read_only() {
        return Err(Errno::EACCES);
    }
    Ok(try_arc(DiskFile {
        minor: inode.rdev().minor,
        disk,
        mapping,
    })?)
}
