//! The master goes: the session's leader, and it alone, gets SIGHUP and SIGCONT; readers get the
//! end, blocked ones too; writers EIO. vhangup does the same to the slave alone.
use crate::out::{say, show};
use crate::sys::{child, file, process, signal, time, tty};
use std::ffi::CStr;

extern "C" fn note(number: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("leader got {}", signal::name(number));
}

extern "C" fn other(number: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("member got {}", signal::name(number));
}

fn session(name: &CStr, ready: i32, by_call: bool) -> i32 {
    let _ = process::setsid();
    let fd = file::open_or_say(name, libc::O_RDWR, 0);
    for number in [libc::SIGHUP, libc::SIGCONT] {
        let _ = signal::handle(number, note, 0, 0);
    }
    let reader = child::start(|| {
        let _ = file::close(ready);
        for number in [libc::SIGHUP, libc::SIGCONT] {
            let _ = signal::handle(number, other, 0, 0);
        }
        let read = file::read(fd, &mut [0; 10]);
        let _ = time::sleep_ms(60);
        show("blocked read", read);
        show("next read", file::read(fd, &mut [0; 10]));
        show("write", file::write(fd, b"x"));
        0
    });
    let _ = time::sleep_ms(50);
    let _ = file::close(ready);
    if by_call {
        show("vhangup", file::vhangup());
    }
    let _ = time::sleep_ms(100);
    say!("reader {}", child::end_of(reader));
    say!("poll {}", tty::state(fd));
    show("write", file::write(fd, b"x"));
    show("settings", tty::change(fd, |_| ()));
    show("group", tty::set(fd, libc::TIOCSPGRP, 1));
    show("/dev/tty", file::open(c"/dev/tty", libc::O_RDWR, 0));
    if by_call {
        let again = file::open_or_say(name, libc::O_RDWR, 0);
        say!("opened again {}", again >= 0);
        say!("old one still {:?}", file::write(fd, b"x"));
        show("new one", file::write(again, b"new"));
        let _ = time::sleep_ms(100);
    }
    0
}

fn once(by_call: bool) {
    let master = tty::master();
    let name = tty::name(master);
    let (rx, tx) = file::pipe();
    let leader = child::start(|| {
        let _ = file::close(master);
        session(&name, tx, by_call)
    });
    let _ = file::close(tx);
    let _ = file::read_all(rx);
    if by_call {
        let _ = time::sleep_ms(150);
        say!("master {}", tty::awaited(master));
        say!("{}", child::end_of(leader));
        let _ = time::sleep_ms(20);
        say!("master {} {}", tty::state(master), tty::taken(master));
    }
    let _ = file::close(master);
    if !by_call {
        say!("{}", child::end_of(leader));
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    once(false);
    once(true);
    0
}
