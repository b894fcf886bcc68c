//! stat(2) tells every kind of file, and the device numbers of devices.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"x", 0o600);
    let _ = file::mkdir(c"d", 0o750);
    let _ = file::symlink(c"some where", c"l");
    let _ = file::mknod(c"p", libc::S_IFIFO | 0o600, 0);
    let _ = file::mknod(c"s", libc::S_IFSOCK | 0o600, 0);
    for path in [c"f", c"d", c"l", c"p", c"s", c"none"] {
        say!("{path:?}: {}", super::show_stat::line(path));
    }
    for path in [c"/dev/null", c"/dev/zero", c"/dev/full", c"/dev/random", c"/dev/urandom", c"/dev/tty"] {
        let mut s = libc::stat::zeroed();
        let result = file::stat(path, &mut s);
        say!("{path:?}: {result:?} {:o} {}:{}", s.st_mode, libc::major(s.st_rdev), libc::minor(s.st_rdev));
    }
    0
}
