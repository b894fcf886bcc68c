//! `#!` scripts (execve(2)): the interpreter gets its one optional argument, the script's path as
//! it was given, and the rest; blanks are cut, the argument isn't split.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let me = super::own_path();
    for (label, text) in [
        ("plain", format!("#!{me} --helper args\nbody\n")),
        ("blanks", format!("#! \t {me}   --helper args x   y \t \n")),
        ("no newline", format!("#!{me} --helper args")),
        ("no argument", format!("#!{me}\n")),
        ("carriage return", format!("#!{me} --helper args\r\n")),
    ] {
        let _ = file::unlink(c"script");
        file::make(c"script", text.as_bytes(), 0o755);
        let end = child::run(|| {
            show("execve", process::execve(c"./script", &[c"zero", c"one", c"", c"three"], &[]));
            1
        });
        say!("{label}: {end}");
    }
    let _ = file::unlink(c"script");
    file::make(c"script", format!("#!{me} --helper args\n").as_bytes(), 0o755);
    say!("no arguments at all: {}", child::run(|| {
        show("execve", process::execve(c"script", &[], &[]));
        1
    }));
    let _ = file::symlink(c"script", c"link");
    say!("by a symbolic link: {}", child::run(|| {
        show("execve", process::execve(c"link", &[c"x", c"y"], &[]));
        1
    }));
    0
}
