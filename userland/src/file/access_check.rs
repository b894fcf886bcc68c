//! access(2) asks for the real user, faccessat2(2) with AT_EACCESS for the effective one.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use libc::{AT_EACCESS, AT_FDCWD, F_OK, R_OK, W_OK, X_OK};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o640);
    let _ = file::chown(c"f", 1000, 1000);
    for (label, real, effective) in [("root", 0, 0), ("real 1000", 1000, 0), ("effective 1000", 0, 1000), ("real 7", 7, 0), ("both 7", 7, 7)] {
        say!("{}", child::run(|| {
            let _ = process::setgroups(&[]);
            let _ = process::setresgid(7, 7, 7);
            let _ = process::setresuid(real, effective, u32::MAX);
            for (name, mode) in [("F", F_OK), ("R", R_OK), ("W", W_OK), ("X", X_OK), ("RW", R_OK | W_OK)] {
                show(&format!("{label}: access {name}"), file::access(c"f", mode));
                show(&format!("{label}: effective {name}"), file::faccessat2(AT_FDCWD, c"f", mode, AT_EACCESS));
            }
            0
        }));
    }
    let _ = file::chmod(c"f", 0o100);
    show("root, one x", file::access(c"f", X_OK));
    0
}
