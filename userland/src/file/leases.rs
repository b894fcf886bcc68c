//! F_SETLEASE: who may have one, who is told when another opens the file, how long he waits.
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::{child, file, process, signal, time};
use std::ffi::CStr;

const F_SETSIG: i32 = 10;
const RD: usize = libc::F_RDLCK as usize;
const WR: usize = libc::F_WRLCK as usize;
const UN: usize = libc::F_UNLCK as usize;

extern "C" fn note(number: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("  told by {} code {}", signal::name(number), info.si_code);
}

fn set(fd: i32, kind: usize) -> crate::sys::Res {
    file::fcntl(fd, libc::F_SETLEASE, kind)
}

fn held(label: &str, fd: i32) {
    say!("  {label}: {:?}", file::fcntl(fd, libc::F_GETLEASE, 0));
}

fn who() {
    let writer = file::open_or_say(c"file", libc::O_CREAT | libc::O_RDWR, 0o666);
    show("for reading, open for writing", set(writer, RD));
    show("for writing", set(writer, WR));
    held("write", writer);
    show("less", set(writer, RD));
    show("end", set(writer, UN));
    show("none to end", set(writer, UN));
    let reader = file::open_or_say(c"file", libc::O_RDONLY, 0);
    show("two have it open", set(writer, WR));
    show("a writer is there", set(reader, RD));
    let _ = file::close(writer);
    show("for reading", set(reader, RD));
    let other = file::open_or_say(c"file", libc::O_RDONLY, 0);
    show("another too", set(other, RD));
    show("for writing", set(other, WR));
    show("wrong", set(reader, 3));
    let _ = file::close(other);
    show("for writing", set(reader, WR));
    held("write", reader);
    let directory = file::open_or_say(c".", libc::O_RDONLY, 0);
    show("directory", set(directory, RD));
    let (rx, _) = file::pipe();
    show("pipe", set(rx, RD));
    let _ = file::close(reader);
    let _ = file::chmod(c".", 0o777);
    say!("{}", child::run(|| {
        let _ = process::setresuid(7, 7, 7);
        let fd = file::open_or_say(c"file", libc::O_RDONLY, 0);
        show("not its owner", set(fd, RD));
        0
    }));
}

/// The holder gives way after a while.
fn broken(name: &str, flags: i32, kind: usize, then: usize, opening: i32) {
    say!("{name}:");
    let fd = file::open_or_say(c"file", flags, 0);
    show("  lease", set(fd, kind));
    let _ = file::fcntl(fd, F_SETSIG, libc::SIGUSR1 as usize);
    let other = child::start(|| {
        let _ = file::close(fd);
        let at_once = file::open(c"file", opening | libc::O_NONBLOCK, 0);
        let _ = time::sleep_ms(20);
        show_ok("  at once", at_once);
        let _ = time::sleep_ms(60);
        let opened = file::open(c"file", opening, 0);
        let _ = time::sleep_ms(60);
        show_ok("  opened", opened);
        0
    });
    let _ = time::sleep_ms(30);
    let _ = time::sleep_ms(250);
    held("while it is broken", fd);
    show("  gives way", set(fd, then));
    held("then", fd);
    say!("  {}", child::end_of(other));
    let _ = file::close(fd);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = signal::handle(libc::SIGIO, note, 0, 0);
    let _ = signal::handle(libc::SIGUSR1, note, 0, 0);
    who();
    broken("writing against a read lease", libc::O_RDONLY, RD, UN, libc::O_WRONLY);
    broken("reading against a read lease", libc::O_RDONLY, RD, UN, libc::O_RDONLY);
    broken("reading against a write lease", libc::O_RDONLY, WR, RD, libc::O_RDONLY);
    broken("writing against a write lease", libc::O_RDWR, WR, UN, libc::O_RDWR);
    say!("cut:");
    let fd = file::open_or_say(c"file", libc::O_RDONLY, 0);
    show("  lease", set(fd, RD));
    let other = child::start(|| {
        let _ = file::close(fd);
        let cut = file::truncate(c"file", 3);
        let _ = time::sleep_ms(60);
        show("  cut", cut);
        0
    });
    let _ = time::sleep_ms(60);
    let _ = time::sleep_ms(60);
    show("  closes", file::close(fd));
    say!("  {}", child::end_of(other));
    0
}
