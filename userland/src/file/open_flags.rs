//! open(2): O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, access modes and their errors.
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    show("missing", file::open(c"a", O_RDONLY, 0));
    let fd = file::open_or_say(c"a", O_RDWR | O_CREAT | O_EXCL, 0o640);
    show("write", file::write(fd, b"0123456789"));
    show_ok("exclusive again", file::open(c"a", O_RDWR | O_CREAT | O_EXCL, 0o640));
    let ro = file::open_or_say(c"a", O_RDONLY, 0);
    show("write to read-only", file::write(ro, b"x"));
    let wo = file::open_or_say(c"a", O_WRONLY, 0);
    show("read from write-only", file::read(wo, &mut [0]));
    show("overwrite", file::write(wo, b"AB"));
    say!("{}", file::text(c"a"));
    let ap = file::open_or_say(c"a", O_WRONLY | O_APPEND, 0);
    show("seek", file::lseek(ap, 0, libc::SEEK_SET));
    show("append", file::write(ap, b"END"));
    show("position", file::lseek(ap, 0, libc::SEEK_CUR));
    say!("{}", file::text(c"a"));
    let tr = file::open_or_say(c"a", O_WRONLY | O_TRUNC, 0);
    say!("truncated: {}", file::text(c"a"));
    show("through an old descriptor", file::write(fd, b"z"));
    say!("{}", file::text(c"a"));
    let _ = file::close(tr);
    show("a file as a directory", file::open(c"a", O_RDONLY | O_DIRECTORY, 0));
    show("a directory to write", file::open(c".", O_WRONLY, 0));
    show("a directory to read and write", file::open(c".", O_RDWR, 0));
    show("create a directory's name", file::open(c".", O_RDONLY | O_CREAT, 0o600));
    show("create with a slash", file::open(c"new/", O_WRONLY | O_CREAT, 0o600));
    show("file with a slash", file::open(c"a/", O_RDONLY, 0));
    show("beneath a file", file::open(c"a/b", O_RDONLY, 0));
    show("creat", file::creat(c"b", 0o600).map(|_| 0));
    0
}
