//! ETXTBSY: a file open for writing can't be executed, one that runs can't be opened for writing.
use super::image::{self, Image};
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::{child, file, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    // mov eax, 34 (pause); syscall
    let bytes = Image::new(image::FIXED, &[0xb8, 34, 0, 0, 0, 0x0f, 0x05]).bytes();
    file::make(c"image", &bytes, 0o755);
    let fd = file::open_or_say(c"image", libc::O_WRONLY, 0);
    show("open for writing", process::execve(c"image", &[c"x"], &[]));
    let _ = file::close(fd);
    let (rx, _tx) = file::pipe2(libc::O_CLOEXEC).unwrap_or((-1, -1));
    let pid = child::start(|| {
        let _ = process::execve(c"image", &[c"x"], &[]);
        1
    });
    let _ = file::close(_tx);
    let _ = file::read(rx, &mut [0]);
    show("running: open for writing", file::open(c"image", libc::O_WRONLY, 0));
    show("running: open for reading, cut", file::open(c"image", libc::O_RDONLY | libc::O_TRUNC, 0));
    show("running: truncate", file::truncate(c"image", 0));
    show_ok("running: open for reading", file::open(c"image", libc::O_RDONLY, 0));
    show("running: unlink", file::unlink(c"image"));
    let _ = signal::kill(pid, libc::SIGKILL);
    say!("{}", child::end_of(pid));
    0
}
