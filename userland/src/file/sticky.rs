//! In a sticky directory only the file's or the directory's owner (and root) may unlink or rename
//! (chmod(2), unlink(2)).
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{Res, child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"d", 0o700);
    let _ = file::chmod(c"d", 0o1777);
    let _ = file::chown(c"d", 500, 500);
    for (label, user) in [("file's owner", 1000), ("directory's owner", 500), ("another", 7), ("root", 0)] {
        for (what, act) in [
            ("unlink", (|| file::unlink(c"d/f")) as fn() -> Res),
            ("rename", || file::rename(c"d/f", c"d/g")),
            ("rename over", || {
                file::make(c"d/own", b"", 0o600);
                file::rename(c"d/own", c"d/f")
            }),
            ("rmdir", || file::rmdir(c"d/s")),
        ] {
            file::make(c"d/f", b"", 0o666);
            let _ = file::chown(c"d/f", 1000, 1000);
            let _ = file::mkdir(c"d/s", 0o777);
            let _ = file::chown(c"d/s", 1000, 1000);
            let end = child::run(|| {
                let _ = process::setresuid(user, user, user);
                act().map_or_else(|errno| errno.0, |_| 0)
            });
            say!("{label}: {what} {end}");
            for name in [c"d/f", c"d/g", c"d/own"] {
                let _ = file::unlink(name);
            }
        }
    }
    0
}
