//! rename(2) errors.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o600);
    let _ = file::mkdir(c"d", 0o700);
    let _ = file::mkdir(c"d/sub", 0o700);
    let _ = file::mkdir(c"empty", 0o700);
    for (old, new) in [
        (c"none", c"x"), (c"f", c"d"), (c"d", c"f"), (c"d", c"d/sub/x"), (c"d", c"d/x"), (c"empty", c"d"), (c"f", c"none/x"),
        (c"f", c"f/x"), (c"f/x", c"y"), (c"f", c"x/"), (c"f/", c"x"), (c".", c"x"), (c"d/.", c"x"), (c"d/..", c"x"), (c"f", c"."),
        (c"f", c".."), (c"d", c"."), (c"", c"x"), (c"f", c""), (c"f", c"/dev/x/y"), (c"d/sub", c"d"),
    ] {
        show(&format!("{old:?} {new:?}"), file::rename(old, new));
    }
    for (old, new) in [(c"/", c"x"), (c"d", c"/"), (c"/dev", c"x")] {
        // EXDEV where the scratch directory lies on a file system of its own.
        let result = file::rename(old, new);
        let busy = result.is_err_and(|e| [libc::EBUSY, libc::EXDEV].contains(&e.0));
        crate::out::say!("{old:?} {new:?} busy: {busy}");
    }
    let across = file::rename(c"f", c"/proc/x");
    // Which of the two checks comes first is the kernel version's affair.
    let refused = across.is_err_and(|e| [libc::EXDEV, libc::ENOENT].contains(&e.0));
    crate::out::say!("across file systems refused: {refused}");
    0
}
