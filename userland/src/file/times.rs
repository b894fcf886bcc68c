//! Which calls move atime, mtime, ctime (inode(7)).
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{Plain, file, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"content", 0o600);
    let _ = file::mkdir(c"d", 0o700);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    tell("write", c"f", || file::write(fd, b"x"));
    tell("write nothing", c"f", || file::write(fd, b""));
    tell("chmod", c"f", || file::chmod(c"f", 0o644));
    tell("link", c"f", || file::link(c"f", c"g"));
    tell("unlink the other", c"f", || file::unlink(c"g"));
    tell("rename", c"f", || file::rename(c"f", c"f2").and_then(|_| file::rename(c"f2", c"f")));
    tell("truncate to the same", c"f", || file::truncate(c"f", 7));
    tell("ftruncate to the same", c"f", || file::ftruncate(fd, 7));
    tell("truncate shorter", c"f", || file::truncate(c"f", 3));
    tell("open O_TRUNC", c"f", || file::open(c"f", libc::O_WRONLY | libc::O_TRUNC, 0));
    tell("stat", c"f", || file::stat(c"f", &mut libc::stat::zeroed()));
    tell("make in it", c"d", || {
        file::make(c"d/x", b"", 0o600);
        Ok(0)
    });
    tell("write in it", c"d", || {
        file::make(c"d/x", b"more", 0o600);
        Ok(0)
    });
    tell("rename in it", c"d", || file::rename(c"d/x", c"d/y"));
    tell("unlink in it", c"d", || file::unlink(c"d/y"));
    tell("mkdir in it", c"d", || file::mkdir(c"d/s", 0o700));
    tell("rmdir in it", c"d", || file::rmdir(c"d/s"));
    0
}

fn tell(label: &str, path: &CStr, act: impl FnOnce() -> crate::sys::Res) {
    let (mut before, mut after) = (libc::stat::zeroed(), libc::stat::zeroed());
    let _ = file::stat(path, &mut before);
    // Coarser than any kernel's clock for files.
    let _ = time::sleep_ms(12);
    let _ = act();
    let _ = file::stat(path, &mut after);
    say!(
        "{label}: mtime {} ctime {}",
        (before.st_mtime, before.st_mtime_nsec) != (after.st_mtime, after.st_mtime_nsec),
        (before.st_ctime, before.st_ctime_nsec) != (after.st_ctime, after.st_ctime_nsec)
    );
}
