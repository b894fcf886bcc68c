//! Poll and epoll on both sides, before, while and after the other is there.
use crate::out::say;
use crate::sys::{child, event, file, time, tty};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let master = tty::master();
    say!("alone {}", tty::state(master));
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK;
    let slave = file::open_or_say(&tty::name(master), flags, 0);
    say!("both {} {}", tty::state(master), tty::state(slave));
    let _ = file::write(master, b"no line");
    let _ = time::sleep_ms(20);
    say!("half a line {} {}", tty::state(master), tty::state(slave));
    let _ = file::write(master, b"\n");
    let _ = tty::events(slave, libc::POLLIN, 500);
    say!("a line {}", tty::state(slave));
    let _ = tty::change(slave, |termios| {
        tty::raw(termios);
        termios.c_cc[libc::VMIN] = 3;
    });
    let _ = (tty::taken(slave), tty::taken(master));
    let _ = file::write(master, b"ab");
    let _ = time::sleep_ms(20);
    say!("two of three {}", tty::state(slave));
    let _ = file::write(master, b"c");
    say!("three {}", tty::events(slave, libc::POLLIN, 500));
    say!("{}", tty::taken(slave));

    let epoll = event::epoll_create1(0).unwrap_or(0) as i32;
    let mut wanted = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 7 };
    let _ = event::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, slave, Some(&mut wanted));
    let mut got = libc::epoll_event { events: 0, u64: 0 };
    say!("idle {:?}", event::epoll_wait(epoll, &mut got, 1, 0));
    let writer = child::start(|| {
        let _ = time::sleep_ms(20);
        let _ = file::write(master, b"xyz");
        0
    });
    let count = event::epoll_wait(epoll, &mut got, 1, 2000);
    say!("woken {count:?} {:#x}", { got.events });
    let _ = child::wait(writer);
    say!("{}", tty::awaited(slave));

    let _ = file::close(epoll);
    let _ = file::close(slave);
    let _ = time::sleep_ms(20);
    say!("slave gone {} {}", tty::state(master), tty::taken(master));
    let write = file::write(master, b"kept");
    let slave = file::open_or_say(&tty::name(master), flags, 0);
    say!("again {write:?} {} {}", tty::state(master), tty::awaited(slave));
    let _ = file::close(master);
    let _ = time::sleep_ms(20);
    say!("master gone {} {}", tty::state(slave), tty::taken(slave));
    say!("write {:?}", file::write(slave, b"x"));
    say!("settings {:?}", tty::get(slave, libc::FIONREAD));
    say!("group {:?}", tty::set(slave, libc::TIOCSPGRP, 1));
    0
}
