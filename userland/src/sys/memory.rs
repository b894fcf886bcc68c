//! Mappings: a range that is unmapped when dropped, and the calls on it.

use super::{Arg, Errno, Res, call};

/// The page size of x86-64.
pub(crate) const PAGE: usize = 4096;

/// A mapping of this process, unmapped at the end. Access goes by volatile copies, since the
/// behaviours change protections beneath it.
pub(crate) struct Map {
    pub(crate) addr: usize,
    pub(crate) len: usize,
}

impl Map {
    /// Anonymous private memory, readable and writable.
    pub(crate) fn anon(len: usize) -> Result<Self, Errno> {
        Self::new(
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE,
            -1,
            0,
        )
    }

    /// Any mapping at an address of the kernel's choice (anonymous when `fd` is -1).
    pub(crate) fn new(
        len: usize,
        prot: i32,
        flags: i32,
        fd: i32,
        offset: i64,
    ) -> Result<Self, Errno> {
        let flags = if fd < 0 {
            flags | libc::MAP_ANONYMOUS
        } else {
            flags
        };
        mmap(0, len, prot, flags, fd, offset).map(|addr| Self { addr, len })
    }

    pub(crate) fn get(&self, offset: usize) -> u8 {
        assert!(offset < self.len);
        // SAFETY: inside the mapping; a protection fault is the behaviour's own business.
        unsafe { ((self.addr + offset) as *const u8).read_volatile() }
    }

    pub(crate) fn set(&self, offset: usize, value: u8) {
        assert!(offset < self.len);
        // SAFETY: as for `get`; nobody holds references into a mapping.
        unsafe { ((self.addr + offset) as *mut u8).write_volatile(value) }
    }

    /// An atomic word in the mapping, for sharing between processes.
    pub(crate) fn word(&self, index: usize) -> &std::sync::atomic::AtomicU32 {
        assert!(index * 4 + 4 <= self.len);
        // SAFETY: aligned, inside the mapping, which lives as long as `self`.
        unsafe { &*((self.addr + index * 4) as *const std::sync::atomic::AtomicU32) }
    }

    pub(crate) fn protect(&self, offset: usize, len: usize, prot: i32) -> Res {
        mprotect(self.addr + offset, len, prot)
    }

    pub(crate) fn unmap(&self, offset: usize, len: usize) -> Res {
        assert!(offset + len <= self.len);
        // SAFETY: a part of this mapping, into which no references are held.
        unsafe { call(libc::SYS_munmap, [self.addr + offset, len, 0, 0, 0, 0]) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let _ = self.unmap(0, self.len);
    }
}

/// `mmap` without MAP_FIXED (which this refuses to pass on outside [`mmap_fixed`]).
pub(crate) fn mmap(addr: usize, len: usize, prot: i32, flags: i32, fd: i32, off: i64) -> Res {
    assert!(flags & libc::MAP_FIXED == 0);
    // SAFETY: a new range; nothing that exists is replaced.
    unsafe {
        call(
            libc::SYS_mmap,
            [addr, len, prot.arg(), flags.arg(), fd.arg(), off.arg()],
        )
    }
}

/// `mmap` with MAP_FIXED over a part of `map`.
pub(crate) fn mmap_fixed(map: &Map, offset: usize, len: usize, prot: i32, flags: i32) -> Res {
    assert!(offset + len <= map.len);
    let flags = flags | libc::MAP_FIXED | libc::MAP_ANONYMOUS;
    let args = [
        map.addr + offset,
        len,
        prot.arg(),
        flags.arg(),
        (-1).arg(),
        0,
    ];
    // SAFETY: replaces a part of a mapping into which no references are held.
    unsafe { call(libc::SYS_mmap, args) }
}

/// `munmap` of a range that a behaviour knows to hold nothing of Rust's, or to be refused.
pub(crate) fn munmap_odd(addr: usize, len: usize) -> Res {
    // SAFETY: every caller passes ranges that are its own or that the kernel must refuse.
    unsafe { call(libc::SYS_munmap, [addr, len, 0, 0, 0, 0]) }
}

pub(crate) fn mprotect(addr: usize, len: usize, prot: i32) -> Res {
    // SAFETY: callers pass their own mappings, or ranges that the kernel must refuse.
    unsafe { call(libc::SYS_mprotect, [addr, len, prot.arg(), 0, 0, 0]) }
}

/// `brk`: the break after the call (unchanged when refused).
pub(crate) fn brk(addr: usize) -> usize {
    // SAFETY: callers move the break up from where it is and back; the C library's heap below
    // stays.
    unsafe { call(libc::SYS_brk, [addr, 0, 0, 0, 0, 0]) }.unwrap_or(0)
}

pub(crate) fn msync(addr: usize, len: usize, flags: i32) -> Res {
    // SAFETY: changes no memory.
    unsafe { call(libc::SYS_msync, [addr, len, flags.arg(), 0, 0, 0]) }
}

pub(crate) fn madvise(map: &Map, offset: usize, len: usize, advice: i32) -> Res {
    // SAFETY: the range is a mapping's own, or refused by the kernel.
    unsafe {
        call(
            libc::SYS_madvise,
            [map.addr + offset, len, advice.arg(), 0, 0, 0],
        )
    }
}

/// `mremap` of the whole of `map`, which then describes the new range.
pub(crate) fn mremap(map: &mut Map, new_len: usize, flags: i32) -> Res {
    assert!(flags & libc::MREMAP_FIXED == 0);
    // SAFETY: the mapping is the caller's; no references into it are held.
    let result = unsafe {
        call(
            libc::SYS_mremap,
            [map.addr, map.len, new_len, flags.arg(), 0, 0],
        )
    };
    if let Ok(addr) = result {
        (map.addr, map.len) = (addr, new_len);
    }
    result
}
