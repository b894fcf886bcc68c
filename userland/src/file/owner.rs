//! chown(2), lchown(2), fchown(2), fchownat(2): by root; -1 keeps; set-ID bits are cleared; a user
//! may only give his own files to his groups.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o600);
    let _ = file::symlink(c"f", c"l");
    let tell = || say!("  {} / {}", super::show_stat::line(c"f"), super::show_stat::line(c"l"));
    show("both", file::chown(c"f", 1000, 2000));
    tell();
    show("user only", file::chown(c"f", 1001, u32::MAX));
    show("group only", file::chown(c"f", u32::MAX, 2001));
    tell();
    show("lchown", file::lchown(c"l", 5, 6));
    tell();
    show("chown through the link", file::chown(c"l", 1000, 1000));
    tell();
    show("fchownat nofollow", file::fchownat(libc::AT_FDCWD, c"l", 8, 9, libc::AT_SYMLINK_NOFOLLOW));
    tell();
    for mode in [0o6755, 0o6745, 0o2644] {
        let _ = file::chmod(c"f", mode);
        show(&format!("chown of {mode:o}"), file::chown(c"f", 1000, 1000));
        tell();
    }
    say!("{}", child::run(|| {
        let _ = process::setgroups(&[3000]);
        let _ = process::setresgid(1000, 1000, 1000);
        let _ = process::setresuid(1000, 1000, 1000);
        show("give away", file::chown(c"f", 1001, u32::MAX));
        show("to another group", file::chown(c"f", u32::MAX, 4000));
        show("to a group of mine", file::chown(c"f", u32::MAX, 3000));
        show("to myself", file::chown(c"f", 1000, u32::MAX));
        show("nothing", file::chown(c"f", u32::MAX, u32::MAX));
        show("another's", file::chown(c"l", 1000, u32::MAX));
        show("chmod another's", file::chmod(c"/", 0o755));
        0
    }));
    tell();
    show("missing", file::chown(c"none", 0, 0));
    0
}
