//! sync(2), fsync(2), fdatasync(2), syncfs(2): fine on files and directories, errors elsewhere.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o600);
    show("write", file::write(fd, b"data"));
    show("fsync", file::fsync(fd));
    show("fdatasync", file::fdatasync(fd));
    show("syncfs", file::syncfs(fd));
    show("sync", file::sync());
    show("directory", file::fsync(file::open_or_say(c".", libc::O_RDONLY, 0)));
    show("read-only", file::fsync(file::open_or_say(c"f", libc::O_RDONLY, 0)));
    show("null device", file::fsync(file::open_or_say(c"/dev/null", libc::O_RDWR, 0)));
    show("closed", file::fsync(99));
    show("syncfs closed", file::syncfs(99));
    0
}
