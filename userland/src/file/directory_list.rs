//! getdents64(2): every entry once, with its kind; `.` and `..`; odd names; the end, again.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"plain", b"", 0o600);
    file::make(c" space and\nline ", b"", 0o600);
    file::make(c"\xff\xfe", b"", 0o600);
    let _ = file::mkdir(c"directory", 0o700);
    let _ = file::symlink(c"x", c"link");
    let _ = file::mknod(c"fifo", libc::S_IFIFO | 0o600, 0);
    let _ = file::mknod(c"socket", libc::S_IFSOCK | 0o600, 0);
    let fd = file::open_or_say(c".", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    for (name, kind) in list(fd, 4096) {
        say!("{kind} {:?}", name.escape_ascii().to_string());
    }
    show("the end", file::getdents64(fd, &mut [0; 4096]));
    show("rewind", file::lseek(fd, 0, libc::SEEK_SET));
    say!("again {}", list(fd, 100).len());
    show("too small", file::lseek(fd, 0, libc::SEEK_SET).and_then(|_| file::getdents64(fd, &mut [0; 20])));
    show("a file", file::getdents64(file::open_or_say(c"plain", libc::O_RDONLY, 0), &mut [0; 100]));
    0
}

/// All entries, sorted by name, read with a buffer of this size.
pub(super) fn list(fd: i32, size: usize) -> Vec<(Vec<u8>, u8)> {
    let mut all = Vec::new();
    let mut buf = vec![0u8; size];
    while let Ok(n @ 1..) = file::getdents64(fd, &mut buf) {
        let mut at = 0;
        while at < n {
            // struct linux_dirent64: inode 8, offset 8, length 2, kind 1, name.
            let len = usize::from(u16::from_le_bytes([buf[at + 16], buf[at + 17]]));
            let name = &buf[at + 19..at + len];
            let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
            all.push((name[..end].to_vec(), buf[at + 18]));
            at += len;
        }
    }
    all.sort();
    all
}
