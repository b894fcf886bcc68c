//! execve(2) errors: ENOENT, EACCES (mode, directory, special file), ENOEXEC, ENOTDIR, ELOOP,
//! ENAMETOOLONG; the caller goes on unharmed after each.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::{file, process};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"plain", b"#!/bin/sh\n", 0o644);
    file::make(c"empty", b"", 0o755);
    file::make(c"words", b"just words\n", 0o755);
    file::make(c"short-elf", b"\x7fELF", 0o755);
    file::make(c"no-interp", b"#!/no/such/interpreter\n", 0o755);
    file::make(c"bang", b"#!\n", 0o755);
    let _ = file::symlink(c"loop", c"loop");
    let long = CString::new(vec![b'x'; 300]).unwrap_or_default();
    for path in [
        c"/no/such", c"", c"plain", c"empty", c"words", c"short-elf", c"no-interp", c"bang", c".",
        c"plain/x", c"loop", c"/dev/null", long.as_c_str(),
    ] {
        let label: String = path.to_string_lossy().chars().take(20).collect();
        show(&format!("execve {label:?}"), process::execve(path, &[c"x"], &[]));
    }
    0
}
