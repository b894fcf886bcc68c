//! ptrace(2): stops at signals, system calls, steps and events; registers, memory, errors.
use crate::out::{say, show};
use crate::sys::memory::{Map, PAGE};
use crate::sys::{self, Arg, Res, child, file, process, signal};
use std::ffi::CStr;

const SETOPTIONS: i32 = 0x4200;
const GETEVENTMSG: i32 = 0x4201;
const GETSIGINFO: i32 = 0x4202;
const GETREGSET: i32 = 0x4204;
const SEIZE: i32 = 0x4206;
const INTERRUPT: i32 = 0x4207;
const LISTEN: i32 = 0x4208;
const PEEKSIGINFO: i32 = 0x4209;
const GETSIGMASK: i32 = 0x420a;
const SYSCALL_INFO: i32 = 0x420e;

static mut WORD: u64 = 0x1122_3344_5566_7788;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    errors();
    signals();
    memory();
    calls();
    steps();
    forks();
    execs();
    seized();
    attached();
    group_stop();
    0
}

fn ptrace(request: i32, pid: i32, addr: usize, data: usize) -> Res {
    // SAFETY: addresses are of values that outlive the call, or of the other process.
    unsafe { sys::call(libc::SYS_ptrace, [request.arg(), pid.arg(), addr, data, 0, 0]) }
}

/// Waits for any child and tells the whole status.
fn stopped(label: &str, pid: i32) -> i32 {
    let mut status = 0;
    let result = process::wait4(pid, Some(&mut status), libc::__WALL, None);
    say!("{label}: {status:#x}{}", if result.is_ok() { "" } else { " failed" });
    status
}

/// A child that asks to be traced, stops, and runs the rest.
fn traced(body: impl FnOnce() -> i32) -> i32 {
    let pid = child::start(|| {
        let _ = ptrace(0, 0, 0, 0);
        let _ = signal::raise(libc::SIGSTOP);
        body()
    });
    stopped("started", pid);
    pid
}

fn go(request: i32, pid: i32, signal: i32) {
    if let Err(errno) = ptrace(request, pid, 0, signal.arg()) {
        say!("goes on: {errno}");
    }
}

fn errors() {
    show("trace nobody", ptrace(16, 1 << 21, 0, 0));
    let own = process::getpid().unwrap_or(0) as i32;
    show("trace oneself", ptrace(16, own, 0, 0));
    show("continue a stranger", ptrace(7, own, 0, 0));
    let pid = child::start(|| {
        let _ = signal::pause();
        0
    });
    show("continue the untraced", ptrace(7, pid, 0, 0));
    show("seize with an address", ptrace(SEIZE, pid, 1, 0));
    show("seize with unknown options", ptrace(SEIZE, pid, 0, 1 << 30));
    show("seize", ptrace(SEIZE, pid, 0, 0));
    show("seize again", ptrace(SEIZE, pid, 0, 0));
    show("continue the running", ptrace(7, pid, 0, 0));
    show("listen to the running", ptrace(LISTEN, pid, 0, 0));
    let _ = signal::kill(pid, libc::SIGKILL);
    stopped("killed", pid);
    show("the dead", ptrace(7, pid, 0, 0));
}

fn signals() {
    let pid = traced(|| {
        let _ = signal::raise(libc::SIGUSR1);
        let _ = signal::raise(libc::SIGUSR1);
        let _ = signal::raise(libc::SIGCHLD);
        9
    });
    go(7, pid, 0);
    stopped("first", pid);
    let mut info = signal::info();
    show("siginfo", ptrace(GETSIGINFO, pid, 0, std::ptr::from_mut(&mut info) as usize));
    say!("signo {} code {}", info.si_signo, info.si_code);
    let mut mask = 1u64;
    show("mask", ptrace(GETSIGMASK, pid, 8, std::ptr::from_mut(&mut mask) as usize));
    show("mask of another size", ptrace(GETSIGMASK, pid, 4, 0));
    show("bad signal", ptrace(7, pid, 0, 99));
    show("unknown request", ptrace(0x7777, pid, 0, 0));
    show("unknown options", ptrace(SETOPTIONS, pid, 0, 1 << 30));
    go(7, pid, 0);
    stopped("second", pid);
    go(7, pid, 0);
    stopped("ignored too", pid);
    go(7, pid, libc::SIGTERM);
    stopped("another instead", pid);
}

fn memory() {
    let at = &raw const WORD as usize;
    let text = memory as *const () as usize;
    // SAFETY: only this thread writes it.
    let pid = traced(move || i32::from(unsafe { std::ptr::read_volatile(at as *const u64) } == 5));
    let mut word = 0u64;
    let to = std::ptr::from_mut(&mut word) as usize;
    show("peek", ptrace(2, pid, at, to));
    say!("word {word:#x}");
    show("poke", ptrace(5, pid, at, 5));
    show("peek nothing", ptrace(2, pid, 8, to));
    show("poke nothing", ptrace(5, pid, 8, 0));
    show("peek text", ptrace(1, pid, text, to));
    let before = word;
    show("poke text", ptrace(4, pid, text, 0x9090_9090_9090_9090));
    let _ = ptrace(1, pid, text, to);
    say!("text changed: {}", word == 0x9090_9090_9090_9090 && before != word);
    // SAFETY: the function's own code.
    let own = unsafe { std::ptr::read_volatile(text as *const u64) };
    say!("ours unchanged: {}", own == before);
    show("peek user", ptrace(3, pid, 17 * 8, to));
    say!("cs {word:#x}");
    show("peek user unaligned", ptrace(3, pid, 3, to));
    show("peek user beyond", ptrace(3, pid, 928, to));
    show("bad code segment", ptrace(6, pid, 17 * 8, 0));
    show("bad base", ptrace(6, pid, 21 * 8, 1 << 63));
    let mut registers = [0u64; 27];
    let mut vector = [registers.as_mut_ptr() as usize, 27 * 8 + 80];
    show("register set", ptrace(GETREGSET, pid, 1, vector.as_mut_ptr() as usize));
    say!("{} bytes, orig_rax {}", vector[1], registers[15]);
    show("no such set", ptrace(GETREGSET, pid, 77, vector.as_mut_ptr() as usize));
    let mut floats = [0u8; 512];
    show("fpu", ptrace(14, pid, 0, floats.as_mut_ptr() as usize));
    say!("control word {:#x}", u16::from_le_bytes([floats[0], floats[1]]));
    show("set fpu", ptrace(15, pid, 0, floats.as_ptr() as usize));
    show("set registers", ptrace(13, pid, 0, registers.as_ptr() as usize));
    go(7, pid, 0);
    stopped("memory", pid);
}

fn calls() {
    let pid = traced(|| {
        let _ = process::getppid();
        let _ = file::close(999);
        let _ = process::getpgrp();
        4
    });
    show("options", ptrace(SETOPTIONS, pid, 0, 1));
    for _ in 0..9 {
        go(24, pid, 0);
        let status = stopped("call", pid);
        if !libc::WIFSTOPPED(status) {
            return;
        }
        let mut info = [0u64; 11];
        let size = ptrace(SYSCALL_INFO, pid, 88, info.as_mut_ptr() as usize);
        let kind = info[0] as u8;
        say!("  size {size:?} kind {kind} arch {:#x}", info[0] >> 32);
        if kind == 1 {
            say!("  number {} argument {}", info[3], if info[3] == 3 { info[4] } else { 0 });
        }
        if kind == 1 && info[3] == libc::SYS_getpgrp as u64 {
            show("  leave it out", ptrace(6, pid, 15 * 8, usize::MAX));
        }
        if kind == 2 {
            say!("  failed {} value {}", info[4] as u8, if info[4] as u8 == 1 { info[3] as i64 } else { 0 });
        }
    }
    go(7, pid, 0);
    stopped("calls", pid);
}

fn steps() {
    let pid = traced(|| 6);
    let mut registers = [0u64; 27];
    let at = registers.as_mut_ptr() as usize;
    for _ in 0..3 {
        go(9, pid, 0);
        stopped("step", pid);
        let _ = ptrace(12, pid, 0, at);
        say!("trap flag {}", registers[18] >> 8 & 1);
    }
    go(7, pid, 0);
    stopped("steps", pid);
}

fn forks() {
    let pid = traced(|| {
        let inner = child::start(|| 8);
        let _ = child::wait(inner);
        2
    });
    // Fork, exit and exec events.
    show("options", ptrace(SETOPTIONS, pid, 0, 2 | 0x40 | 0x10_0000));
    go(7, pid, 0);
    stopped("fork", pid);
    let mut number = 0u64;
    show("message", ptrace(GETEVENTMSG, pid, 0, std::ptr::from_mut(&mut number) as usize));
    let inner = number as i32;
    stopped("the child", inner);
    go(7, inner, 0);
    go(7, pid, 0);
    stopped("its exit", inner);
    let _ = ptrace(GETEVENTMSG, inner, 0, std::ptr::from_mut(&mut number) as usize);
    say!("with {number:#x}");
    go(7, inner, 0);
    stopped("its end", inner);
    let mut status = stopped("the parent", pid);
    while libc::WIFSTOPPED(status) {
        let event = status >> 16;
        go(7, pid, if event == 0 { libc::WSTOPSIG(status) } else { 0 });
        status = stopped("the parent", pid);
    }
}

fn execs() {
    for options in [0usize, 0x10] {
        let pid = traced(|| {
            let _ = process::execve(c"/nonexistent", &[c"x"], &[]);
            let _ = process::execve(c"/proc/self/exe", &[c"behave", c"process/exit_self"], &[]);
            1
        });
        show("options", ptrace(SETOPTIONS, pid, 0, options));
        go(7, pid, 0);
        let status = stopped("exec", pid);
        if libc::WIFSTOPPED(status) {
            let _ = signal::kill(pid, libc::SIGKILL);
            stopped("killed", pid);
        }
    }
}

fn seized() {
    let pid = child::start(|| {
        let _ = signal::pause();
        3
    });
    show("seize", ptrace(SEIZE, pid, 0, 0));
    show("interrupt", ptrace(INTERRUPT, pid, 0, 0));
    stopped("interrupted", pid);
    let mut info = signal::info();
    show("siginfo", ptrace(GETSIGINFO, pid, 0, std::ptr::from_mut(&mut info) as usize));
    say!("signo {} code {:#x}", info.si_signo, info.si_code);
    go(7, pid, 0);
    let _ = signal::kill(pid, libc::SIGSTOP);
    stopped("signal", pid);
    go(7, pid, libc::SIGSTOP);
    stopped("group stop", pid);
    show("listen", ptrace(LISTEN, pid, 0, 0));
    show("continue the listener", ptrace(7, pid, 0, 0));
    let _ = signal::kill(pid, libc::SIGCONT);
    stopped("continued", pid);
    go(7, pid, 0);
    stopped("SIGCONT", pid);
    show("detach", ptrace(17, pid, 0, 0));
    let _ = signal::kill(pid, libc::SIGKILL);
    stopped("end", pid);
}

fn attached() {
    let pid = child::start(|| {
        let _ = signal::pause();
        3
    });
    show("attach", ptrace(16, pid, 0, 0));
    stopped("attached", pid);
    show("interrupt", ptrace(INTERRUPT, pid, 0, 0));
    let _ = signal::kill(pid, libc::SIGUSR2);
    let mut info = [signal::info(), signal::info()];
    let arguments = [0u64, (4 << 32) | 1];
    let at = arguments.as_ptr() as usize;
    let queued = ptrace(PEEKSIGINFO, pid, at, info.as_mut_ptr() as usize);
    say!("queued {queued:?} signo {}", info[0].si_signo);
    let _ = signal::kill(pid, libc::SIGWINCH);
    short_of_room(pid);
    show("detach with a signal", ptrace(17, pid, 0, libc::SIGTERM.arg()));
    let status = stopped("ended", pid);
    say!("by one of the two: {}", status == libc::SIGTERM || status == libc::SIGUSR2);
}

/// Two signals wait, and there is room for one; then for none.
fn short_of_room(pid: i32) {
    let Ok(map) = Map::anon(2 * PAGE) else { return };
    let _ = map.protect(PAGE, PAGE, libc::PROT_READ);
    let arguments = [0u64, (4 << 32) | 1];
    let at = arguments.as_ptr() as usize;
    let end = map.addr + PAGE;
    let size = size_of::<libc::siginfo_t>();
    say!("room for one {:?}", ptrace(PEEKSIGINFO, pid, at, end - size));
    say!("signo {}", map.get(PAGE - size));
    say!("room for none {:?}", ptrace(PEEKSIGINFO, pid, at, end));
}

fn group_stop() {
    let pid = traced(|| {
        let _ = signal::raise(libc::SIGTSTP);
        5
    });
    go(7, pid, 0);
    stopped("SIGTSTP", pid);
    go(7, pid, libc::SIGSTOP);
    stopped("group", pid);
    let mut info = signal::info();
    show("siginfo", ptrace(GETSIGINFO, pid, 0, std::ptr::from_mut(&mut info) as usize));
    go(7, pid, 0);
    stopped("goes on", pid);
}
