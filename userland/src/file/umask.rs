//! umask(2): cut from the modes of new files, directories, pipes; not from chmod; inherited.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    show("before", file::umask(0o027));
    file::make(c"f", b"", 0o666);
    let _ = file::mkdir(c"d", 0o777);
    let _ = file::mknod(c"p", libc::S_IFIFO | 0o666, 0);
    let _ = file::symlink(c"x", c"l");
    for path in [c"f", c"d", c"p", c"l"] {
        say!("{path:?} {}", super::show_stat::line(path));
    }
    let _ = file::chmod(c"f", 0o666);
    say!("{}", super::show_stat::line(c"f"));
    show("only nine bits", file::umask(0o7777));
    show("kept", file::umask(0o077));
    say!("{}", child::run(|| {
        show("child", file::umask(0));
        file::make(c"g", b"", 0o777);
        0
    }));
    say!("{}", super::show_stat::line(c"g"));
    show("parent", file::umask(0o022));
    0
}
