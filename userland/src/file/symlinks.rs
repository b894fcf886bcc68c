//! symlink(2), readlink(2): any target, lengths, errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let long = CString::new(vec![b't'; 4000]).unwrap_or_default();
    let longer = CString::new(vec![b't'; 4096]).unwrap_or_default();
    for (target, path) in [(c"target", c"a"), (c"/abs/../x", c"b"), (c"new\nline \xff", c"c"), (c"", c"d"), (c"x", c"a"), (c"x", c"none/y"), (c"x", c""), (c"x", c"e/"), (long.as_c_str(), c"f"), (longer.as_c_str(), c"g")] {
        show(&format!("{path:?}"), file::symlink(target, path));
        let mut buf = [0; 5000];
        match file::readlink(path, &mut buf) {
            Ok(n) if n < 100 => say!("-> {:?}", String::from_utf8_lossy(&buf[..n])),
            Ok(n) => say!("-> {n} bytes"),
            Err(errno) => say!("-> {errno}"),
        }
    }
    show("cut short", file::readlink(c"a", &mut [0; 3]));
    show("no room", file::readlink(c"a", &mut []));
    file::make(c"plain", b"", 0o600);
    show("a file", file::readlink(c"plain", &mut [0; 9]));
    show("a directory", file::readlink(c".", &mut [0; 9]));
    show("empty", file::readlink(c"", &mut [0; 9]));
    say!("{}", super::show_stat::line(c"a"));
    0
}
