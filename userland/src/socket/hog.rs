//! A program that fills sockets until it is told to stop, by an error that it can expect.
use crate::out::say;
use crate::sys::{Errno, Plain, file, net, process};
use libc::{SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM};
use std::ffi::CStr;

fn fill(kind: i32) -> Errno {
    let bytes = vec![1; 4000];
    loop {
        let mut ends = [0i32; 2];
        // SAFETY: the kernel writes two descriptors.
        let made = unsafe { libc::socketpair(1, kind | SOCK_NONBLOCK, 0, ends.as_mut_ptr()) };
        if made != 0 {
            return Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
        }
        for end in ends {
            loop {
                match net::send(end, &bytes, 0) {
                    Ok(_) => {}
                    Err(Errno(libc::EAGAIN)) => break,
                    Err(errno) => return errno,
                }
            }
        }
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut limit = libc::rlimit64::zeroed();
    (limit.rlim_cur, limit.rlim_max) = (600, 600);
    let _ = process::prlimit64(0, libc::RLIMIT_NOFILE, Some(&limit), None);
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        let errno = fill(kind);
        let expected = [libc::EMFILE, libc::ENOBUFS, libc::ENOMEM];
        say!("{}", if expected.contains(&errno.0) { "stopped".to_string() } else { errno.to_string() });
        let _ = file::close_range(3, u32::MAX, 0);
        let (a, b) = net::pair(kind);
        let _ = net::send(a, b"as before", 0);
        say!("{}", net::text(b, 99, 0));
    }
    0
}
