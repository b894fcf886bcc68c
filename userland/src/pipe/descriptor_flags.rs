//! F_GETFL and F_SETFL (fcntl(2)): what can be changed and what stays.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::file::{self, fcntl};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    for (label, flags) in [
        ("read", libc::O_RDONLY),
        ("write append", libc::O_WRONLY | libc::O_APPEND),
        ("read-write nonblock", libc::O_RDWR | libc::O_NONBLOCK),
        ("cloexec isn't a status flag", libc::O_RDWR | libc::O_CLOEXEC),
        ("creation flags are forgotten", libc::O_RDWR | libc::O_TRUNC),
        ("path", libc::O_PATH),
        ("noatime", libc::O_RDONLY | libc::O_NOATIME),
        ("nofollow", libc::O_RDONLY | libc::O_NOFOLLOW),
        ("sync", libc::O_RDWR | libc::O_SYNC),
    ] {
        file::make(c"f", b"x", 0o600);
        let fd = file::open_or_say(c"f", flags, 0);
        let get = |fd| match fcntl(fd, libc::F_GETFL, 0) {
            Ok(n) => format!("{n:#o}"),
            Err(errno) => errno.to_string(),
        };
        say!("{label}: {}", get(fd));
        let all = libc::O_APPEND | libc::O_NONBLOCK | libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
        say!("set {:?}: {}", fcntl(fd, libc::F_SETFL, all as usize), get(fd));
        say!("clear {:?}: {}", fcntl(fd, libc::F_SETFL, 0), get(fd));
        let _ = file::close(fd);
    }
    0
}
