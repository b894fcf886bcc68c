//! stat(2) fields of a new file: kind, mode, links, owner, size, blocks, block size, one inode by
//! every name.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", &[1; 5000], 0o640);
    let _ = file::link(c"f", c"g");
    let (mut a, mut b, mut c) = (libc::stat::zeroed(), libc::stat::zeroed(), libc::stat::zeroed());
    show("stat", file::stat(c"f", &mut a));
    show("stat the other name", file::stat(c"./g", &mut b));
    show("fstat", file::fstat(file::open_or_say(c"f", libc::O_RDONLY, 0), &mut c));
    say!("mode {:o} links {} size {}", a.st_mode, a.st_nlink, a.st_size);
    say!("owner {} {}", Ok(a.st_uid as usize) == process::geteuid(), Ok(a.st_gid as usize) == process::getegid());
    say!("blocks {} block size {}", a.st_blocks, a.st_blksize);
    say!("same inode {} {}", (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino), (a.st_dev, a.st_ino) == (c.st_dev, c.st_ino));
    say!("inode isn't 0 {}, device isn't 0 {}, rdev {}", a.st_ino != 0, a.st_dev != 0, a.st_rdev);
    file::make(c"h", b"", 0o600);
    let _ = file::stat(c"h", &mut b);
    say!("another inode {}, blocks of an empty one {}", a.st_ino != b.st_ino, b.st_blocks);
    let _ = file::stat(c".", &mut b);
    say!("directory mode {:o}, same device {}", b.st_mode, a.st_dev == b.st_dev);
    0
}
