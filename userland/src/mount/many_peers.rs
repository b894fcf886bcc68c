//! A thousand peers, beside each other and within each other: all get what is mounted on one, and a tree with
//! them goes as fast as one without (minutes, when each looks for all the others).
use super::{alone, info, new, set};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{MNT_DETACH, MS_BIND, MS_SHARED};
use std::ffi::{CStr, CString};

const PEERS: usize = 1000;

fn bind(from: &CStr, to: &str) -> bool {
    let to = CString::new(to).unwrap_or_default();
    file::mkdir(&to, 0o755).is_ok() && super::mount(from, &to, c"", MS_BIND).is_ok()
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let dir = Scratch::enter();
    let before = info("").len();
    let count = |label: &str| say!("{label}: {}", info("").len() - before);
    for path in [c"all", c"one"] {
        let _ = file::mkdir(path, 0o755);
        new(path);
    }
    set(c"one", MS_SHARED);
    say!("bound {}", (0..PEERS).filter(|at| bind(c"one", &format!("all/{at}"))).count());
    let _ = file::mkdir(c"one/x", 0o755);
    new(c"one/x");
    count("on each");
    show("umount", file::umount2(c"all/7/x", 0));
    count("of all");
    new(c"all/7/x");
    show("detach", file::umount2(c"all", MNT_DETACH));
    count("all but one");
    show("umount", file::umount2(c"one/x", 0));
    say!("within {}", (0..10).filter(|at| bind(c"one", &format!("one/{at}"))).count());
    count("doubled each time");
    show("detach", file::umount2(c"one", MNT_DETACH));
    count("left");
    drop(dir);
    0
}
