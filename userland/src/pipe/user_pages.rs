//! What the pipes of a user may hold together (pipe(7), `/proc/sys/fs/pipe-user-pages-soft`): 1,024 of the usual size, then
//! small ones, which don't grow; FIFOs count for whoever opened them first. Who may use more isn't bounded.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file::{self, fcntl};
use crate::sys::{child, process};
use libc::{F_GETPIPE_SZ, F_SETPIPE_SZ, O_NONBLOCK, O_RDWR};
use std::ffi::CStr;

/// Nobody else's user on any machine.
const USER: u32 = 54_321;

fn limits() {
    for name in [c"/proc/sys/fs/pipe-user-pages-soft", c"/proc/sys/fs/pipe-user-pages-hard"] {
        say!("{name:?} {:?}", file::slurp(name).map(|text| String::from_utf8_lossy(&text).into_owned()));
    }
}

/// Makes pipes until one is smaller than the first; keeps an end of each.
fn fill() -> Vec<i32> {
    let mut ends = Vec::new();
    loop {
        let Ok((rx, tx)) = file::pipe2(O_NONBLOCK) else {
            say!("no pipe after {}", ends.len());
            return ends;
        };
        let _ = file::close(tx);
        let size = fcntl(rx, F_GETPIPE_SZ, 0);
        if size != Ok(65536) {
            show(&format!("after {} pipes", ends.len()), size);
            let _ = file::close(rx);
            return ends;
        }
        ends.push(rx);
        if ends.len() > 1500 {
            say!("no end of large pipes");
            return ends;
        }
    }
}

fn user() -> i32 {
    let _ = process::setresuid(USER, USER, USER);
    let mut ends = fill();
    let small = file::open_or_say(c"fifo", O_RDWR | O_NONBLOCK, 0);
    show("a fifo's", fcntl(small, F_GETPIPE_SZ, 0));
    show("grow", fcntl(small, F_SETPIPE_SZ, 16384));
    show("shrink", fcntl(small, F_SETPIPE_SZ, 4096));
    show("back", fcntl(small, F_SETPIPE_SZ, 8192));
    show("one that is large", fcntl(ends[0], F_SETPIPE_SZ, 131_072));
    let taken = file::open_or_say(c"taken", O_RDWR | O_NONBLOCK, 0);
    show("one that others opened", fcntl(taken, F_GETPIPE_SZ, 0));
    for end in ends.drain(..2) {
        let _ = file::close(end);
    }
    show("grow when others have gone", fcntl(small, F_SETPIPE_SZ, 65536));
    let _ = file::close(small);
    let again = file::open_or_say(c"fifo", O_RDWR | O_NONBLOCK, 0);
    show("opened anew", fcntl(again, F_GETPIPE_SZ, 0));
    0
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    limits();
    let limit = libc::rlimit64 { rlim_cur: 4096, rlim_max: 4096 };
    show("descriptors", process::setrlimit(libc::RLIMIT_NOFILE, &limit));
    for name in [c"fifo", c"taken"] {
        show("mknod", file::mknod(name, libc::S_IFIFO | 0o666, 0));
        let _ = file::chmod(name, 0o666);
    }
    let taken = file::open_or_say(c"taken", O_RDWR | O_NONBLOCK, 0);
    say!("{}", child::run(user));
    let _ = file::close(taken);
    0
}
