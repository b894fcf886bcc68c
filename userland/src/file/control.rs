//! fcntl(2)'s rarer commands, and the requests of ioctl(2) that every file understands, on files of several kinds.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file::{self, fcntl, ioctl};
use std::ffi::CStr;

/// fcntl.h and linux/fs.h.
const F_GET_RW_HINT: i32 = 1035;
const F_SET_RW_HINT: i32 = 1036;
const FIGETBSZ: u64 = 2;
const FIOQSIZE: u64 = 0x5460;
const FIFREEZE: u64 = 0xC004_5877;
const FITHAW: u64 = 0xC004_5878;
const FICLONE: u64 = 0x4004_9409;
const FICLONERANGE: u64 = 0x4020_940D;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", &[7; 5000], 0o600);
    let (rx, tx) = file::pipe();
    for (name, fd) in [
        ("file", file::open_or_say(c"f", libc::O_RDWR, 0)),
        ("directory", file::open_or_say(c".", libc::O_RDONLY, 0)),
        ("pipe", tx),
        ("null", file::open_or_say(c"/dev/null", libc::O_RDWR, 0)),
    ] {
        say!("{name}");
        flags(fd);
        hints(fd);
        requests(fd);
    }
    show("lock to read what can't be read", locks(tx, libc::F_RDLCK));
    show("lock to write what can't be written", locks(rx, libc::F_WRLCK));
    show("seals of what has none", fcntl(rx, libc::F_ADD_SEALS, 0));
    0
}

/// `F_SETFL` takes what it can change; only what signals can be asked to.
fn flags(fd: i32) {
    let shown = |label: &str| show(label, fcntl(fd, libc::F_GETFL, 0).map(|flags| flags & !0o100_000));
    show("append", fcntl(fd, libc::F_SETFL, libc::O_APPEND as usize));
    shown("told");
    show("async", fcntl(fd, libc::F_SETFL, libc::O_ASYNC as usize));
    shown("told");
    show("none", fcntl(fd, libc::F_SETFL, 0));
}

fn hints(fd: i32) {
    let mut hint = 77u64;
    let mut at = || std::ptr::from_mut(&mut hint) as usize;
    show("hint", fcntl(fd, F_GET_RW_HINT, at()));
    show("hint nowhere", fcntl(fd, F_GET_RW_HINT, 8));
    say!("{hint}");
    hint = 99;
    show("no such hint", fcntl(fd, F_SET_RW_HINT, std::ptr::from_mut(&mut hint) as usize));
}

fn requests(fd: i32) {
    let mut on = 1i32;
    show("async", ioctl(fd, libc::FIOASYNC, std::ptr::from_mut(&mut on) as usize));
    let mut told = 0i64;
    let mut at = || std::ptr::from_mut(&mut told) as usize;
    show("block size", ioctl(fd, FIGETBSZ, at()));
    show("block size nowhere", ioctl(fd, FIGETBSZ, 8));
    show("size", ioctl(fd, FIOQSIZE, at()));
    if crate::sys::process::geteuid() != Ok(0) {
        show("freeze", ioctl(fd, FIFREEZE, 0));
        show("thaw", ioctl(fd, FITHAW, 0));
    }
    show("clone of nothing", ioctl(fd, FICLONE, usize::MAX));
    show("clone of a range nowhere", ioctl(fd, FICLONERANGE, 8));
    show("no such request", ioctl(fd, 0x1234_5678, 0));
}

fn locks(fd: i32, kind: i32) -> crate::sys::Res {
    // A lock of the open file has no process, which is said after that it can't be had.
    let mut lock = libc::flock { l_type: kind as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 1 };
    fcntl(fd, libc::F_OFD_SETLK, std::ptr::from_mut(&mut lock) as usize)
}
