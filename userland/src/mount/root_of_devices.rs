//! /sys: what programs look for there, and that nothing can be made or removed.
use crate::out::{say, show, show_ok};
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for path in [
        c"/sys/class/mem/null/dev", c"/sys/class/mem/zero/uevent", c"/sys/dev/char/1:3/uevent", c"/sys/class/tty/tty/dev",
        c"/sys/kernel/fscaps", c"/sys/kernel/cpu_byteorder", c"/sys/kernel/address_bits",
    ] {
        say!("{} {}", path.to_string_lossy(), file::text(path));
    }
    for path in [c"/sys/class/mem/null", c"/sys/dev/char/1:9", c"/sys/class/tty/console", c"/sys/devices/virtual/mem/full/subsystem"] {
        let mut buf = [0; 200];
        let n = file::readlink(path, &mut buf).unwrap_or(0);
        say!("{} {:?}", path.to_string_lossy(), String::from_utf8_lossy(&buf[..n]));
    }
    for path in [c"/sys", c"/sys/kernel", c"/sys/kernel/fscaps", c"/sys/class/mem/null", c"/sys/class/mem/null/dev"] {
        let mut s = libc::stat::zeroed();
        show(&path.to_string_lossy(), file::lstat(path, &mut s));
        say!("  {:o} {}:{} size {}", s.st_mode, s.st_uid, s.st_gid, s.st_size);
    }
    let mut fs = libc::statfs::zeroed();
    show("statfs", file::statfs(c"/sys", &mut fs));
    say!("type {:#x} blocks {} size {} name {}", fs.f_type, fs.f_blocks, fs.f_bsize, fs.f_namelen);
    show_ok("make a file", file::open(c"/sys/kernel/new", libc::O_CREAT | libc::O_WRONLY, 0o644));
    show("make a directory", file::mkdir(c"/sys/kernel/new", 0o755));
    show("make a link", file::symlink(c"x", c"/sys/kernel/new"));
    show("remove a file", file::unlink(c"/sys/kernel/fscaps"));
    show("remove a directory", file::rmdir(c"/sys/kernel/debug"));
    show("rename", file::rename(c"/sys/kernel/fscaps", c"/sys/kernel/other"));
    show_ok("write where nothing can be", file::open(c"/sys/kernel/fscaps", libc::O_WRONLY, 0));
    show("missing", file::lstat(c"/sys/kernel/none", &mut libc::stat::zeroed()));
    show("beneath a file", file::lstat(c"/sys/kernel/fscaps/x", &mut libc::stat::zeroed()));
    0
}
