//! Regular files whose contents are in a [`Mapping`]: reading and writing through the page cache,
//! for every file system.

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use super::file::{Events, File, FileOps, MapSource, Watch};
use super::{limits, memfd};
use crate::sync::Once;
use crate::vm::{IoDst, IoSrc, Mapping};

/// Largest size of a file (`MAX_LFS_FILESIZE`).
pub(crate) const MAX_SIZE: u64 = i64::MAX as u64;

/// The operations of regular files; they keep nothing of their own.
struct Regular;

/// The one object that all regular files share.
pub(crate) fn ops() -> Arc<dyn FileOps> {
    static OPS: Once<Arc<Regular>> = Once::new();
    Arc::<Regular>::clone(OPS.call_once(|| Arc::new(Regular)))
}

fn mapping(file: &File) -> Result<&Arc<Mapping>, Errno> {
    file.inode.mapping().ok_or(Errno::EINVAL)
}

/// EINVAL where a file on a disk is to be read or written past the cache (`O_DIRECT`), but not in whole blocks.
pub(super) fn check_direct(
    file: &File,
    pos: u64,
    len: usize,
    block_size: u32,
) -> Result<(), Errno> {
    let whole = (pos | u64_of(len)).is_multiple_of(u64::from(block_size));
    if file.has(abi::O_DIRECT) && !whole {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// The same of a regular file.
fn check_whole(file: &File, mapping: &Mapping, pos: u64, len: usize) -> Result<(), Errno> {
    // As block devices have them.
    const BLOCK_SIZE: u32 = 512;
    if mapping.has_source() {
        return check_direct(file, pos, len, BLOCK_SIZE);
    }
    Ok(())
}

impl FileOps for Regular {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let mapping = mapping(file)?;
        check_whole(file, mapping, *pos, dst.remaining())?;
        let done = mapping.read(*pos, dst)?;
        *pos += u64_of(done);
        if !file.has(abi::O_NOATIME) {
            file.path.mount.accessed(&file.inode);
        }
        Ok(done)
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let mapping = mapping(file)?;
        if src.remaining() == 0 {
            return Ok(0);
        }
        let guard = file.inode.lock.lock();
        if file.has(abi::O_APPEND) || src.appends {
            *pos = mapping.size();
        }
        let limit = mapping.limit();
        if *pos >= limit {
            return Err(Errno::EFBIG);
        }
        check_whole(file, mapping, *pos, src.remaining())?;
        let room = limits::room(*pos)?;
        src.limit(usize_of(room.min(limit - *pos)));
        memfd::check_write(file, *pos + u64_of(src.remaining()))?;
        file.inode.remove_privs()?;
        let before = mapping.size();
        let done = mapping.write(*pos, src)?;
        if mapping.size() == before {
            file.inode.rewritten();
        } else {
            file.inode.modified();
        }
        drop(guard);
        let start = *pos;
        *pos += u64_of(done);
        if file.has(abi::O_DSYNC) || file.inode.is_synchronous() {
            let last = (*pos - 1) / u64_of(PAGE_SIZE);
            let first = start / u64_of(PAGE_SIZE);
            mapping.sync(first, last - first + 1)?;
            let data_only = !file.has(abi::O_SYNC & !abi::O_DSYNC);
            file.inode.ops().sync(&file.inode, data_only)?;
        }
        Ok(done)
    }

    fn poll(&self, _: &File, _: Option<&mut dyn Watch>) -> Events {
        Events::READABLE | Events::WRITABLE
    }

    fn can_poll(&self) -> bool {
        false
    }

    fn sync(&self, file: &File, data_only: bool) -> Result<(), Errno> {
        mapping(file)?.sync_all()?;
        file.inode.ops().sync(&file.inode, data_only)
    }

    fn mapping(&self, file: &File) -> Result<MapSource, Errno> {
        file.path.mount.accessed(&file.inode);
        mapping(file).map(|mapping| MapSource::File(Arc::clone(mapping)))
    }
}

/// Makes the bytes `from..to` zero: whole pages become holes where memory is all there is. The
/// inode's lock is held.
pub(crate) fn zero_range(mapping: &Arc<Mapping>, from: u64, to: u64) -> Result<(), Errno> {
    let page = u64_of(PAGE_SIZE);
    let (first, last) = (from.div_ceil(page), to / page);
    if first >= last || mapping.has_source() {
        return write_zeros(mapping, from, to);
    }
    write_zeros(mapping, from, first * page)?;
    mapping.discard(first, last - first)?;
    write_zeros(mapping, last * page, to)
}

/// Whether a part of a page has nothing behind it, neither in memory nor where the contents come from.
fn is_hole(mapping: &Mapping, from: u64, to: u64) -> Result<bool, Errno> {
    let page = u64_of(PAGE_SIZE);
    if mapping.cached(from / page).is_some() {
        return Ok(false);
    }
    let data = match mapping.source() {
        Some(source) => source.seek(from, to, true)?,
        None => mapping.seek_data(from).unwrap_or(to),
    };
    Ok(data >= to)
}

fn write_zeros(mapping: &Arc<Mapping>, mut from: u64, to: u64) -> Result<(), Errno> {
    // A few at a time: what is in the kernel's image is loaded at each boot.
    static ZEROS: [u8; 512] = [0; 512];
    let page = u64_of(PAGE_SIZE);
    while from < to {
        let end = to.min((from / page + 1) * page);
        if is_hole(mapping, from, end)? {
            from = end;
            continue;
        }
        let len = usize_of(end - from).min(ZEROS.len());
        let done = mapping.write(from, &mut IoSrc::kernel(ZEROS.get(..len).unwrap_or(&ZEROS)))?;
        from += u64_of(done.max(1));
    }
    Ok(())
}

/// The nearest data (`SEEK_DATA`) or hole from `pos` on. ENXIO beyond the end.
pub(crate) fn seek_contents(mapping: &Mapping, pos: u64, data: bool) -> Result<u64, Errno> {
    let size = mapping.size();
    if pos >= size {
        return Err(Errno::ENXIO);
    }
    if let Some(source) = mapping.source() {
        mapping.sync_all()?;
        return match source.seek(pos, size, data)? {
            found if found < size => Ok(found),
            _ if data => Err(Errno::ENXIO),
            _ => Ok(size),
        };
    }
    if !data {
        return Ok(mapping.seek_hole(pos).min(size));
    }
    mapping
        .seek_data(pos)
        .filter(|found| *found < size)
        .ok_or(Errno::ENXIO)
}
