//! Names and flags that are refused before anything is looked for: extended attributes without a name behind their
//! prefix, attributes that must be new and old at once, files below `/proc`, directories past the cache, locked
//! memory that is to go, rooms for requests that can't be.
use super::with_tmpfs;
use crate::out::{say, show, show_ok};
use crate::sys::{self, file, io, memory::{Map, PAGE, madvise}};
use libc::{O_CREAT, O_DIRECT, O_DIRECTORY, O_RDONLY, O_WRONLY};
use std::ffi::CStr;

fn attributes() {
    let both = libc::XATTR_CREATE | libc::XATTR_REPLACE;
    show("must be new and old", file::setxattr(c"t/f", c"trusted.a", b"1", both));
    show("made", file::setxattr(c"t/f", c"trusted.a", b"1", libc::XATTR_CREATE));
    show("must be new and old", file::setxattr(c"t/f", c"trusted.a", b"2", both));
    for name in [c"user.", c"trusted.", c"security.", c"system.", c"user", c"other."] {
        say!("{name:?}");
        show("  set", file::setxattr(c"t/f", name, b"1", 0));
        show("  get", file::getxattr(c"t/f", name, &mut [0; 8]));
        show("  remove", file::removexattr(c"t/f", name));
    }
}

fn below_proc() {
    show("mkdir", file::mkdir(c"/proc/no", 0o755));
    show("mknod", file::mknod(c"/proc/no", libc::S_IFREG | 0o644, 0));
    show("symlink", file::symlink(c"a", c"/proc/no"));
    show("link", file::link(c"t/f", c"/proc/no"));
    show("rename", file::rename(c"t/f", c"/proc/no"));
    show("unlink", file::unlink(c"/proc/no"));
    show("rmdir", file::rmdir(c"/proc/self/no"));
    show_ok("open", file::open(c"/proc/no", O_CREAT | O_WRONLY, 0o644));
    show("mkdir of what is there", file::mkdir(c"/proc/version", 0o755));
}

fn advice() {
    let Ok(map) = Map::anon(2 * PAGE) else { return };
    for number in [libc::SYS_munlock, libc::SYS_mlock, libc::SYS_munlock] {
        // SAFETY: changes no memory's content.
        show("locked or not", unsafe { sys::call(number, [map.addr, PAGE, 0, 0, 0, 0]) });
        show("  cold", madvise(&map, 0, PAGE, libc::MADV_COLD));
        show("  out", madvise(&map, 0, 2 * PAGE, libc::MADV_PAGEOUT));
        show("  cold beside it", madvise(&map, PAGE, PAGE, libc::MADV_COLD));
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = with_tmpfs();
    attributes();
    below_proc();
    show_ok("a directory past the cache", file::open(c"t", O_RDONLY | O_DIRECT, 0));
    show_ok("the same", file::open(c"t", O_RDONLY | O_DIRECTORY | O_DIRECT, 0));
    advice();
    for room in [0, 0x0080_0001, 0x1000_0000, u32::MAX] {
        show("requests", io::io_setup(room, Some(&mut 0)));
    }
    show("umount", file::umount2(c"t", 0));
    0
}
