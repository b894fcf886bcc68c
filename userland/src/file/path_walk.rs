//! Paths: doubled slashes, dots, `..` at the root and across links, slashes at the end.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"a", 0o700);
    let _ = file::mkdir(c"a/b", 0o700);
    let _ = file::mkdir(c"other", 0o700);
    file::make(c"a/f", b"", 0o600);
    file::make(c"other/g", b"", 0o600);
    let _ = file::symlink(c"../other", c"a/to-other");
    for path in [
        c"a//b", c"./a/./b/.", c"a/b/..", c"a/b/../f", c"a/../a/../a/f", c"//", c"/..", c"/../../..", c"/../dev/null", c"a/f/..",
        c"a/f/../f", c"a/none/../f", c"a/to-other/../f", c"a/to-other/../other/g", c"a/to-other/g", c"a/b/../../a/f", c"a/f/.", c"...", c"a/.../f",
    ] {
        show(&format!("{path:?}"), file::access(path, libc::F_OK));
    }
    0
}
