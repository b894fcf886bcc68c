//! seccomp(2): strict mode and filters, what each answer does, and who inherits them.
use crate::out::{say, show};
use crate::sys::{self, Arg, Res, child, file, process, signal};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const ALLOW: u32 = 0x7fff_0000;
const TRACE: u32 = 0x7ff0_0000;
const ERRNO: u32 = 0x5_0000;
const GETPPID: i64 = libc::SYS_getppid;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    tell_status();
    errors();
    for part in [answers, kills, raced, arguments, chains, traps, traced, threads] {
        say!("{}", child::run(|| {
            part();
            0
        }));
    }
    strict();
    unprivileged();
    tell_status();
    0
}

fn seccomp(operation: u32, flags: u32, args: usize) -> Res {
    // SAFETY: the arguments outlive the call.
    unsafe { sys::call(libc::SYS_seccomp, [operation.arg(), flags.arg(), args, 0, 0, 0]) }
}

/// A call without arguments, past the C library.
fn call(number: i64) -> Res {
    // SAFETY: those that are asked for here touch no memory.
    unsafe { sys::call(number, [0; 6]) }
}

/// `struct sock_filter`.
fn op(code: u64, yes: u64, no: u64, value: u32) -> u64 {
    code | yes << 16 | no << 24 | u64::from(value) << 32
}

/// Answers `verdict` for one call and lets the others through.
fn only(number: i64, verdict: u32) -> [u64; 4] {
    [op(0x20, 0, 0, 0), op(0x15, 0, 1, number as u32), op(6, 0, 0, verdict), op(6, 0, 0, ALLOW)]
}

fn add(flags: u32, list: &[u64]) -> Res {
    let program = [list.len() as u64, list.as_ptr() as u64];
    seccomp(1, flags, program.as_ptr() as usize)
}

fn tell_status() {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in text.lines().filter(|line| line.starts_with("Seccomp") || line.starts_with("NoNewPrivs")) {
        say!("{line}");
    }
    show("mode", process::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0));
}

fn errors() {
    show("no such operation", seccomp(99, 0, 0));
    show("strict with flags", seccomp(0, 1, 0));
    show("strict with arguments", seccomp(0, 0, 1));
    show("no such flag", seccomp(1, 1 << 20, 0));
    show("nowhere", seccomp(1, 0, 8));
    show("empty", add(0, &[]));
    show("too long", add(0, &[op(6, 0, 0, ALLOW); 4097]));
    show("no end", add(0, &[op(0x20, 0, 0, 0)]));
    show("outside the data", add(0, &[op(0x20, 0, 0, 64), op(6, 0, 0, ALLOW)]));
    show("jump to nowhere", add(0, &[op(5, 0, 0, 9), op(6, 0, 0, ALLOW)]));
    show("unwritten cell", add(0, &[op(0x60, 0, 0, 0), op(6, 0, 0, ALLOW)]));
    let nowhere = [3u64, 8];
    show("instructions nowhere", seccomp(1, 0, nowhere.as_ptr() as usize));
    for action in [0x8000_0000, 0, 0x3_0000, ERRNO, TRACE, 0x7ffc_0000, ALLOW, 0x1234_0000u32] {
        show("action", seccomp(2, 0, std::ptr::from_ref(&action) as usize));
    }
    show("action with flags", seccomp(2, 1, 0));
    show("action nowhere", seccomp(2, 0, 8));
    show("prctl mode 3", process::prctl(libc::PR_SET_SECCOMP, 3, 0, 0, 0));
    show("prctl nowhere", process::prctl(libc::PR_SET_SECCOMP, 2, 8, 0, 0));
}

fn answers() {
    show("an error", add(0, &only(GETPPID, ERRNO | 13)));
    show("parent", call(GETPPID));
    show("group", call(libc::SYS_getpgrp).map(|_| 0));
    show("none", add(0, &only(libc::SYS_getuid, ERRNO)));
    show("user", call(libc::SYS_getuid));
    show("too large", add(0, &only(libc::SYS_getgid, ERRNO | 0xffff)));
    show("group", call(libc::SYS_getgid));
    show("logged", add(0, &only(libc::SYS_sched_yield, 0x7ffc_0000)));
    show("yield", call(libc::SYS_sched_yield));
    show("nobody listens", add(0, &only(libc::SYS_sync, 0x7fc0_0000)));
    show("sync", call(libc::SYS_sync));
    show("nobody traces", add(0, &only(libc::SYS_pause, TRACE)));
    show("pause", call(libc::SYS_pause));
    show("strict now", seccomp(0, 0, 0));
    tell_status();
    say!("{}", child::run(|| {
        show("the child's parent", call(GETPPID));
        0
    }));
    let args = [c"b", c"--helper", c"ids"];
    let pid = child::start(|| {
        let _ = process::execve(crate::exec::SELF, &args, &[]);
        1
    });
    say!("{}", child::end_of(pid));
}

fn kills() {
    for action in [0u32, 0x8000_0000, 0x1234_0000] {
        say!("{action:#x}: {}", child::run(|| {
            // Neither handlers nor masks help.
            let _ = signal::set(libc::SIGSYS, signal::SIG_IGN);
            let _ = signal::block(signal::bit(libc::SIGSYS));
            let _ = add(0, &only(GETPPID, action));
            let _ = call(GETPPID);
            say!("goes on");
            0
        }));
    }
}

/// Nor does it help that another thread makes something of the signal meanwhile.
fn raced() {
    let one = || {
        std::thread::spawn(|| {
            loop {
                let _ = signal::set(libc::SIGSYS, signal::SIG_IGN);
            }
        });
        let _ = crate::sys::time::sleep_ms(1);
        let _ = add(0, &only(GETPPID, 0x8000_0000));
        let _ = call(GETPPID);
        0
    };
    let ends: std::collections::BTreeSet<_> = (0..50).map(|_| child::run(one).to_string()).collect();
    say!("raced: {ends:?}");
}

fn arguments() {
    // close(2) of one descriptor only, by the first argument's low half; its high half is the next word.
    let list = [
        op(0x20, 0, 0, 0),
        op(0x15, 0, 4, libc::SYS_close as u32),
        op(0x20, 0, 0, 16),
        op(0x15, 0, 2, 777),
        op(0x20, 0, 0, 20),
        op(6, 0, 0, ERRNO | 5),
        op(6, 0, 0, ALLOW),
    ];
    show("arguments", add(0, &list));
    show("close 777", file::close(777));
    show("close 778", file::close(778));
    // The architecture, and arithmetic on it.
    let list = [
        op(0x20, 0, 0, 4),
        op(0x54, 0, 0, 0xffff),
        op(0x02, 0, 0, 3),
        op(0x20, 0, 0, 0),
        op(0x61, 0, 0, 3),
        op(0x1d, 0, 1, 0),
        op(6, 0, 0, ERRNO | 7),
        op(6, 0, 0, ALLOW),
    ];
    show("architecture", add(0, &list));
    show("a call of the same number", call(62).map(|_| 0));
}

fn chains() {
    show("first", add(0, &only(GETPPID, ERRNO | 1)));
    show("second", add(0, &only(GETPPID, ERRNO | 2)));
    show("the last of equals", call(GETPPID));
    show("milder", add(0, &only(GETPPID, ALLOW)));
    show("the strictest", call(GETPPID));
    let long = [op(6, 0, 0, ALLOW); 4096];
    let added = (0..20).take_while(|_| add(0, &long).is_ok()).count();
    // Linux counts the instructions of its own language, so fewer are too many.
    say!("some long ones: {}", (2..9).contains(&added));
    show("one too many", add(0, &long));
}

static mut STORY: [u64; 6] = [0; 6];

extern "C" fn on_sys(signal: i32, info: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    let words = std::ptr::from_mut(info).cast::<u64>();
    let registers = &mut context.uc_mcontext.gregs;
    // SAFETY: siginfo is 128 bytes; nobody else looks at the story meanwhile.
    unsafe {
        let same = *words.add(2) == registers[libc::REG_RIP as usize] as u64;
        let (head, code) = (*words, *words.add(1) as u32);
        let parts = [signal as u64, head >> 32, code.into(), u64::from(same), *words.add(3), registers[libc::REG_RAX as usize] as u64];
        STORY = parts;
    }
    registers[libc::REG_RAX as usize] = 4711;
}

fn traps() {
    let _ = signal::handle(libc::SIGSYS, on_sys, 0, 0);
    show("trap", add(0, &only(GETPPID, 0x3_0000 | 99)));
    show("what the handler says", call(GETPPID));
    // SAFETY: the handler has run.
    say!("signal, errno, code, at the call, number and architecture, rax: {:x?}", unsafe { STORY });
    let _ = signal::block(signal::bit(libc::SIGSYS));
    say!("blocked: {}", child::run(|| call(GETPPID).is_ok().into()));
}

fn ptrace(request: i32, pid: i32, addr: usize, data: usize) -> Res {
    // SAFETY: addresses are of values that outlive the call.
    unsafe { sys::call(libc::SYS_ptrace, [request.arg(), pid.arg(), addr, data, 0, 0]) }
}

fn traced() {
    let pid = child::start(|| {
        let _ = ptrace(0, 0, 0, 0);
        let _ = signal::raise(libc::SIGSTOP);
        let _ = add(0, &only(GETPPID, TRACE | 55));
        show("as the tracer says", call(GETPPID));
        show("another call", call(GETPPID).map(|_| 0));
        0
    });
    let stopped = |label: &str| {
        let mut status = 0;
        let _ = process::wait4(pid, Some(&mut status), 0, None);
        say!("{label}: {status:#x}");
    };
    stopped("started");
    show("option", ptrace(0x4200, pid, 0, 0x80));
    let _ = ptrace(7, pid, 0, 0);
    stopped("event");
    let mut message = 0u64;
    let _ = ptrace(0x4201, pid, 0, std::ptr::from_mut(&mut message) as usize);
    let mut rax = 0u64;
    let _ = ptrace(3, pid, 10 * 8, std::ptr::from_mut(&mut rax) as usize);
    say!("message {message}, rax {}", rax as i64);
    let mut info = [0u64; 11];
    let size = ptrace(0x420e, pid, 88, info.as_mut_ptr() as usize);
    say!("size {size:?}, kind {}, number {}, data {}", info[0] as u8, info[3], info[10] as u32);
    show("left out", ptrace(6, pid, 15 * 8, usize::MAX));
    show("answer", ptrace(6, pid, 10 * 8, 1234));
    let _ = ptrace(7, pid, 0, 0);
    stopped("second event");
    show("another number", ptrace(6, pid, 15 * 8, libc::SYS_getpid as usize));
    let _ = ptrace(7, pid, 0, 0);
    stopped("end");
}

fn threads() {
    static STEP: AtomicU32 = AtomicU32::new(0);
    let until = |step| {
        while STEP.load(SeqCst) != step {
            let _ = call(libc::SYS_sched_yield);
        }
    };
    let other = std::thread::spawn(move || {
        until(1);
        let bound = call(GETPPID).map(|_| 0);
        let own = add(0, &only(libc::SYS_getuid, ERRNO | 3));
        STEP.store(2, SeqCst);
        until(3);
        (bound, own)
    });
    show("for all", add(1, &only(GETPPID, ERRNO | 9)));
    STEP.store(1, SeqCst);
    until(2);
    let odd = add(1, &only(libc::SYS_getgid, ERRNO | 4));
    say!("the other has its own: {}", odd.is_ok_and(|tid| tid > 0));
    show("not at all", add(1 | 16, &only(libc::SYS_getgid, ERRNO | 4)));
    show("nothing was added", call(libc::SYS_getgid).map(|_| 0));
    STEP.store(3, SeqCst);
    let Ok((bound, own)) = other.join() else { return };
    show("the other was bound", bound);
    show("and bound itself", own);
}

fn strict() {
    say!("{}", child::run(|| {
        show("strict", process::prctl(libc::PR_SET_SECCOMP, 1, 0, 0, 0));
        say!("writes");
        let _ = call(GETPPID);
        say!("goes on");
        0
    }));
    say!("{}", child::run(|| {
        let _ = seccomp(0, 0, 0);
        // exit(2), not exit_group(2).
        // SAFETY: ends the thread.
        let _ = unsafe { sys::call(libc::SYS_exit, [3, 0, 0, 0, 0, 0]) };
        0
    }));
}

fn unprivileged() {
    say!("{}", child::run(|| {
        show("user", process::setresuid(65534, 65534, 65534));
        show("a filter", add(0, &only(GETPPID, ERRNO | 1)));
        show("no new privileges", process::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        show("a filter", add(0, &only(GETPPID, ERRNO | 1)));
        show("parent", call(GETPPID));
        0
    }));
}
