//! truncate(2), ftruncate(2): shorter, longer (zeros), to nothing; errors; offsets stay.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"0123456789", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    let _ = file::lseek(fd, 8, libc::SEEK_SET);
    show("to 4", file::ftruncate(fd, 4));
    say!("{}", file::text(c"f"));
    show("position", file::lseek(fd, 0, libc::SEEK_CUR));
    show("to 12", file::ftruncate(fd, 12));
    say!("{}", file::text(c"f"));
    show("by path", file::truncate(c"f", 2));
    show("across pages", file::ftruncate(fd, 9000));
    let _ = file::pwrite(fd, &[b'x'; 9000], 0);
    show("into a page", file::ftruncate(fd, 5000));
    show("and out", file::ftruncate(fd, 9000));
    let bytes = file::slurp(c"f").unwrap_or_default();
    say!("x {} zero {}", bytes.iter().filter(|b| **b == b'x').count(), bytes.iter().filter(|b| **b == 0).count());
    show("to nothing", file::ftruncate(fd, 0));
    show("negative", file::ftruncate(fd, -1));
    show("path negative", file::truncate(c"f", -1));
    let ro = file::open_or_say(c"f", libc::O_RDONLY, 0);
    show("read-only", file::ftruncate(ro, 0));
    show("directory", file::truncate(c".", 0));
    show("missing", file::truncate(c"missing", 0));
    show("beneath a file", file::truncate(c"f/x", 0));
    show("device", file::truncate(c"/dev/null", 0));
    show("closed", file::ftruncate(99, 0));
    0
}
