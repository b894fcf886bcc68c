//! O_ASYNC of terminals: without an owner named, the foreground group of the terminal is told.
use crate::out::{say, show};
use crate::sys::{child, file, process, signal, time, tty};
use std::ffi::CStr;

extern "C" fn note(number: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("got {}", signal::name(number));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGIO, note, 0, 0);
    let pair = tty::pair();
    let flags = (libc::O_NONBLOCK | libc::O_ASYNC) as usize;
    show("slave", file::fcntl(pair.slave, libc::F_SETFL, flags));
    let owner = file::fcntl(pair.slave, libc::F_GETOWN, 0);
    say!("owner {}", owner == process::getpid());
    let _ = file::write(pair.master, b"a line\n");
    let _ = time::sleep_ms(50);
    say!("{}", tty::taken(pair.slave));
    let _ = file::fcntl(pair.slave, libc::F_SETFL, libc::O_NONBLOCK as usize);
    let _ = tty::taken(pair.master);
    show("master", file::fcntl(pair.master, libc::F_SETFL, flags));
    let _ = file::write(pair.slave, b"shown\n");
    let _ = time::sleep_ms(50);
    say!("{}", tty::taken(pair.master));
    let name = tty::name(pair.master);
    let _ = file::fcntl(pair.master, libc::F_SETFL, libc::O_NONBLOCK as usize);
    let leader = child::start(|| {
        let _ = process::setsid();
        let fd = file::open_or_say(&name, libc::O_RDWR | libc::O_NONBLOCK, 0);
        show("slave", file::fcntl(fd, libc::F_SETFL, flags));
        let group = file::fcntl(fd, 16, [0u32; 2].as_mut_ptr() as usize);
        show("kind", group);
        let _ = time::sleep_ms(100);
        let _ = time::sleep_ms(100);
        0
    });
    let _ = time::sleep_ms(60);
    let _ = file::write(pair.master, b"for it\n");
    say!("{}", child::end_of(leader));
    0
}
