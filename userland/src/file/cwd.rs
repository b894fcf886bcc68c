//! chdir(2), fchdir(2), getcwd(2): where one is, after moves, renames and through links; ERANGE.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let dir = Scratch::enter();
    let base = dir.path().to_owned();
    let tell = || {
        let mut buf = [0; 4096];
        match file::getcwd(&mut buf) {
            Ok(n) => say!("  {}", String::from_utf8_lossy(&buf[..n - 1]).replace(&base, "DIR")),
            Err(errno) => say!("  {errno}"),
        }
    };
    let _ = file::mkdir(c"a", 0o700);
    let _ = file::mkdir(c"a/b", 0o700);
    file::make(c"f", b"", 0o600);
    let _ = file::symlink(c"a/b", c"l");
    let top = file::open_or_say(c".", libc::O_RDONLY, 0);
    tell();
    for path in [c"a", c"b", c"..", c".", c"../l", c"none", c"../../f", c"/", c"", c".."] {
        show(&format!("chdir {path:?}"), file::chdir(path));
        tell();
    }
    show("fchdir", file::fchdir(top));
    tell();
    let _ = file::chdir(c"a/b");
    let _ = file::rename(c"../../a", c"../../renamed");
    tell();
    show("fchdir to a file", file::fchdir(file::open_or_say(c"../../f", libc::O_RDONLY, 0)));
    show("fchdir closed", file::fchdir(99));
    show("too short", file::getcwd(&mut [0; 3]));
    show("nothing", file::getcwd(&mut []));
    say!("{}", child::run(|| {
        let _ = file::chdir(c"/dev");
        0
    }));
    tell();
    0
}
