//! umount2(2): busy mounts, lazy ones, links not followed.
use super::{alone, mount, show_info};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    let _ = file::symlink(c"t", c"link");
    show("mount", mount(c"t", c"t", c"tmpfs", 0));
    file::make(c"t/f", b"kept", 0o644);
    let fd = file::open_or_say(c"t/f", libc::O_RDONLY, 0);
    show("open file", file::umount2(c"t", 0));
    show("forced", file::umount2(c"t", libc::MNT_FORCE));
    show("through a link, not followed", file::umount2(c"link", libc::UMOUNT_NOFOLLOW));
    show("a file in it", file::umount2(c"t/f", 0));
    show("unknown flags", file::umount2(c"t", 0x10));
    show("empty", file::umount2(c"", 0));
    show("lazily", file::umount2(c"link", libc::MNT_DETACH));
    say!("{}", file::text(c"t/f"));
    say!("{:?}", file::read_all(fd).map(|all| all.len()));
    show("close", file::close(fd));
    show("again", file::umount2(c"t", 0));
    show("mount", mount(c"t", c"t", c"tmpfs", 0));
    say!("{}", child::run(|| {
        show("stand in it", file::chdir(c"t"));
        show("busy", file::umount2(c"../t", 0));
        0
    }));
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        show("by a user", file::umount2(c"t", 0));
        show("what isn't mounted, by a user", file::umount2(c".", 0));
        0
    }));
    show("umount", file::umount2(c"t", 0));
    show_info("/t");
    // What stands in a mount that is gone stays there.
    show("mount", mount(c"t", c"t", c"tmpfs", 0));
    let _ = file::mkdir(c"t/d", 0o755);
    let _ = file::mkdir(c"t/d/e", 0o755);
    show("stand in it", file::chdir(c"t/d/e"));
    show("lazily", file::umount2(c"../../../t", libc::MNT_DETACH));
    file::make(c"f", b"still", 0o644);
    say!("{}", file::text(c"../e/f"));
    show("up and out", file::chdir(c"../../../../.."));
    let mut buf = [0; 100];
    let n = file::getcwd(&mut buf).unwrap_or(1);
    say!("cwd {:?}", String::from_utf8_lossy(&buf[..n - 1]));
    show("mount beneath it", mount(c"t", c"d", c"tmpfs", 0));
    0
}
