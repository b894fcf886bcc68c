//! A directory of 3000 entries, made, listed with small and large buffers, half of it removed.
use super::directory_list::list;
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let name = |i: usize| CString::new(format!("entry-with-a-longer-name-{i:05}")).unwrap_or_default();
    let made = (0..3000).filter(|i| file::mknod(&name(*i), libc::S_IFREG | 0o600, 0).is_ok()).count();
    say!("made {made}");
    let fd = file::open_or_say(c".", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    for size in [64, 1000, 65_536] {
        let _ = file::lseek(fd, 0, libc::SEEK_SET);
        let mut all = list(fd, size);
        let count = all.len();
        all.dedup();
        say!("buffer {size}: {count} entries, {} distinct", all.len());
    }
    let gone = (0..3000).step_by(2).filter(|i| file::unlink(&name(*i)).is_ok()).count();
    let _ = file::lseek(fd, 0, libc::SEEK_SET);
    say!("removed {gone}, left {}", list(fd, 4096).len());
    0
}
