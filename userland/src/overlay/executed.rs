//! Programs run from an overlay, from below and copied up.
use super::{overlay, prepare};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    prepare();
    let own = file::slurp(c"/proc/self/exe").unwrap_or_default();
    file::make(c"low/program", &own, 0o755);
    overlay();
    let run = |name: &str| {
        say!("{name}: {}", child::run(|| {
            show("exec", process::execve(c"m/program", &[c"program", c"--helper", c"exit", c"5"], &[]));
            1
        }));
    };
    run("from below");
    show("copy up", file::chmod(c"m/program", 0o700));
    run("copied up");
    super::leave();
    0
}
