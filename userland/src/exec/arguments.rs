//! execve(2) hands over argv and envp as they are: empty strings, odd bytes, many of them.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let end = child::run(|| {
        let args = [c"anything", c"--helper", c"args", c"", c"two words", c"\xff\x01\n", c"last"];
        show("execve", process::execve(super::SELF, &args, &[]));
        1
    });
    say!("{end}");
    let end = child::run(|| {
        let env = [c"A=1", c"EMPTY=", c"B=x=y", c"C=\xc3\xa9"];
        show("execve", process::execve(super::SELF, &[c"b", c"--helper", c"env"], &env));
        1
    });
    say!("{end}");
    0
}
