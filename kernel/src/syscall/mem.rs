//! Memory: `mmap` and its kin, the heap, advice, locks on memory.
//!
//! The work is `vm`'s; here arguments are taken apart as Linux does (`mm/mmap.c`, `mm/mlock.c`).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::{low32, u64_of};
use kiln_core::vma::Prot;

use super::{Call, SysResult};
use crate::fs::file::{File, MapSource};
use crate::fs::memfd;
use crate::process::exec::memory_limits;
use crate::vm::{AddressSpace, FileMapping, MapRequest};

const PAGE: u64 = u64_of(PAGE_SIZE);

pub(super) fn mmap(
    call: &mut Call<'_>,
    addr: u64,
    len: u64,
    prot: u64,
    flags: u64,
    fd: i32,
    offset: u64,
) -> SysResult {
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let flags = low32(flags);
    let huge = flags & abi::MAP_HUGETLB != 0;
    let file = if flags & abi::MAP_ANONYMOUS != 0 {
        // There are no huge pages in reserve, ever.
        if huge {
            return Err(Errno::ENOMEM);
        }
        None
    } else {
        let file = call.files.get(fd)?;
        if file.is_path() {
            return Err(Errno::EBADF);
        }
        if huge {
            return Err(Errno::EINVAL);
        }
        let shared = matches!(
            flags & abi::MAP_TYPE,
            abi::MAP_SHARED | abi::MAP_SHARED_VALIDATE
        );
        let forbids = |seals| seals & memfd::WRITE_SEALS != 0;
        let sealed = shared && memfd::seals(&file).is_ok_and(forbids);
        if sealed && low32(prot) & abi::PROT_WRITE != 0 && file.writable() {
            return Err(Errno::EPERM);
        }
        Some(file_mapping(file, sealed))
    };
    let request = MapRequest {
        addr,
        len,
        prot: Prot::from_bits_truncate(low32(prot)),
        flags,
        file,
        offset,
        low: call.creds.has(abi::CAP_SYS_RAWIO),
    };
    Ok(call.space.mmap(request)?.raw())
}

/// `sealed`: it can't be written to through the mapping, whatever the open file may.
fn file_mapping(file: Arc<File>, sealed: bool) -> FileMapping {
    let mapping = file.ops.mapping(&file).map(|source| match source {
        MapSource::File(mapping) => Some(mapping),
        MapSource::Zeros => None,
    });
    FileMapping {
        mapping,
        readable: file.readable(),
        writable: file.writable() && !sealed,
        no_exec: file.path.is_no_exec(),
        name: Some(file),
    }
}

pub(super) fn remap_file_pages(
    call: &mut Call<'_>,
    start: u64,
    len: u64,
    prot: u64,
    page: u64,
    flags: u64,
) -> SysResult {
    if prot != 0 {
        return Err(Errno::EINVAL);
    }
    let nonblock = flags & u64::from(abi::MAP_NONBLOCK) != 0;
    let space = call.space;
    space
        .remap_file_pages(start, len, page, nonblock)
        .map(|()| 0)
}

pub(super) fn munmap(call: &mut Call<'_>, addr: u64, len: u64) -> SysResult {
    call.space.munmap(addr, len).map(|()| 0)
}

pub(super) fn mprotect(call: &mut Call<'_>, addr: u64, len: u64, prot: u64) -> SysResult {
    protect(call, addr, len, prot)
}

fn protect(call: &Call<'_>, addr: u64, len: u64, prot: u64) -> SysResult {
    // Bits that no u32 holds are as unknown as the others.
    let high = if prot >> 32 == 0 { 0 } else { UNKNOWN };
    let prot = low32(prot) | high;
    call.space.mprotect(addr, len, prot).map(|()| 0)
}

/// A bit of protection that means nothing.
const UNKNOWN: u32 = 0x4000_0000;

pub(super) fn brk(call: &mut Call<'_>, addr: u64) -> SysResult {
    Ok(call.space.brk(addr))
}

pub(super) fn mremap(
    call: &mut Call<'_>,
    addr: u64,
    old_len: u64,
    new_len: u64,
    flags: u64,
    new_addr: u64,
) -> SysResult {
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let space = call.space;
    let low = call.creds.has(abi::CAP_SYS_RAWIO);
    let moved = space.mremap(addr, old_len, new_len, flags, new_addr, low)?;
    Ok(moved.raw())
}

pub(super) fn msync(call: &mut Call<'_>, addr: u64, len: u64, flags: u32) -> SysResult {
    call.space.msync(addr, len, flags).map(|()| 0)
}

pub(super) fn mincore(call: &mut Call<'_>, addr: u64, len: u64, vector: UserAddr) -> SysResult {
    call.space.mincore(addr, len, vector).map(|()| 0)
}

pub(super) fn madvise(call: &mut Call<'_>, addr: u64, len: u64, advice: u32) -> SysResult {
    call.space.madvise(addr, len, advice).map(|()| 0)
}

/// The space, with the limits that the caller's credentials give it now.
fn limited_space<'a>(call: &Call<'a>) -> &'a Arc<AddressSpace> {
    let limits = call.task.process().limits();
    call.space.set_limits(memory_limits(&limits, call.creds));
    call.space
}

pub(super) fn mlock(call: &mut Call<'_>, addr: u64, len: u64) -> SysResult {
    limited_space(call).mlock(addr, len, false).map(|()| 0)
}

pub(super) fn mlock2(call: &mut Call<'_>, addr: u64, len: u64, flags: u32) -> SysResult {
    if flags & !abi::MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    limited_space(call).mlock(addr, len, flags != 0).map(|()| 0)
}

pub(super) fn munlock(call: &mut Call<'_>, addr: u64, len: u64) -> SysResult {
    call.space.munlock(addr, len).map(|()| 0)
}

pub(super) fn mlockall(call: &mut Call<'_>, flags: u32) -> SysResult {
    limited_space(call).mlockall(flags).map(|()| 0)
}

pub(super) fn munlockall(call: &mut Call<'_>) -> SysResult {
    call.space.munlockall().map(|()| 0)
}

/// Protection keys: this kernel doesn't switch them on, so there is only the default one.
pub(super) fn pkey_mprotect(
    call: &mut Call<'_>,
    addr: u64,
    len: u64,
    prot: u64,
    key: i32,
) -> SysResult {
    if key != -1 && len != 0 {
        // What mprotect refuses by its arguments alone comes first.
        let end = addr.checked_add(len).filter(|end| *end <= u64::MAX - PAGE);
        let aligned = addr.is_multiple_of(PAGE);
        return Err(if aligned && end.is_none() {
            Errno::ENOMEM
        } else {
            Errno::EINVAL
        });
    }
    protect(call, addr, len, prot)
}

pub(super) fn pkey_alloc(_: &mut Call<'_>, flags: u64, rights: u64) -> SysResult {
    const RIGHTS: u64 = 3;
    if flags != 0 || rights & !RIGHTS != 0 {
        return Err(Errno::EINVAL);
    }
    Err(Errno::ENOSPC)
}

pub(super) fn pkey_free(_: &mut Call<'_>, _key: i32) -> SysResult {
    Err(Errno::EINVAL)
}
