//! A script's interpreter may be a script, up to a depth; then ELOOP (execve(2)).
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let dir = Scratch::enter();
    let mut interpreter = format!("{} --helper count", super::own_path());
    for depth in 1..=7 {
        let name = CString::new(format!("s{depth}")).unwrap_or_default();
        file::make(&name, format!("#!{interpreter}\n").as_bytes(), 0o755);
        interpreter = format!("./s{depth} arg{depth}");
        let end = child::run(|| {
            show("execve", process::execve(&name, &[c"x", c"last"], &[]));
            1
        });
        say!("depth {depth}: {end}");
    }
    file::make(c"self", format!("#!{}/self\n", dir.path()).as_bytes(), 0o755);
    show("itself", process::execve(c"self", &[c"x"], &[]));
    0
}
