//! What hostile calls are made with: memory of every kind at addresses that are the same on every
//! run, and descriptors of every kind with numbers that are small integers as well.

use crate::sys::file;

/// A page that may be read and written, all zero but for [`PATH`].
pub(super) const PAGE: usize = 0x2000_0000_0000;
/// In it, the name of a file.
pub(super) const PATH: usize = PAGE + 1024;
/// Not mapped, right behind that page.
pub(super) const UNMAPPED: usize = PAGE + 4096;
/// May be read only.
const READ_ONLY: usize = PAGE + 2 * 4096;
/// Mapped without access.
const FORBIDDEN: usize = PAGE + 3 * 4096;

/// Arguments of every kind.
pub(super) const VALUES: [usize; 22] = [
    0,
    1,
    usize::MAX,
    PAGE,
    PATH,
    UNMAPPED,
    UNMAPPED - 4,
    UNMAPPED - 1,
    PAGE + 1,
    READ_ONLY,
    FORBIDDEN,
    0xFFFF_8880_0000_0000,
    0xFFFF_FFFF_8100_0000,
    0x8000_0000_0000,
    0x7FFF_FFFF_F000,
    0x1234_5678_9ABC_DEF0,
    i64::MAX as usize,
    i64::MIN as usize,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0xFFFF_FFFF_8000_0000,
];
/// The descriptors there are: a file, a pipe to write to, a directory, a pipe to read from, an
/// event counter, an epoll instance, a file opened with O_PATH.
pub(super) const OPEN: std::ops::Range<usize> = 0..7;
/// And one that isn't.
pub(super) const CLOSED: usize = 7;

/// `AT_FDCWD` as an argument.
pub(super) const HERE: usize = libc::AT_FDCWD as isize as usize;

/// Makes the memory; all of it is inherited by the workers.
pub(super) fn map() -> Result<(), crate::sys::Errno> {
    let rights = [
        (PAGE, libc::PROT_READ | libc::PROT_WRITE),
        (READ_ONLY, libc::PROT_READ),
        (FORBIDDEN, libc::PROT_NONE),
    ];
    for (addr, prot) in rights {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        let args = [addr, 4096, prot as usize, flags as usize, usize::MAX, 0];
        // SAFETY: nothing else is at these addresses, or the kernel refuses.
        unsafe { crate::sys::call(libc::SYS_mmap, args) }?;
    }
    Ok(())
}

/// Fills the page anew; false when it can't be written any more.
pub(super) fn refill() {
    let page = PAGE as *mut u8;
    // SAFETY: the page is this program's own; when a call took it away the worker dies of it,
    // which is its answer.
    unsafe {
        page.write_bytes(0, 4096);
        (PATH as *mut u8).write_volatile(b'f');
    }
}

/// Opens the descriptors, over those there are, in the current directory.
pub(super) fn open_all() {
    let make = |fd: Result<usize, crate::sys::Errno>, place: i32| {
        if let Ok(fd) = fd {
            let fd = fd as i32;
            if fd != place {
                let _ = file::dup3(fd, place, 0);
                let _ = file::close(fd);
            }
        }
    };
    let _ = file::close_range(0, u32::MAX, 0);
    let _ = file::unlink(c"f");
    make(file::open(c"f", libc::O_RDWR | libc::O_CREAT, 0o600), 0);
    let _ = file::write(0, &[b'x'; 100]);
    let (read, write) = file::pipe();
    make(Ok(write as usize), 10);
    make(Ok(read as usize), 3);
    make(Ok(10), 1);
    make(file::open(c".", libc::O_RDONLY | libc::O_DIRECTORY, 0), 2);
    // SAFETY: makes a descriptor.
    make(unsafe { crate::sys::call(libc::SYS_eventfd2, [0; 6]) }, 4);
    // SAFETY: makes a descriptor.
    make(
        unsafe { crate::sys::call(libc::SYS_epoll_create1, [0; 6]) },
        5,
    );
    make(file::open(c"f", libc::O_PATH, 0), 6);
}
