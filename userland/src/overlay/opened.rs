//! Files that are open while they are copied up, removed or replaced; files without a name; mappings.
use super::{overlay, prepare};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    for name in [c"low/a", c"low/b", c"low/c"] {
        file::make(name, b"from below", 0o644);
    }
    overlay();
    let reader = file::open_or_say(c"m/a", libc::O_RDONLY, 0);
    let writer = file::open_or_say(c"m/a", libc::O_RDWR, 0);
    show("write", file::pwrite(writer, b"FROM", 0));
    let mut buf = [0; 20];
    let n = file::read(reader, &mut buf).unwrap_or(0);
    say!("{:?}", String::from_utf8_lossy(&buf[..n]));
    let mut s = libc::stat::zeroed();
    show("fstat", file::fstat(reader, &mut s));
    say!("size {} links {}", s.st_size, s.st_nlink);
    let gone = file::open_or_say(c"m/b", libc::O_RDONLY, 0);
    show("unlink", file::unlink(c"m/b"));
    let n = file::read(gone, &mut buf).unwrap_or(0);
    say!("{:?}", String::from_utf8_lossy(&buf[..n]));
    show("fstat", file::fstat(gone, &mut s));
    say!("{:o}", s.st_mode);
    say!("{}", file::text(c"m/b"));
    let unnamed = file::fd(file::open(c"m", libc::O_TMPFILE | libc::O_RDWR, 0o644)).unwrap_or(-1);
    show("write unnamed", file::write(unnamed, b"unnamed"));
    let path = std::ffi::CString::new(format!("/proc/self/fd/{unnamed}")).unwrap_or_default();
    show("name it", file::linkat(libc::AT_FDCWD, &path, libc::AT_FDCWD, c"m/named", libc::AT_SYMLINK_FOLLOW));
    say!("{}", file::text(c"m/named"));
    let fd = file::open_or_say(c"m/c", libc::O_RDWR, 0);
    show("seek to the end", file::lseek(fd, 0, libc::SEEK_END));
    show("write there", file::write(fd, b"!"));
    show("ftruncate", file::ftruncate(fd, 5));
    show("seek to the end", file::lseek(fd, 0, libc::SEEK_END));
    show("allocate", file::fallocate(fd, 0, 0, 100));
    show("fstat", file::fstat(fd, &mut s));
    say!("size {}", s.st_size);
    show("sync", file::fsync(fd));
    for fd in [reader, writer, gone, unnamed, fd] {
        let _ = file::close(fd);
    }
    super::leave();
    0
}
