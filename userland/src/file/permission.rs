//! Who may read, write and search: user, group and other bits, for an owner, a group member, a
//! stranger and root (path_resolution(7)).
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{Errno, child, file, process};
use std::ffi::CStr;

const WHO: [(&str, u32, u32); 4] =
    [("owner", 1000, 1), ("group", 7, 2000), ("other", 7, 7), ("root", 0, 0)];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"content", 0o600);
    let _ = file::mkdir(c"d", 0o700);
    file::make(c"d/in", b"x", 0o666);
    let _ = file::chown(c"f", 1000, 2000);
    let _ = file::chown(c"d", 1000, 2000);
    for mode in [0o000, 0o400, 0o200, 0o040, 0o020, 0o004, 0o002, 0o700, 0o070, 0o007, 0o077, 0o666] {
        let _ = file::chmod(c"f", mode);
        let line: Vec<String> = WHO
            .iter()
            .map(|who| {
                let read = attempt(who, || file::open(c"f", libc::O_RDONLY, 0));
                let write = attempt(who, || file::open(c"f", libc::O_WRONLY, 0));
                format!("{} {read}/{write}", who.0)
            })
            .collect();
        say!("file {mode:03o}: {}", line.join(", "));
    }
    for mode in [0o000, 0o100, 0o400, 0o300, 0o500, 0o700, 0o010, 0o040, 0o030, 0o070, 0o001, 0o004, 0o003, 0o007] {
        let _ = file::chmod(c"d", mode);
        let line: Vec<String> = WHO
            .iter()
            .map(|who| {
                let list = attempt(who, || file::open(c"d", libc::O_RDONLY, 0));
                let search = attempt(who, || file::open(c"d/in", libc::O_RDONLY, 0));
                let make = attempt(who, || {
                    file::mkdir(c"d/new", 0o700).and_then(|_| file::rmdir(c"d/new"))
                });
                let enter = attempt(who, || file::chdir(c"d"));
                format!("{} {list}/{search}/{make}/{enter}", who.0)
            })
            .collect();
        say!("directory {mode:03o}: {}", line.join(", "));
    }
    0
}

/// `+` when the call works for this user, the error's name otherwise.
fn attempt((_, user, group): &(&str, u32, u32), call: impl FnOnce() -> crate::sys::Res) -> String {
    let end = child::wait(child::start(|| {
        let _ = process::setgroups(&[]);
        let _ = process::setresgid(*group, *group, *group);
        let _ = process::setresuid(*user, *user, *user);
        call().map_or_else(|errno| errno.0, |_| 0)
    }));
    match end {
        Ok(child::Status(0)) => String::from("+"),
        Ok(child::Status(status)) => Errno(status >> 8).to_string(),
        Err(errno) => format!("wait: {errno}"),
    }
}
