//! Much data both ways, with writers that wait for readers; a line that is too long.
use crate::out::say;
use crate::sys::{Errno, child, file, tty};
use std::ffi::CStr;

const LEN: usize = 300_000;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn carry(from: i32, to: i32) -> bool {
    let writer = child::start(|| {
        let _ = file::write_all(from, &pattern(LEN));
        0
    });
    let mut got = Vec::new();
    let mut buf = [0; 5000];
    while got.len() < LEN {
        match file::read(to, &mut buf) {
            Ok(len) if len > 0 => got.extend_from_slice(&buf[..len]),
            _ => break,
        }
    }
    let _ = child::wait(writer);
    got == pattern(LEN)
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    let _ = tty::change(pair.slave, tty::raw);
    let filled = |fd: i32| {
        let mut total = 0;
        loop {
            match file::write(fd, &[b'x'; 100]) {
                Ok(len) => total += len,
                Err(Errno(libc::EAGAIN)) => return total > 4000,
                Err(_) => return false,
            }
        }
    };
    say!("slave fills {} {}", filled(pair.slave), tty::state(pair.slave));
    while tty::taken(pair.master).len() > 10 {}
    say!("emptied {}", tty::events(pair.slave, libc::POLLOUT, 500));
    say!("master fills {}", filled(pair.master));
    while tty::taken(pair.slave).len() > 10 {}
    say!("emptied {}", tty::events(pair.master, libc::POLLOUT, 500));
    for fd in [pair.master, pair.slave] {
        let _ = file::fcntl(fd, libc::F_SETFL, 0);
    }
    say!("typed {}", carry(pair.master, pair.slave));
    say!("shown {}", carry(pair.slave, pair.master));
    let pair = tty::pair();
    let _ = tty::change(pair.slave, |termios| termios.c_lflag &= !libc::ECHO);
    for _ in 0..60 {
        let _ = file::write(pair.master, &[b'y'; 100]);
    }
    let _ = file::write(pair.master, b"\n");
    let _ = tty::events(pair.slave, libc::POLLIN, 500);
    let mut buf = vec![0; 10000];
    let len = file::read(pair.slave, &mut buf);
    say!("cut {len:?} {}", buf[..4100].escape_ascii().to_string().trim_start_matches('y').trim_end_matches("\\x00"));
    // What is typed waits, each key by itself, in the line and before it.
    let pair = tty::pair();
    let _ = tty::change(pair.slave, tty::raw);
    let typed = (0..8192).filter(|_| file::write(pair.master, b"z") == Ok(1)).count();
    let mut taken = 0;
    while taken < typed && tty::events(pair.slave, libc::POLLIN, 500).contains("IN") {
        taken += tty::taken(pair.slave).matches('z').count();
    }
    say!("by keys {typed} {taken}");
    0
}
