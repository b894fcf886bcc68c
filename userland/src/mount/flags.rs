//! What a mount's flags forbid: writing, devices, executing, set-id bits, links, access times.
use super::{alone, mount, show_info};
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use libc::{MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_RDONLY, MS_RELATIME, MS_REMOUNT, MS_STRICTATIME};
use std::ffi::CStr;

/// `MS_NOSYMFOLLOW` (linux/mount.h).
const NO_SYMFOLLOW: u64 = 256;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    show("mount", mount(c"t", c"t", c"tmpfs", 0));
    file::make(c"t/f", b"text", 0o755);
    let _ = file::symlink(c"f", c"t/l");
    show("device", file::mknod(c"t/null", libc::S_IFCHR | 0o666, 0x103));
    for (name, flags) in [
        ("plain", 0),
        ("read only", MS_RDONLY),
        ("noatime", MS_NOATIME),
        ("nodiratime", MS_NODIRATIME),
        ("strictatime", MS_STRICTATIME),
        ("strict and no", MS_STRICTATIME | MS_NOATIME),
        ("relatime", MS_RELATIME),
        ("nodev", MS_NODEV),
        ("noexec", MS_NOEXEC),
        ("nosymfollow", NO_SYMFOLLOW),
    ] {
        show(name, mount(c"", c"t", c"", MS_REMOUNT | flags));
        show_info("/t");
        // The flags are the eleventh word, which libc doesn't name.
        let mut words = [0u64; 16];
        show("  statfs", file::statfs_words(c"t", &mut words));
        say!("  flags {:#x}", words[10]);
        show_ok("  device", file::open(c"t/null", libc::O_RDONLY, 0));
        show_ok("  write", file::open(c"t/f", libc::O_RDWR, 0).and_then(|fd| file::close(fd as i32)));
        show_ok("  truncate", file::open(c"t/f", libc::O_RDONLY | libc::O_TRUNC, 0).and_then(|fd| file::close(fd as i32)));
        show("  execute", file::access(c"t/f", libc::X_OK));
        show("  write access", file::access(c"t/f", libc::W_OK));
        show_ok("  link", file::open(c"t/l", libc::O_RDONLY, 0).and_then(|fd| file::close(fd as i32)));
        show("  link itself", file::lstat(c"t/l", &mut libc::stat::zeroed()));
    }
    show("detach", file::umount2(c"t", libc::MNT_DETACH));
    0
}
