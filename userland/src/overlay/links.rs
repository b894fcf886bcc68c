//! Hard links in an overlay: names of one file above stay one, those below are broken when one is changed.
use super::{line, overlay, prepare};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    file::make(c"low/a", b"below", 0o644);
    let _ = file::link(c"low/a", c"low/b");
    file::make(c"low/single", b"one", 0o644);
    overlay();
    say!("{} {}", line(c"m/a"), line(c"m/b"));
    let fd = file::open_or_say(c"m/a", libc::O_WRONLY | libc::O_APPEND, 0);
    show("append", file::write(fd, b" changed"));
    let _ = file::close(fd);
    say!("{} {}", file::text(c"m/a"), file::text(c"m/b"));
    say!("{} {}", line(c"m/a"), line(c"m/b"));
    show("link of one below", file::link(c"m/single", c"m/twin"));
    say!("{} {}", line(c"m/single"), line(c"m/twin"));
    let (mut one, mut two) = (libc::stat::zeroed(), libc::stat::zeroed());
    let _ = (file::stat(c"m/single", &mut one), file::stat(c"m/twin", &mut two));
    say!("same {}", one.st_ino == two.st_ino);
    let fd = file::open_or_say(c"m/twin", libc::O_WRONLY | libc::O_TRUNC, 0);
    show("write", file::write(fd, b"both"));
    let _ = file::close(fd);
    say!("{} {}", file::text(c"m/single"), file::text(c"m/twin"));
    show("unlink one", file::unlink(c"m/single"));
    say!("{} {}", line(c"m/single"), line(c"m/twin"));
    show("link onto its whiteout", file::link(c"m/twin", c"m/single"));
    say!("{} {}", line(c"m/single"), file::text(c"m/single"));
    show("a directory", file::link(c"m", c"m/x"));
    show("across", file::link(c"m/twin", c"up/x"));
    super::leave();
    0
}
