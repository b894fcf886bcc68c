//! rename(2): within and across directories, over files, onto itself, of links to one inode.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"a", b"a", 0o600);
    file::make(c"b", b"b", 0o644);
    let _ = file::mkdir(c"d", 0o700);
    let fd = file::open_or_say(c"b", libc::O_RDONLY, 0);
    show("over a file", file::rename(c"a", c"b"));
    say!("{} {} {}", file::text(c"a"), file::text(c"b"), super::show_stat::line(c"b"));
    say!("the old one lives: {:?}", file::read_all(fd));
    show("into a directory", file::rename(c"b", c"d/c"));
    show("back", file::rename(c"d/c", c"./b"));
    show("onto itself", file::rename(c"b", c"b"));
    let _ = file::link(c"b", c"twin");
    show("onto its twin", file::rename(c"b", c"twin"));
    say!("both stay: {} {}", super::show_stat::line(c"b"), super::show_stat::line(c"twin"));
    let _ = file::symlink(c"b", c"l");
    show("a link", file::rename(c"l", c"m"));
    say!("{}", super::show_stat::line(c"m"));
    show("over a link", file::rename(c"twin", c"m"));
    say!("{} {}", super::show_stat::line(c"m"), super::show_stat::line(c"b"));
    0
}
