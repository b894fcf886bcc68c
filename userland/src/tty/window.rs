//! The window's size: the same on both sides; SIGWINCH to the foreground group when it changes.
use crate::out::{say, show};
use crate::sys::{Plain, child, file, process, signal, time, tty};
use std::ffi::CStr;

extern "C" fn note(number: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("got {}", signal::name(number));
}

fn size(fd: i32) -> String {
    let mut size = libc::winsize::zeroed();
    let got = file::ioctl(fd, libc::TIOCGWINSZ, &raw mut size as usize);
    format!("{got:?} {} {} {} {}", size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel)
}

fn resize(fd: i32, rows: u16, columns: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 5, ws_ypixel: 6 };
    show("resize", file::ioctl(fd, libc::TIOCSWINSZ, &raw const size as usize));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    say!("{} {}", size(pair.master), size(pair.slave));
    resize(pair.master, 24, 80);
    say!("{} {}", size(pair.master), size(pair.slave));
    let name = tty::name(pair.master);
    let reader = child::start(|| {
        let _ = process::setsid();
        let fd = file::open_or_say(&name, libc::O_RDWR, 0);
        let _ = signal::handle(libc::SIGWINCH, note, 0, 0);
        show("read", file::read(fd, &mut [0; 10]));
        say!("{}", size(fd));
        resize(fd, 25, 80);
        resize(fd, 1, 2);
        0
    });
    let _ = time::sleep_ms(50);
    resize(pair.master, 24, 80);
    let _ = time::sleep_ms(50);
    let size_now = libc::winsize { ws_row: 25, ws_col: 80, ws_xpixel: 5, ws_ypixel: 6 };
    let _ = file::ioctl(pair.master, libc::TIOCSWINSZ, &raw const size_now as usize);
    say!("{}", child::end_of(reader));
    say!("{}", size(pair.master));
    show("fault", file::ioctl(pair.slave, libc::TIOCSWINSZ, 8));
    show("fault", file::ioctl(pair.slave, libc::TIOCGWINSZ, 8));
    0
}
