//! poll(2) sleeps until data, room or the end come, or its time is over, never less.
use crate::out::{say, show};
use crate::sys::{self, child, file, time};
use libc::{POLLIN, POLLOUT, pollfd};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let start = time::monotonic();
    show("timeout", file::poll(&mut [pollfd { fd: rx, events: POLLIN, revents: 0 }], 30));
    say!("not early: {}", time::monotonic() - start >= 30_000_000);
    for what in ["data", "end"] {
        let pid = child::start(|| {
            let _ = time::sleep_ms(10);
            if what == "data" {
                let _ = file::write(tx, b"x");
            }
            0
        });
        if what == "end" {
            let _ = file::close(tx);
        }
        let mut fds = [pollfd { fd: rx, events: POLLIN, revents: 0 }];
        show(what, file::poll(&mut fds, -1));
        say!("events {:#x}", fds[0].revents);
        let _ = file::read(rx, &mut [0]);
        say!("{}", child::end_of(pid));
    }
    let (rx, tx) = file::pipe();
    let _ = file::write(tx, &vec![0; 65_536]);
    let pid = child::start(|| {
        let _ = time::sleep_ms(10);
        i32::from(file::read(rx, &mut vec![0; 65_536]).is_err())
    });
    show("room", file::poll(&mut [pollfd { fd: tx, events: POLLOUT, revents: 0 }], 5000));
    say!("{}", child::end_of(pid));
    // SAFETY: the kernel refuses the address.
    show("bad pointer", unsafe { sys::call(libc::SYS_poll, [8, 1, 0, 0, 0, 0]) });
    // SAFETY: more entries than descriptors are allowed: refused.
    show("too many", unsafe { sys::call(libc::SYS_poll, [8, 1 << 30, 0, 0, 0, 0]) });
    0
}
