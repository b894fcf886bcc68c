//! A tree, five levels deep and three wide, made, walked and removed again.
use super::directory_list::list;
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    say!("made {}", make(4));
    let (files, directories, bytes) = walk();
    say!("files {files} directories {directories} bytes {bytes}");
    remove();
    say!("left {}", list(file::open_or_say(c".", 0, 0), 4096).len());
    0
}

fn make(depth: usize) -> usize {
    let mut count = 0;
    for i in 0..3 {
        let name = CString::new(format!("{i}")).unwrap_or_default();
        if depth == 0 {
            file::make(&name, &vec![b'x'; i * 1000], 0o600);
            count += 1;
        } else {
            let _ = file::mkdir(&name, 0o700);
            let _ = file::chdir(&name);
            count += make(depth - 1);
            let _ = file::chdir(c"..");
        }
    }
    count
}

fn names() -> Vec<(CString, u8)> {
    let fd = file::open_or_say(c".", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    let all = list(fd, 4096);
    let _ = file::close(fd);
    all.into_iter()
        .filter(|(name, _)| name != b"." && name != b"..")
        .map(|(name, kind)| (CString::new(name).unwrap_or_default(), kind))
        .collect()
}

fn walk() -> (usize, usize, usize) {
    let mut sum = (0, 0, 0);
    for (name, kind) in names() {
        if kind == libc::DT_DIR {
            let _ = file::chdir(&name);
            let inner = walk();
            let _ = file::chdir(c"..");
            sum = (sum.0 + inner.0, sum.1 + inner.1 + 1, sum.2 + inner.2);
        } else {
            sum.0 += 1;
            sum.2 += file::slurp(&name).map_or(0, |b| b.len());
        }
    }
    sum
}

fn remove() {
    for (name, kind) in names() {
        if kind == libc::DT_DIR {
            let _ = file::chdir(&name);
            remove();
            let _ = file::chdir(c"..");
            let _ = file::rmdir(&name);
        } else {
            let _ = file::unlink(&name);
        }
    }
}
