//! Files without names (`O_TMPFILE`): one can be given a name unless it was opened with `O_EXCL`.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let dir = Scratch::enter();
    for (name, more) in [(c"named", 0), (c"never", libc::O_EXCL)] {
        let fd = file::open_or_say(c".", libc::O_TMPFILE | libc::O_RDWR | more, 0o600);
        let path = CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        let mut status = libc::stat::zeroed();
        let _ = file::fstat(fd, &mut status);
        let shown = std::fs::read_link(path.to_string_lossy().as_ref()).unwrap_or_default();
        let shown = shown.to_string_lossy().replace(dir.path(), "DIR");
        say!("{}", shown.replace(&status.st_ino.to_string(), "INO"));
        let cwd = libc::AT_FDCWD;
        show("link", file::linkat(cwd, &path, cwd, name, libc::AT_SYMLINK_FOLLOW));
        show("there", file::access(name, libc::F_OK));
    }
    0
}
