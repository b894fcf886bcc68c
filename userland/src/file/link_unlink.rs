//! link(2), unlink(2): counts, what a name means, errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"a", b"same", 0o600);
    let _ = file::mkdir(c"d", 0o700);
    let _ = file::symlink(c"a", c"l");
    show("link", file::link(c"a", c"b"));
    show("into a directory", file::link(c"a", c"d/c"));
    say!("{}", super::show_stat::line(c"a"));
    file::make(c"b", b"changed", 0o600);
    say!("{}", file::text(c"d/c"));
    show("unlink", file::unlink(c"a"));
    say!("{} / {}", super::show_stat::line(c"a"), super::show_stat::line(c"b"));
    for (old, new) in [(c"none", c"x"), (c"b", c"b"), (c"b", c"d"), (c"d", c"x"), (c"b", c"none/x"), (c"b", c"b/x"), (c"b", c"x/"), (c"", c"x"), (c"b", c""), (c".", c"x"), (c"b/", c"x"), (c"/dev/null", c"x")] {
        show(&format!("link {old:?} {new:?}"), file::link(old, new));
    }
    show("link to a link", file::link(c"l", c"m"));
    say!("{}", super::show_stat::line(c"m"));
    show("followed", file::linkat(libc::AT_FDCWD, c"l", libc::AT_FDCWD, c"n", libc::AT_SYMLINK_FOLLOW));
    show("bad flag", file::linkat(libc::AT_FDCWD, c"b", libc::AT_FDCWD, c"n", 0x8000));
    for path in [c"none", c"d", c"", c".", c"b/", c"b/x", c"/", c"d/", c"l", c"m"] {
        show(&format!("unlink {path:?}"), file::unlink(path));
    }
    show("unlinkat a directory", file::unlinkat(libc::AT_FDCWD, c"d", 0));
    show("unlinkat a file as directory", file::unlinkat(libc::AT_FDCWD, c"b", libc::AT_REMOVEDIR));
    show("unlinkat bad flag", file::unlinkat(libc::AT_FDCWD, c"b", 1));
    0
}
