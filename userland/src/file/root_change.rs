//! chroot(2): absolute paths and `..` stay below the new root; only for root.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"new", 0o755);
    let _ = file::mkdir(c"new/sub", 0o755);
    file::make(c"new/f", b"inside", 0o644);
    file::make(c"outside", b"", 0o644);
    let _ = file::symlink(c"/f", c"new/sub/abs");
    let _ = file::symlink(c"../../../outside", c"new/sub/up");
    say!("{}", child::run(|| {
        show("chroot", file::chroot(c"new"));
        show("chdir /", file::chdir(c"/"));
        say!("{}", file::text(c"/f"));
        say!("{}", file::text(c"/../../f"));
        say!("{}", file::text(c"/sub/abs"));
        say!("{}", file::text(c"/sub/up"));
        let mut buf = [0; 100];
        let n = file::getcwd(&mut buf).unwrap_or(1);
        say!("cwd {:?}", String::from_utf8_lossy(&buf[..n - 1]));
        0
    }));
    say!("{}", child::run(|| {
        show("missing", file::chroot(c"none"));
        show("a file", file::chroot(c"outside"));
        let _ = process::setresuid(1000, 1000, 1000);
        show("by a user", file::chroot(c"new"));
        0
    }));
    say!("{}", super::show_stat::line(c"outside"));
    0
}
