//! Sockets that are in messages which only they could receive: the rings are taken apart, and what
//! else was in them is closed.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{SCM_RIGHTS, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

fn send(to: i32, fds: &[i32]) {
    let raw: Vec<u8> = fds.iter().flat_map(|fd| fd.to_le_bytes()).collect();
    if let Err(errno) = net::send_msg(to, b"x", &net::control(SOL_SOCKET, SCM_RIGHTS, &raw), 0) {
        say!("send: {errno}");
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        let (rx, tx) = file::pipe();
        for _ in 0..100 {
            let (a, b) = net::pair(kind);
            send(a, &[a, b, tx]);
            send(b, &[a, b, tx]);
            let _ = file::close(a);
            let _ = file::close(b);
        }
        let _ = file::close(tx);
        // The next close finds them.
        let (a, b) = net::pair(kind);
        let _ = (file::close(a), file::close(b));
        let mut fds = [libc::pollfd { fd: rx, events: libc::POLLIN, revents: 0 }];
        show("the pipe's end", file::poll(&mut fds, 5000));
        show("read", file::read(rx, &mut [0]));
    }
    // A long chain: each in the message of the next.
    let (rx, tx) = file::pipe();
    let (mut inner, mut other) = net::pair(SOCK_STREAM);
    send(other, &[tx]);
    let _ = file::close(tx);
    for _ in 0..200 {
        let (next, far) = net::pair(SOCK_STREAM);
        send(far, &[inner, other]);
        let _ = (file::close(inner), file::close(other));
        (inner, other) = (next, far);
    }
    let _ = (file::close(inner), file::close(other));
    let mut fds = [libc::pollfd { fd: rx, events: libc::POLLIN, revents: 0 }];
    show("the chain's end", file::poll(&mut fds, 5000));
    // A ring that is held at one place stays whole.
    let (a, b) = net::pair(SOCK_STREAM);
    let (c, d) = net::pair(SOCK_STREAM);
    send(a, &[c, d]);
    send(c, &[d]);
    let _ = (file::close(c), file::close(d));
    let (e, f) = net::pair(SOCK_STREAM);
    let _ = (file::close(e), file::close(f));
    let got = net::recv_msg(b, 9, 64, 0).map(|m| m.control.len());
    say!("kept {got:?}");
    0
}
