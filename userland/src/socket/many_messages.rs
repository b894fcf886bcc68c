//! sendmmsg(2) and recvmmsg(2): several messages with one call, with flags and timeouts.
use crate::out::{say, show};
use crate::sys::{Res, call, net};
use libc::{MSG_DONTWAIT, MSG_WAITFORONE, SOCK_DGRAM};
use std::ffi::CStr;

fn headers(bufs: &mut [[u8; 8]], vectors: &mut Vec<libc::iovec>, lens: &[usize]) -> Vec<libc::mmsghdr> {
    for (buf, len) in bufs.iter_mut().zip(lens) {
        vectors.push(libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: *len });
    }
    let make = |vector: &mut libc::iovec| {
        // SAFETY: all zero is a header without anything.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        header
    };
    vectors.iter_mut().map(make).collect()
}

fn many(number: i64, fd: i32, list: &mut [libc::mmsghdr], flags: i32, timeout: usize) -> Res {
    let args = [fd as usize, list.as_mut_ptr() as usize, list.len(), flags as usize, timeout, 0];
    // SAFETY: every header points to live buffers.
    unsafe { call(number, args) }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (a, b) = net::pair(SOCK_DGRAM);
    let mut bufs = [*b"first---", *b"second--", *b"third---"];
    let mut vectors = Vec::new();
    let mut list = headers(&mut bufs, &mut vectors, &[5, 6, 5]);
    show("send", many(libc::SYS_sendmmsg, a, &mut list, 0, 0));
    say!("{:?}", list.iter().map(|one| one.msg_len).collect::<Vec<_>>());
    let mut bufs = [[0u8; 8]; 4];
    let mut vectors = Vec::new();
    let mut list = headers(&mut bufs, &mut vectors, &[8, 3, 8, 8]);
    show("receive", many(libc::SYS_recvmmsg, b, &mut list, MSG_DONTWAIT, 0));
    say!("{:?}", list.iter().map(|one| (one.msg_len, one.msg_hdr.msg_flags)).collect::<Vec<_>>());
    say!("{:?}", String::from_utf8_lossy(&bufs[1]));
    show("nothing", many(libc::SYS_recvmmsg, b, &mut list, MSG_DONTWAIT, 0));
    let _ = net::send(a, b"one", 0);
    show("wait for one", many(libc::SYS_recvmmsg, b, &mut list, MSG_WAITFORONE, 0));
    let _ = net::send(a, b"one", 0);
    let mut bad = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000_000 };
    let at = (&raw mut bad) as usize;
    show("bad timeout", many(libc::SYS_recvmmsg, b, &mut list, 0, at));
    show("none", many(libc::SYS_recvmmsg, b, &mut [], 0, 0));
    let _ = crate::sys::file::close(b);
    show("nobody", many(libc::SYS_sendmmsg, a, &mut list, 0, 0));
    0
}
