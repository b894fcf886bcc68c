//! `FS_IOC_FIEMAP`: where a file's contents lie on its device (Documentation/filesystems/fiemap.rst,
//! linux/fiemap.h). File systems tell it by pieces ([`crate::fs::InodeOps::extent`]).

use alloc::sync::Arc;

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::low32;

use super::{Call, SysResult};
use crate::fs::File;
use crate::fs::inode::Extent;
use crate::vm::AddressSpace;

/// What is written goes to the device first. (It always does here: only then has it a place.)
const FIEMAP_FLAG_SYNC: u32 = 1;
/// Where things lie is to be kept in memory.
const FIEMAP_FLAG_CACHE: u32 = 4;
/// The last piece that is told of.
const FIEMAP_EXTENT_LAST: u32 = 1;
/// `sizeof(struct fiemap)`; the pieces come behind it.
const HEADER: u64 = 32;
/// `sizeof(struct fiemap_extent)`.
const EXTENT: u64 = 56;
/// `FIEMAP_MAX_EXTENTS` (linux/fs.h).
const MOST_EXTENTS: u32 = (u32::MAX - 32) / 56;

/// The program's array of pieces.
struct Extents<'a> {
    space: &'a Arc<AddressSpace>,
    at: UserAddr,
    /// How many there is room for; 0: they are only counted.
    room: u32,
    told: u32,
}

impl Extents<'_> {
    /// Tells of one more. `false`: that is all there is room for.
    fn put(&mut self, extent: &Extent, flags: u32) -> Result<bool, Errno> {
        if self.room > 0 {
            if self.told == self.room {
                return Ok(false);
            }
            let words: [u64; 7] = [
                extent.logical,
                extent.physical.unwrap_or(0),
                extent.length,
                0,
                0,
                u64::from(extent.flags | flags),
                0,
            ];
            let behind = HEADER + u64::from(self.told) * EXTENT;
            let at = self.at.checked_add(behind).ok_or(Errno::EFAULT)?;
            self.space.write_val(at, &words)?;
        }
        self.told += 1;
        Ok(self.told != self.room)
    }
}

/// `ioctl(FS_IOC_FIEMAP)`.
pub(super) fn fiemap(call: &Call<'_>, file: &Arc<File>, at: UserAddr) -> SysResult {
    if let Err(Errno::EOPNOTSUPP) = file.inode.ops().extent(&file.inode, 0, 1) {
        return Err(Errno::EOPNOTSUPP);
    }
    let [start, length, flags, room]: [u64; 4] = call.space.read_val(at)?;
    let mut extents = Extents {
        space: call.space,
        at,
        room: low32(room),
        told: 0,
    };
    if extents.room > MOST_EXTENTS {
        return Err(Errno::EINVAL);
    }
    // Flags that aren't known come back.
    let unknown = low32(flags) & !(FIEMAP_FLAG_SYNC | FIEMAP_FLAG_CACHE);
    let done = if length > 0 && unknown != 0 {
        Err(Errno::EBADR)
    } else {
        tell(file, start, length, &mut extents)
    };
    let flags = if unknown != 0 { unknown } else { low32(flags) };
    let told = u64::from(extents.told) << 32 | u64::from(flags);
    let header = [start, length, told, room];
    call.space.write_val(at, &header)?;
    done.map(|()| 0)
}

fn tell(file: &Arc<File>, start: u64, length: u64, extents: &mut Extents<'_>) -> Result<(), Errno> {
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    file.ops.sync(file, true)?;
    let end = start.saturating_add(length);
    let (mut at, mut last) = (start, None);
    while at < end {
        let extent = match file.inode.ops().extent(&file.inode, at, end - at) {
            // The largest file ends here.
            Err(Errno::EFBIG) if at > start => break,
            extent => extent?,
        };
        at = extent.logical.saturating_add(extent.length);
        if extent.physical.is_none() {
            continue;
        }
        if let Some(before) = last.replace(extent)
            && !extents.put(&before, 0)?
        {
            return Ok(());
        }
    }
    match last {
        Some(last) => extents.put(&last, FIEMAP_EXTENT_LAST).map(|_| ()),
        None => Ok(()),
    }
}
