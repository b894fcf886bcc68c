//! poll(2) on pipes in every state: POLLIN, POLLOUT, POLLHUP, POLLERR, POLLNVAL.
use crate::out::say;
use crate::sys::file;
use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLRDNORM, POLLWRNORM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe2(libc::O_NONBLOCK).unwrap_or((-1, -1));
    tell("empty", rx, tx);
    let _ = file::write(tx, b"x");
    tell("some", rx, tx);
    let _ = file::write(tx, &vec![0; 70_000]);
    tell("full", rx, tx);
    let _ = file::read(rx, &mut [0; 4000]);
    tell("less than a page free", rx, tx);
    let _ = file::read(rx, &mut [0; 4096]);
    tell("a page free", rx, tx);
    let spare = file::fd(file::dup(tx)).unwrap_or(-1);
    let _ = file::close(tx);
    tell("closed one writer", rx, spare);
    let _ = file::close(spare);
    tell("no writer, data", rx, 99);
    let _ = file::read(rx, &mut vec![0; 70_000]);
    tell("no writer, empty", rx, -1);
    let (a, b) = file::pipe();
    let _ = file::close(a);
    tell("no reader", 99, b);
    say!("none: {:?}", file::poll(&mut [], 0));
    0
}

fn tell(label: &str, rx: i32, tx: i32) {
    let all = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    let mut fds = [rx, tx].map(|fd| libc::pollfd { fd, events: all, revents: -1 });
    let count = file::poll(&mut fds, 0);
    let names = |bits: i16| -> String {
        [(POLLIN, "IN"), (POLLOUT, "OUT"), (POLLERR, "ERR"), (POLLHUP, "HUP"), (POLLNVAL, "NVAL"), (POLLRDNORM, "RDNORM"), (POLLWRNORM, "WRNORM")]
            .iter()
            .filter(|(bit, _)| bits & bit != 0)
            .map(|(_, name)| format!(" {name}"))
            .collect()
    };
    say!("{label}: {count:?} rx{} tx{}", names(fds[0].revents), names(fds[1].revents));
}
