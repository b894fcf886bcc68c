//! A session's leader ends: the foreground group gets SIGHUP, nobody has the terminal any more, and
//! the pair goes on.
use crate::out::{say, show};
use crate::sys::{child, file, process, signal, time, tty};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering};

static GOT: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(number: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    GOT.store(number, Ordering::Relaxed);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let master = tty::master();
    let name = tty::name(master);
    let (rx, tx) = file::pipe();
    let leader = child::start(|| {
        let _ = process::setsid();
        let fd = file::open_or_say(&name, libc::O_RDWR, 0);
        let front = child::start(|| {
            let _ = process::setpgid(0, 0);
            for number in [libc::SIGHUP, libc::SIGCONT] {
                let _ = signal::handle(number, note, 0, 0);
            }
            let _ = time::sleep_ms(60);
            let _ = time::sleep_ms(60);
            say!("foreground got {}", signal::name(GOT.load(Ordering::Relaxed)));
            show("/dev/tty", file::open(c"/dev/tty", libc::O_RDWR, 0));
            show("write", file::write(fd, b"still here\n"));
            show("group", tty::get(fd, libc::TIOCGPGRP).map(|_| 0));
            let _ = file::close(tx);
            0
        });
        let _ = process::setpgid(front, front);
        let _ = signal::set(libc::SIGTTOU, signal::SIG_IGN);
        show("foreground", tty::set(fd, libc::TIOCSPGRP, front));
        let _ = time::sleep_ms(30);
        0
    });
    say!("{}", child::end_of(leader));
    let _ = file::close(tx);
    let _ = file::read_all(rx);
    say!("{}", tty::awaited(master));
    show("session", tty::get(master, libc::TIOCGSID).map(|_| 0));
    show("group", tty::get(master, libc::TIOCGPGRP).map(|group| group as usize));
    0
}
