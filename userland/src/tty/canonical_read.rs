//! Reads that wait: for a line, for VMIN bytes, for VTIME; with signals and small buffers.
use crate::out::{say, show};
use crate::sys::{child, file, signal, time, tty};
use std::ffi::CStr;

extern "C" fn nothing(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    let _ = file::fcntl(pair.slave, libc::F_SETFL, 0);
    let _ = tty::change(pair.slave, |termios| termios.c_lflag &= !libc::ECHO);
    let reader = child::start(|| {
        let _ = signal::handle(libc::SIGUSR1, nothing, 0, 0);
        let mut buf = [0; 4];
        show("interrupted", file::read(pair.slave, &mut buf));
        let len = file::read(pair.slave, &mut buf);
        say!("{len:?} {}", buf.escape_ascii());
        let len = file::read(pair.slave, &mut buf);
        say!("{len:?} {}", buf.escape_ascii());
        show("end", file::read(pair.slave, &mut buf));
        0
    });
    let _ = time::sleep_ms(50);
    let _ = signal::kill(reader, libc::SIGUSR1);
    let _ = time::sleep_ms(50);
    for piece in [&b"long"[..], b"er\n", b"\x04"] {
        let _ = file::write(pair.master, piece);
        let _ = time::sleep_ms(10);
    }
    say!("{}", child::end_of(reader));
    let setting = |least, tenths| {
        let _ = tty::change(pair.slave, |termios| {
            tty::raw(termios);
            termios.c_cc[libc::VMIN] = least;
            termios.c_cc[libc::VTIME] = tenths;
        });
    };
    setting(0, 0);
    say!("no wait {}", tty::taken(pair.slave));
    setting(0, 1);
    say!("for a while {}", tty::taken(pair.slave));
    setting(5, 1);
    let reader = child::start(|| {
        say!("until a pause {}", tty::taken(pair.slave));
        0
    });
    let _ = file::write(pair.master, b"abc");
    say!("{}", child::end_of(reader));
    setting(5, 0);
    let reader = child::start(|| {
        say!("five {}", tty::taken(pair.slave));
        0
    });
    for _ in 0..5 {
        let _ = time::sleep_ms(5);
        let _ = file::write(pair.master, b"x");
    }
    say!("{}", child::end_of(reader));
    0
}
