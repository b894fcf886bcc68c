//! A set-group-ID directory gives its group to what is made in it, and its bit to directories;
//! writing to a file by a user clears set-ID bits (inode(7)).
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"d", 0o777);
    let _ = file::chown(c"d", 0, 2000);
    let _ = file::chmod(c"d", 0o2777);
    say!("{}", child::run(|| {
        let _ = process::setgroups(&[]);
        let _ = process::setresgid(1000, 1000, 1000);
        let _ = process::setresuid(1000, 1000, 1000);
        file::make(c"d/f", b"", 0o644);
        let _ = file::mkdir(c"d/s", 0o755);
        file::make(c"d/g", b"", 0o2755);
        show("set-group-ID of another group", file::chmod(c"d/f", 0o2755));
        0
    }));
    for path in [c"d/f", c"d/s", c"d/g"] {
        say!("{}", super::show_stat::line(path));
    }
    file::make(c"set", b"x", 0o666);
    let _ = file::chmod(c"set", 0o6777);
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        let fd = file::open_or_say(c"set", libc::O_WRONLY, 0);
        show("write by a user", file::write(fd, b"y"));
        0
    }));
    say!("{}", super::show_stat::line(c"set"));
    // Who writes counts, not who opened it.
    let _ = file::chmod(c"set", 0o6777);
    let fd = file::open_or_say(c"set", libc::O_WRONLY, 0);
    show("write by root", file::write(fd, b"z"));
    say!("{}", super::show_stat::line(c"set"));
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        show("write to what root opened", file::write(fd, b"y"));
        0
    }));
    say!("{}", super::show_stat::line(c"set"));
    0
}
