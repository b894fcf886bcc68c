//! A tmpfs that is full: ENOSPC for bytes and for names, room again after unlinking.
use super::alone;
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    show("mount", file::mount(c"t", c"t", c"tmpfs", 0, Some(c"size=64k,nr_inodes=5")));
    let fd = file::open_or_say(c"t/f", libc::O_RDWR | libc::O_CREAT, 0o644);
    let mut sum = 0;
    loop {
        match file::write(fd, &[7; 10000]) {
            Ok(n) => sum += n,
            Err(errno) => {
                say!("{sum} then {errno}");
                break;
            }
        }
    }
    show("allocate", file::fallocate(fd, 0, 0, 1 << 20));
    show("truncate", file::ftruncate(fd, 4096));
    show("allocate less", file::fallocate(fd, 0, 0, 1 << 15));
    show("hole", file::ftruncate(fd, 1 << 30));
    show("at the end", file::pwrite(fd, b"x", 1 << 29));
    show("mkdir", file::mkdir(c"t/d", 0o755));
    show("symlink", file::symlink(c"f", c"t/l"));
    show("link", file::link(c"t/f", c"t/g"));
    show("another link", file::link(c"t/f", c"t/h"));
    show_ok("another file", file::open(c"t/i", libc::O_RDWR | libc::O_CREAT, 0o644));
    show("another directory", file::mkdir(c"t/e", 0o755));
    show("unlink the link", file::unlink(c"t/g"));
    show("mkdir", file::mkdir(c"t/e", 0o755));
    show("unlink", file::unlink(c"t/f"));
    show("mkdir while open", file::mkdir(c"t/e2", 0o755));
    let _ = file::close(fd);
    show("mkdir", file::mkdir(c"t/e3", 0o755));
    show("detach", file::umount2(c"t", libc::MNT_DETACH));
    0
}
