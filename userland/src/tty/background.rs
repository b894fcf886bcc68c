//! A background group that reads or changes the terminal is stopped; one that ignores the signal, or
//! that nobody could continue, is refused. Keys signal the foreground group.
use crate::out::{say, show};
use crate::sys::{child, file, process, signal, time, tty};
use std::ffi::CStr;

extern "C" fn note(number: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("foreground got {}", signal::name(number));
}

/// Runs `body` in a background group and tells how often it stops, continuing it.
fn background(body: impl FnOnce() -> i32) {
    let pid = child::start(|| {
        let _ = process::setpgid(0, 0);
        body()
    });
    let _ = process::setpgid(pid, pid);
    let mut status = 0;
    let _ = process::wait4(pid, Some(&mut status), libc::WUNTRACED, None);
    say!("  {}", child::Status(status));
    if !libc::WIFSTOPPED(status) {
        return;
    }
    let _ = signal::set(libc::SIGTTOU, signal::SIG_IGN);
    let _ = tty::set(0, libc::TIOCSPGRP, pid);
    let _ = signal::kill(-pid, libc::SIGCONT);
    let _ = process::wait4(pid, Some(&mut status), libc::WUNTRACED, None);
    say!("  {}", child::Status(status));
    let _ = tty::set(0, libc::TIOCSPGRP, process::getpid().unwrap_or(0) as i32);
    let _ = signal::set(libc::SIGTTOU, signal::SIG_DFL);
}

fn session(master: i32, name: &CStr) -> i32 {
    let _ = process::setsid();
    let fd = file::open_or_say(name, libc::O_RDWR, 0);
    let _ = file::dup2(fd, 0);
    say!("read:");
    background(|| {
        let mut buf = [0; 10];
        let _ = file::fcntl(0, libc::F_SETFL, libc::O_NONBLOCK as usize);
        show("  read", file::read(0, &mut buf));
        let _ = file::fcntl(0, libc::F_SETFL, 0);
        0
    });
    say!("read, SIGTTIN ignored:");
    background(|| {
        let _ = signal::set(libc::SIGTTIN, signal::SIG_IGN);
        show("  read", file::read(0, &mut [0; 10]));
        0
    });
    say!("read, SIGTTIN blocked:");
    background(|| {
        let _ = signal::block(signal::bit(libc::SIGTTIN));
        show("  read", file::read(0, &mut [0; 10]));
        0
    });
    say!("write:");
    background(|| {
        show("  write", file::write(0, b"x"));
        0
    });
    say!("write under TOSTOP:");
    let _ = tty::change(0, |termios| termios.c_lflag |= libc::TOSTOP);
    background(|| {
        show("  write", file::write(0, b"x"));
        0
    });
    say!("the same, SIGTTOU ignored:");
    background(|| {
        let _ = signal::set(libc::SIGTTOU, signal::SIG_IGN);
        show("  write", file::write(0, b"x"));
        0
    });
    let _ = tty::change(0, |termios| termios.c_lflag &= !libc::TOSTOP);
    say!("settings:");
    background(|| {
        show("  settings", tty::change(0, |termios| termios.c_lflag &= !libc::ECHOK));
        0
    });
    say!("by the master's side, too:");
    background(|| {
        show("  settings", tty::change(master, |termios| termios.c_lflag &= !libc::ECHOK));
        0
    });
    say!("group:");
    background(|| {
        let me = process::getpid().unwrap_or(0) as i32;
        show("  group", tty::set(0, libc::TIOCSPGRP, me));
        0
    });
    say!("orphaned:");
    let middle = child::start(|| {
        let (rx, tx) = file::pipe();
        let _ = child::start(|| {
            let _ = process::setpgid(0, 0);
            let _ = file::close(tx);
            let _ = file::read_all(rx);
            let _ = time::sleep_ms(20);
            show("  read", file::read(0, &mut [0; 10]));
            show("  settings", tty::change(0, |termios| termios.c_lflag &= !libc::ECHOK));
            show("  group", tty::set(0, libc::TIOCSPGRP, 1));
            show("  write", file::write(0, b"x"));
            0
        });
        0
    });
    let _ = child::wait(middle);
    let _ = time::sleep_ms(100);
    keys(master);
    0
}

/// VINTR, VQUIT and VSUSP.
fn keys(master: i32) {
    for number in [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP] {
        let _ = signal::handle(number, note, 0, 0);
    }
    let _ = tty::taken(master);
    for key in [b"\x03", b"\x1c", b"\x1a"] {
        let _ = file::write(master, b"lost");
        let _ = time::sleep_ms(20);
        say!("  {}", tty::taken(master));
        let _ = file::write(master, key);
        let _ = time::sleep_ms(20);
        say!("  {}", tty::taken(master));
    }
    let _ = tty::change(0, |termios| termios.c_lflag |= libc::NOFLSH);
    let _ = file::write(master, b"kept\x03\n");
    let _ = time::sleep_ms(20);
    say!("  {} {}", tty::taken(master), tty::taken(0));
    for number in [libc::SIGINT, libc::SIGTERM] {
        show("  by request", file::ioctl(master, libc::TIOCSIG, number as usize));
    }
    let _ = tty::change(0, |termios| termios.c_lflag &= !libc::ISIG);
    let _ = file::write(master, b"\x03\n");
    let _ = time::sleep_ms(20);
    say!("  {} {}", tty::taken(master), tty::taken(0));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let master = tty::master();
    let name = tty::name(master);
    say!("{}", child::run(|| session(master, &name)));
    0
}
