//! Disks as files: `/dev/vda`, `/dev/loop0` and their like, through a page cache of the disk's own.
//!
//! A mounted file system has private buffers and doesn't see this cache, as on Linux.
//!
//! A device is known by its [`Key`]. Here is what each stands for, and the caches. [`loops`] has the disks that
//! are files, [`part`] makes a partition a disk of its own, [`pages`] fills a cache, [`file`] is what a program
//! opens.

mod file;
pub(crate) mod loops;
mod pages;
mod part;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
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
use super::superblock;
use super::text::Text;
use super::vfs::Node;
use crate::drivers::block::{self, BlockDevice, SECTOR_SIZE};
use crate::sync::SpinLock;
use crate::vm::Mapping;
use file::DiskFile;
pub(super) use file::allocate;
use pages::Pages;
use part::Part;

/// The major number of virtio disks, and minor numbers for each (its partitions).
const VIRTIO_MAJOR: u32 = 254;
pub(super) const MINORS: u32 = 16;
/// The major number of partitions that have none of their disk's (`BLOCK_EXT_MAJOR`, linux/major.h).
const EXTENDED_MAJOR: u32 = 259;

/// A device number in one word: the major number above [`MINOR_BITS`] of the minor one.
pub(crate) type Key = u32;

const MINOR_BITS: u32 = 20;

const fn key(major: u32, minor: u32) -> Key {
    major << MINOR_BITS | minor
}

fn key_of(inode: &Inode) -> Key {
    let number = inode.rdev();
    key(number.major, number.minor)
}

/// The device number that a key stands for.
pub(crate) const fn number(key: Key) -> DeviceNumber {
    DeviceNumber::new(key >> MINOR_BITS, key & ((1 << MINOR_BITS) - 1))
}

/// A disk or a part of one, once it has been opened: its pages.
struct Cache {
    key: Key,
    device: Arc<dyn BlockDevice>,
    mapping: Arc<Mapping>,
}

static CACHES: SpinLock<Vec<Cache>> = SpinLock::new(Vec::new());

/// A partition that was found.
#[derive(Clone, Copy)]
struct Known {
    key: Key,
    disk: Key,
    part: Partition,
    /// A program has said that it isn't to be written (`BLKROSET`).
    protected: bool,
}

static PARTITIONS: SpinLock<Vec<Known>> = SpinLock::new(Vec::new());

/// Makes the device files of all registered disks.
pub(crate) fn init() -> Result<(), Errno> {
    let disks = block::disks();
    let count = u32::try_from(disks.len()).map_err(|_| Errno::EINVAL)?;
    devices::register(Driver {
        kind: FileType::BlockDevice,
        major: VIRTIO_MAJOR,
        first: 0,
        count: count * MINORS,
        open,
    })?;
    (0..count).try_for_each(|number| add_node(virtio(number)))
}

/// The virtio disk of that number.
const fn virtio(number: u32) -> Key {
    key(VIRTIO_MAJOR, number * MINORS)
}

/// Reads the partition table of the virtio disk of that number.
pub(crate) fn scan_virtio(number: u32) -> Result<(), Errno> {
    scan(virtio(number))
}

/// The path in `/dev` of a disk or partition.
fn node_path(key: Key) -> Result<Vec<u8>, Errno> {
    let mut path = Text::default();
    path.bytes(b"/")?;
    write_name(key, &mut path)?;
    Ok(path.into_bytes())
}

fn add_node(key: Key) -> Result<(), Errno> {
    let node = Node {
        rdev: number(key),
        ..Node::new(FileType::BlockDevice, 0o660)
    };
    devfs::add(&node_path(key)?, &node)
}

fn remove_node(key: Key) -> Result<(), Errno> {
    devfs::remove(&node_path(key)?)
}

/// Reads a disk's partition table and makes device files of what is in it, in place of those of an earlier
/// reading. EBUSY while one of these is open.
fn scan(disk: Key) -> Result<(), Errno> {
    let device = disk_at(disk).ok_or(Errno::ENXIO)?;
    forget_parts(disk)?;
    let found = partition::partitions(device.sectors(), |sector| {
        let mut bytes = [0; SECTOR_SIZE];
        let at = sector.checked_mul(u64_of(SECTOR_SIZE))?;
        block::read_bytes(&*device, at, &mut bytes).ok()?;
        Some(bytes)
    });
    for part in found {
        let mut all = PARTITIONS.lock();
        let key = if number(disk).major == VIRTIO_MAJOR {
            disk + part.number
        } else {
            let free = |key: &Key| all.iter().all(|known| known.key != *key);
            let mut keys = key(EXTENDED_MAJOR, 0)..key(EXTENDED_MAJOR + 1, 0);
            keys.find(free).ok_or(Errno::ENOSPC)?
        };
        let known = Known {
            key,
            disk,
            part,
            protected: false,
        };
        try_push(&mut all, known)?;
        drop(all);
        add_node(key)?;
    }
    Ok(())
}

/// Takes the partitions of a disk away. EBUSY while one of them is open.
fn forget_parts(disk: Key) -> Result<(), Errno> {
    let mut at = 0;
    while let Some(part) = next_part(disk, at) {
        at = part + 1;
        let caches = CACHES.lock();
        let mut own = caches.iter().filter(|cache| cache.key == part);
        if own.any(|cache| Arc::strong_count(&cache.mapping) > 1) {
            return Err(Errno::EBUSY);
        }
    }
    while let Some(part) = next_part(disk, 0) {
        forget_cache(part);
        remove_node(part)?;
        PARTITIONS.lock().retain(|known| known.key != part);
    }
    Ok(())
}

/// Drops the pages of a device.
fn forget_cache(key: Key) {
    let mut caches = CACHES.lock();
    let at = caches.iter().position(|cache| cache.key == key);
    let gone = at.map(|at| caches.swap_remove(at));
    drop(caches);
    drop(gone);
}

fn part_at(key: Key) -> Option<Known> {
    let parts = PARTITIONS.lock();
    parts.iter().find(|known| known.key == key).copied()
}

/// Says of a partition that it isn't to be written, or may be again.
fn protect(key: Key, on: bool) {
    let mut parts = PARTITIONS.lock();
    if let Some(known) = parts.iter_mut().find(|known| known.key == key) {
        known.protected = on;
    }
}

/// Whether a disk or partition can't be written.
pub(crate) fn is_read_only(key: Key) -> bool {
    part_at(key).is_some_and(|known| known.protected)
        || disk(key).is_some_and(|disk| disk.read_only())
}

/// The first partition of a disk from there on.
pub(crate) fn next_part(disk: Key, from: Key) -> Option<Key> {
    let parts = PARTITIONS.lock();
    let own = parts.iter().filter(|known| known.disk == disk);
    own.map(|known| known.key).filter(|key| *key >= from).min()
}

/// The first virtio disk from there on.
pub(crate) fn next_virtio(from: Key) -> Option<Key> {
    let at = from.max(virtio(0)).checked_next_multiple_of(MINORS)?;
    let number = (at - virtio(0)) / MINORS;
    (usize_of32(number) < block::disks().len()).then_some(at)
}

/// The first whole disk from there on.
pub(crate) fn next_disk(from: Key) -> Option<Key> {
    loops::next(from).or_else(|| next_virtio(from))
}

/// The first disk or partition from there on.
pub(crate) fn next(from: Key) -> Option<Key> {
    let parts = PARTITIONS.lock();
    let keys = parts.iter().map(|known| known.key);
    let part = keys.filter(|key| *key >= from).min();
    drop(parts);
    part.into_iter().chain(next_disk(from)).min()
}

/// The disk that a device is, or is a part of.
pub(crate) fn whole(key: Key) -> Key {
    part_at(key).map_or(key, |known| known.disk)
}

/// The whole disk with that key.
fn disk_at(key: Key) -> Option<Arc<dyn BlockDevice>> {
    let DeviceNumber { major, minor } = number(key);
    match major {
        VIRTIO_MAJOR if minor.is_multiple_of(MINORS) => {
            block::disks().get(usize_of32(minor / MINORS)).cloned()
        }
        loops::MAJOR => Some(loops::find(minor)?),
        _ => None,
    }
}

/// The disk that a device is, or is a part of.
pub(super) fn disk(key: Key) -> Option<Arc<dyn BlockDevice>> {
    disk_at(whole(key))
}

/// Writes the name of a disk or partition.
pub(crate) fn write_name(key: Key, out: &mut Text) -> Result<(), Errno> {
    let disk = disk(key).ok_or(Errno::ENOENT)?;
    out.bytes(disk.name().as_bytes())?;
    let Some(Known { part, .. }) = part_at(key) else {
        return Ok(());
    };
    if disk
        .name()
        .as_bytes()
        .last()
        .is_some_and(u8::is_ascii_digit)
    {
        out.bytes(b"p")?;
    }
    out.put(format_args!("{}", part.number))
}

/// The number of a partition on its disk; 0 for a whole one.
pub(crate) fn part_number(key: Key) -> u32 {
    part_at(key).map_or(0, |known| known.part.number)
}

/// Where on its disk a device begins and how long it is, in sectors.
pub(crate) fn extent(key: Key) -> Option<(u64, u64)> {
    match part_at(key) {
        Some(Known { part, .. }) => Some((part.start, part.sectors)),
        None => Some((0, disk_at(key)?.sectors())),
    }
}

/// What a disk has done (Documentation/block/stat.rst of Linux); only sectors and, for loop devices, time.
pub(crate) fn statistics(key: Key) -> [u64; 17] {
    let stats = disk(key).map_or_else(Default::default, |disk| disk.stats());
    let mut values = [0; 17];
    let sector = u64_of(SECTOR_SIZE);
    values[2] = stats.read / sector;
    values[6] = stats.written / sector;
    values[9] = stats.busy.div_ceil(1_000_000);
    values
}

/// The disk or partition that a block device's file stands for.
pub(crate) fn disk_of(inode: &Inode) -> Result<Arc<dyn BlockDevice>, Errno> {
    if inode.kind() != FileType::BlockDevice {
        return Err(Errno::ENXIO);
    }
    let key = key_of(inode);
    let Some(Known { disk, part, .. }) = part_at(key) else {
        return disk_at(key).ok_or(Errno::ENXIO);
    };
    let mut name = Text::default();
    write_name(key, &mut name)?;
    Ok(try_arc(Part {
        key,
        disk: disk_at(disk).ok_or(Errno::ENXIO)?,
        name: String::from_utf8(name.into_bytes()).map_err(|_| Errno::EINVAL)?,
        start: part.start,
        sectors: part.sectors,
    })?)
}

/// The pages of a disk or partition, made when it is first opened.
fn cache_of(inode: &Inode) -> Result<(Arc<dyn BlockDevice>, Arc<Mapping>), Errno> {
    let key = key_of(inode);
    let known = |caches: &[Cache]| {
        let found = caches.iter().find(|cache| cache.key == key);
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
        key,
        device: Arc::clone(&device),
        mapping: Arc::clone(&mapping),
    };
    try_push(&mut caches, entry)?;
    Ok((device, mapping))
}

/// Opens a disk or partition; for `O_EXCL` it mustn't be mounted.
pub(super) fn open(inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
    let key = key_of(inode);
    if number(key).major == loops::MAJOR {
        loops::make(Some(number(key).minor))?;
    }
    if flags.has(abi::O_EXCL) && superblock::on_device(inode.rdev()).is_some() {
        return Err(Errno::EBUSY);
    }
    let (disk, mapping) = cache_of(inode)?;
    Ok(try_arc(DiskFile::new(key, disk, mapping))?)
}
