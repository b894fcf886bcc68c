//! Getting and losing a controlling terminal: by opening, by TIOCSCTTY, by TIOCNOTTY; /dev/tty; the
//! foreground group and the session.
use crate::out::{say, show, show_ok};
use crate::sys::{child, file, process, signal, time, tty};
use std::ffi::CStr;

extern "C" fn note(number: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("got {}", signal::name(number));
}

fn own() -> String {
    match file::open(c"/dev/tty", libc::O_RDWR, 0) {
        Ok(fd) => {
            let _ = file::close(fd as i32);
            "has one".into()
        }
        Err(errno) => errno.to_string(),
    }
}

fn by_opening(name: &CStr) -> i32 {
    let _ = process::setsid();
    say!("new session: {}", own());
    let fd = file::open_or_say(name, libc::O_RDWR | libc::O_NOCTTY, 0);
    say!("O_NOCTTY: {}", own());
    let _ = file::open(name, libc::O_WRONLY, 0);
    say!("for writing alone: {}", own());
    let _ = file::open(name, libc::O_RDWR, 0);
    say!("opened: {}", own());
    let me = process::getpid().unwrap_or(0) as i32;
    say!("session {}", tty::get(fd, libc::TIOCGSID) == Ok(me));
    say!("foreground {}", tty::get(fd, libc::TIOCGPGRP) == Ok(me));
    show("a group that isn't there", tty::set(fd, libc::TIOCSPGRP, 0x3FFF_FFF0));
    show("a wrong group", tty::set(fd, libc::TIOCSPGRP, -5));
    show("another session's", tty::set(fd, libc::TIOCSPGRP, process::getppid().unwrap_or(1) as i32));
    show("own", tty::set(fd, libc::TIOCSPGRP, me));
    show("again", file::ioctl(fd, libc::TIOCSCTTY, 0));
    let through = file::open_or_say(c"/dev/tty", libc::O_RDWR, 0);
    let _ = file::write(through, b"by /dev/tty\n");
    say!("child: {}", child::run(|| {
        say!("inherited: {}", own());
        show("leaves alone", file::ioctl(fd, libc::TIOCNOTTY, 0));
        say!("left: {}", own());
        show("group", tty::get(fd, libc::TIOCGPGRP).map(|_| 0));
        show("again", file::ioctl(fd, libc::TIOCNOTTY, 0));
        show("takes", file::ioctl(fd, libc::TIOCSCTTY, 0));
        0
    }));
    say!("still: {}", own());
    for number in [libc::SIGHUP, libc::SIGCONT] {
        let _ = signal::handle(number, note, 0, 0);
    }
    show("leaves", file::ioctl(fd, libc::TIOCNOTTY, 0));
    say!("left: {}", own());
    say!("child: {}", child::run(|| {
        show("not leading", file::ioctl(fd, libc::TIOCSCTTY, 0));
        0
    }));
    show("takes", file::ioctl(fd, libc::TIOCSCTTY, 0));
    say!("took: {}", own());
    0
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let master = tty::master();
    let name = tty::name(master);
    show("nobody's", tty::get(master, libc::TIOCGSID).map(|_| 0));
    show("nobody's", tty::get(master, libc::TIOCGPGRP).map(|group| group as usize));
    let (rx, tx) = file::pipe();
    let session = child::start(|| {
        let code = by_opening(&name);
        let _ = file::close(tx);
        let _ = time::sleep_ms(300);
        code
    });
    let _ = file::close(tx);
    let _ = file::read_all(rx);
    say!("by the master {}", tty::get(master, libc::TIOCGSID) == Ok(session));
    say!("by the master {}", tty::get(master, libc::TIOCGPGRP) == Ok(session));
    // Another session's leader can take it with privilege only, and by saying so.
    say!("thief: {}", child::run(|| {
        let _ = process::setsid();
        let fd = file::open_or_say(&name, libc::O_RDWR | libc::O_NOCTTY, 0);
        show("asks", file::ioctl(fd, libc::TIOCSCTTY, 0));
        say!("steals {}", file::ioctl(fd, libc::TIOCSCTTY, 1).is_ok());
        0
    }));
    say!("{}", child::end_of(session));
    show_ok("read", file::read(master, &mut [0; 100]));
    0
}
