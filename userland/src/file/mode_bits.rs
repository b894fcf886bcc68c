//! chmod(2), fchmod(2), fchmodat(2): all twelve bits, kinds, links followed, errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o600);
    let _ = file::mkdir(c"d", 0o700);
    let _ = file::symlink(c"f", c"l");
    for mode in [0, 0o777, 0o4755, 0o2711, 0o1777, 0o7777, 0o17777, 0o100_644] {
        show(&format!("chmod {mode:o}"), file::chmod(c"f", mode));
        say!("{}", super::show_stat::line(c"f"));
    }
    show("directory", file::chmod(c"d", 0o1777));
    say!("{}", super::show_stat::line(c"d"));
    show("through a link", file::chmod(c"l", 0o640));
    say!("{} / {}", super::show_stat::line(c"f"), super::show_stat::line(c"l"));
    let fd = file::open_or_say(c"f", libc::O_RDONLY, 0);
    show("fchmod", file::fchmod(fd, 0o400));
    show("fchmodat", file::fchmodat(libc::AT_FDCWD, c"d", 0o755));
    say!("{} / {}", super::show_stat::line(c"f"), super::show_stat::line(c"d"));
    show("missing", file::chmod(c"none", 0o644));
    show("closed", file::fchmod(99, 0o644));
    show("empty", file::chmod(c"", 0o644));
    0
}
