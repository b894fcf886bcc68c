//! Paths: the longest that works, one more, PATH_MAX without an end, empty, odd bytes.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    for len in [254, 255, 256] {
        let name = CString::new(vec![b'n'; len]).unwrap_or_default();
        show(&format!("a name of {len}"), file::mkdir(&name, 0o755));
    }
    for len in [4094, 4095, 4096, 5000] {
        let path = CString::new("./".repeat(len / 2) + if len % 2 == 1 { "." } else { "" }).unwrap_or_default();
        show(&format!("a path of {len}"), file::chdir(&path));
    }
    for name in [&b"\xff\xfe"[..], b"new\nline", b" ", b"\x01", "ä€𝄞".as_bytes(), b"-", b"..."] {
        let path = CString::new(name).unwrap_or_default();
        show(&format!("{path:?}"), file::mkdir(&path, 0o755));
        show("again", file::mkdir(&path, 0o755));
        show("gone", file::rmdir(&path));
    }
    show("empty", file::mkdir(c"", 0o755));
    show("empty chdir", file::chdir(c""));
    say!("done");
    0
}
