//! Bind mounts: the same files at two places, with flags of their own.
use super::{alone, mount, show_info};
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REMOUNT};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    show("tmpfs", mount(c"src", c"t", c"tmpfs", 0));
    let _ = file::mkdir(c"t/a", 0o755);
    let _ = file::mkdir(c"t/b", 0o755);
    file::make(c"t/a/f", b"one", 0o755);
    show("bind", mount(c"t/a", c"t/b", c"", MS_BIND | MS_RDONLY));
    show_info("/t/b");
    say!("{}", file::text(c"t/b/f"));
    file::make(c"t/b/g", b"two", 0o644);
    say!("{}", file::text(c"t/a/g"));
    let flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    show("remount", mount(c"", c"t/b", c"", flags));
    show_info("/t/b");
    show_info("/t");
    show_ok("write there", file::open(c"t/b/g", libc::O_WRONLY, 0));
    show_ok("write here", file::open(c"t/a/g", libc::O_WRONLY, 0));
    show("remount with a writer", mount(c"", c"t", c"", MS_REMOUNT | MS_RDONLY));
    show("unlink there", file::unlink(c"t/b/g"));
    show("mkdir there", file::mkdir(c"t/b/d", 0o755));
    show("chmod there", file::chmod(c"t/b/g", 0o600));
    show("access", file::access(c"t/b/f", libc::X_OK));
    show("link across", file::link(c"t/a/f", c"t/b/h"));
    show("rename across", file::rename(c"t/a/f", c"t/f"));
    show("link between", file::link(c"t/a/f", c"t/h"));
    show("a file on a file", mount(c"t/a/g", c"t/a/f", c"", MS_BIND));
    say!("{}", file::text(c"t/a/f"));
    show("a file on a directory", mount(c"t/a/g", c"t/b", c"", MS_BIND));
    show("a directory on a file", mount(c"t/a", c"t/a/g", c"", MS_BIND));
    show("unlink a mountpoint", file::unlink(c"t/a/f"));
    show("rename a mountpoint", file::rename(c"t/a/f", c"t/a/x"));
    show("rmdir a mountpoint", file::rmdir(c"t/b"));
    show("umount the file", file::umount2(c"t/a/f", 0));
    say!("{}", file::text(c"t/a/f"));
    show("busy", file::umount2(c"t", 0));
    show("umount", file::umount2(c"t/b", 0));
    show("rmdir", file::rmdir(c"t/b"));
    show("detach", file::umount2(c"t", libc::MNT_DETACH));
    0
}
