//! I/O ports (`ioperm`, `iopl`): who may use which, and that nothing is reached through them.
//!
//! Many machines' Linux is built without them, so this says itself what is right.
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

/// Where writing would end the machine, and where nothing is.
const EXIT: u16 = 0x501;
const NOTHING: u16 = 0x80;

fn call(number: libc::c_long, args: [u64; 3]) -> i64 {
    // SAFETY: numbers only.
    match unsafe { libc::syscall(number, args[0], args[1], args[2]) } {
        // SAFETY: this thread's own.
        -1 => -i64::from(unsafe { *libc::__errno_location() }),
        done => done,
    }
}

fn ioperm(from: u64, count: u64, on: bool) -> i64 {
    call(libc::SYS_ioperm, [from, count, on.into()])
}

fn iopl(level: u64) -> i64 {
    call(libc::SYS_iopl, [level, 0, 0])
}

/// How a child ends that does this: 0, or the signal.
fn ends(what: impl FnOnce()) -> i32 {
    // SAFETY: the child does as it is told and exits.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        what();
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the status is this function's.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    libc::WTERMSIG(status)
}

fn out(port: u16) {
    // SAFETY: a port with nothing behind it, or a fault.
    unsafe { asm!("out dx, al", in("dx") port, in("al") 0x11_u8) };
}

fn read(port: u16) -> u64 {
    let mut rax: u64 = 0x1122_3344_5566_7700;
    // SAFETY: as for `out`.
    unsafe { asm!("in al, dx", in("dx") port, inout("rax") rax) };
    rax
}

/// A string of bytes from a port.
fn string(port: u16) -> [u8; 6] {
    let mut bytes = [0; 6];
    // SAFETY: four bytes of the six.
    unsafe { asm!("rep insb", in("dx") port, inout("rdi") bytes.as_mut_ptr() => _, inout("rcx") 4_u64 => _) };
    bytes
}

fn as_root() -> bool {
    let refused = [(65536, 1), (65535, 2), (0, 0), (u64::MAX, 1), (u64::MAX, 2)];
    ends(|| out(NOTHING)) == libc::SIGSEGV
        && refused.iter().all(|(from, count)| ioperm(*from, *count, true) == -i64::from(libc::EINVAL))
        && iopl(4) == -i64::from(libc::EINVAL)
        && ioperm(0, 65536, false) == 0
        && ioperm(NOTHING.into(), 2, true) == 0
        && ends(|| out(NOTHING)) == 0
        && read(NOTHING) == 0x1122_3344_5566_77FF
        && ends(|| out(EXIT)) == libc::SIGSEGV
        && ends(|| out(NOTHING + 2)) == libc::SIGSEGV
        && ends(|| assert_eq!(ioperm(NOTHING.into(), 1, false), 0)) == 0
        && ends(|| out(NOTHING)) == 0
        && ioperm((NOTHING + 1).into(), 1, false) == 0
        && ends(|| out(NOTHING + 1)) == libc::SIGSEGV
}

fn as_user() -> bool {
    let refused = -i64::from(libc::EPERM);
    ioperm(0x90, 1, true) == refused
        && iopl(3) == 0
        && ioperm(NOTHING.into(), 1, false) == 0
        && ends(|| out(EXIT)) == 0
        && string(NOTHING) == [0xFF, 0xFF, 0xFF, 0xFF, 0, 0]
        && iopl(0) == 0
        && iopl(1) == refused
        && ends(|| out(EXIT)) == libc::SIGSEGV
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let root = as_root();
    let all = iopl(3);
    out(EXIT);
    // SAFETY: numbers only.
    unsafe { libc::setresuid(65534, 65534, 65534) };
    let user = as_user();
    say!("as root {root}, all {all}, as a user {user}");
    if root && all == 0 && user {
        say!("still here");
    }
    0
}
