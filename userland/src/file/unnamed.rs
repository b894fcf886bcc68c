//! Files without names (`O_TMPFILE`): one can be given a name unless it was opened with `O_EXCL`.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    for (name, more) in [(c"named", 0), (c"never", libc::O_EXCL)] {
        let fd = file::open_or_say(c".", libc::O_TMPFILE | libc::O_RDWR | more, 0o600);
        let path = CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        let cwd = libc::AT_FDCWD;
        show("link", file::linkat(cwd, &path, cwd, name, libc::AT_SYMLINK_FOLLOW));
        show("there", file::access(name, libc::F_OK));
    }
    0
}
