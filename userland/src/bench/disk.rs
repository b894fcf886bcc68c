//! An ext4 file system on a virtio disk, where there is one at [`PLACE`]: through the page cache and past it.

use super::Bench;
use crate::sys::file;
use std::ffi::{CStr, CString};

/// Where the bench's disk is mounted.
pub(super) const PLACE: &CStr = c"/disk";
/// `EXT4_SUPER_MAGIC` (linux/magic.h).
const EXT4: i64 = 0xEF53;
const MIB: usize = 1 << 20;
const BLOCK: usize = 65536;

pub(super) fn measure(bench: &Bench<'_>) {
    // SAFETY: all zero is a valid statfs, and the call fills it.
    let is_disk = unsafe {
        let mut found: libc::statfs = std::mem::zeroed();
        libc::statfs(PLACE.as_ptr(), &raw mut found) == 0 && found.f_type == EXT4
    };
    if !is_disk || file::chdir(PLACE).is_err() {
        return;
    }
    contents(bench);
    past_the_cache(bench);
    names(bench);
    let _ = file::chdir(c"/tmp/bench");
}

fn open(name: &CStr, flags: i32) -> Option<i32> {
    file::fd(file::open(name, flags, 0o644)).ok()
}

fn contents(bench: &Bench<'_>) {
    let block = vec![1; BLOCK];
    bench.time("ext4-write-1M-4k", || {
        let Some(fd) = open(c"big", libc::O_CREAT | libc::O_TRUNC | libc::O_RDWR) else {
            return false;
        };
        let fine = (0..MIB / 4096).all(|_| file::write(fd, &block[..4096]) == Ok(4096));
        file::close(fd).is_ok() && fine
    });
    file::make(c"whole", &vec![3; MIB], 0o644);
    let Some(fd) = open(c"whole", libc::O_RDWR) else {
        return;
    };
    let mut room = vec![0; BLOCK];
    let mut read =
        || (0..MIB / BLOCK).all(|at| file::pread(fd, &mut room, (at * BLOCK) as i64) == Ok(BLOCK));
    bench.time("ext4-read-1M-warm", &mut read);
    // SAFETY: no pointers.
    let sync = || unsafe { libc::fsync(fd) == 0 };
    let _ = sync();
    bench.time("ext4-read-1M-cold", || {
        // SAFETY: no pointers.
        let forgotten = unsafe { libc::posix_fadvise(fd, 0, 0, libc::POSIX_FADV_DONTNEED) };
        forgotten == 0 && read()
    });
    bench.time("ext4-write-fsync-4k", || {
        file::pwrite(fd, &block[..4096], 8192) == Ok(4096) && sync()
    });
    let _ = file::close(fd);
}

fn past_the_cache(bench: &Bench<'_>) {
    let Some(fd) = open(c"whole", libc::O_RDWR | libc::O_DIRECT) else {
        return;
    };
    let mut room = vec![0u8; BLOCK + 4096];
    let skip = room.as_ptr().align_offset(4096);
    let aligned = &mut room[skip..skip + BLOCK];
    bench.time("ext4-read-1M-direct", || {
        (0..MIB / BLOCK).all(|at| file::pread(fd, aligned, (at * BLOCK) as i64) == Ok(BLOCK))
    });
    bench.time("ext4-write-4k-direct", || {
        file::pwrite(fd, &aligned[..4096], 4096) == Ok(4096)
    });
    let _ = file::close(fd);
}

fn names(bench: &Bench<'_>) {
    let names = ["ext4-create-unlink", "ext4-rename", "ext4-mkdir-rmdir"];
    super::files::changes(bench, names);
    if !bench.wants("ext4-getdents-1000") {
        return;
    }
    let _ = file::mkdir(c"many", 0o755);
    for number in 0..1000 {
        let name = CString::new(format!("many/file-{number}")).unwrap_or_default();
        file::make(&name, b"", 0o644);
    }
    super::files::list(bench, "ext4-getdents-1000", c"many");
}
