//! ptrace(2)'s debug registers: breakpoints on code and on data.
use crate::out::{say, show};
use crate::sys::{self, Arg, Res, child, process, signal};
use std::ffi::CStr;

/// `offsetof(struct user, u_debugreg)`.
const REGISTERS: usize = 848;
static mut WORDS: [u64; 2] = [0; 2];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let data = &raw const WORDS as usize;
    let code = target as *const () as usize;
    let pid = child::start(|| {
        let _ = ptrace(0, 0, 0, 0);
        let _ = signal::raise(libc::SIGSTOP);
        let words = &raw mut WORDS;
        // SAFETY: this process has one thread.
        unsafe {
            (*words)[1] = 1;
            std::ptr::write_volatile(&raw mut (*words)[0], 5);
            let read = std::ptr::read_volatile(&raw const (*words)[0]);
            target(read);
            target(read + 1);
            std::ptr::write_volatile(&raw mut (*words)[0], 6);
        }
        7
    });
    stopped("started", pid);
    errors(pid, data);
    show("writes", set(pid, 0, data));
    show("of eight bytes", set(pid, 7, 0x9_0001));
    tell(pid);
    go(pid, "written");
    tell(pid);
    show("accesses", set(pid, 7, 0xb_0001));
    go(pid, "read");
    tell(pid);
    show("code", set(pid, 2, code));
    show("off and on", set(pid, 7, 0x20));
    go(pid, "called");
    tell(pid);
    say!("there: {}", peek(pid, 16 * 8) == code as u64);
    go(pid, "called again");
    say!("there: {}", peek(pid, 16 * 8) == code as u64);
    show("all off", set(pid, 7, 0));
    go(pid, "end");
    0
}

#[inline(never)]
extern "C" fn target(value: u64) {
    std::hint::black_box(value);
}

fn ptrace(request: i32, pid: i32, addr: usize, data: usize) -> Res {
    // SAFETY: addresses are of values that outlive the call, or of the other process.
    unsafe { sys::call(libc::SYS_ptrace, [request.arg(), pid.arg(), addr, data, 0, 0]) }
}

fn set(pid: i32, register: usize, value: usize) -> Res {
    ptrace(6, pid, REGISTERS + register * 8, value)
}

fn peek(pid: i32, at: usize) -> u64 {
    let mut word = 0u64;
    let _ = ptrace(3, pid, at, std::ptr::from_mut(&mut word) as usize);
    word
}

/// The status register, the control register, and the signal's code.
fn tell(pid: i32) {
    let mut info = signal::info();
    let _ = ptrace(0x4202, pid, 0, std::ptr::from_mut(&mut info) as usize);
    let [status, control] = [6, 7].map(|register| peek(pid, REGISTERS + register * 8));
    say!("  status {status:#x} control {control:#x} code {}", info.si_code);
}

fn go(pid: i32, label: &str) {
    let _ = ptrace(7, pid, 0, 0);
    stopped(label, pid);
}

fn stopped(label: &str, pid: i32) {
    let mut status = 0;
    let _ = process::wait4(pid, Some(&mut status), 0, None);
    say!("{label}: {status:#x}");
}

fn errors(pid: i32, data: usize) {
    show("a register that isn't there", set(pid, 4, 1));
    show("beyond the program", set(pid, 1, usize::MAX));
    show("odd address", set(pid, 1, data + 1));
    show("of four bytes", set(pid, 7, 0xd0_0004));
    show("of one byte", set(pid, 7, 0x10_0004));
    show("ports", set(pid, 7, 0x20_0004));
    show("code of two bytes", set(pid, 7, 0x40_0004));
    show("off", set(pid, 7, 0));
    show("another number", set(pid, 1, 0));
    say!("control {:#x}, first {:#x}", peek(pid, REGISTERS + 56), peek(pid, REGISTERS));
    show("reasons", set(pid, 6, 0));
}
