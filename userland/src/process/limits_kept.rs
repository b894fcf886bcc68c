//! Limits that are kept (setrlimit(2)): of processor time and real time, inherited ones too, of data by mprotect(2), and
//! of queued signals and timers; and whom their signals and a broken pipe's come from.
use crate::out::{say, show};
use crate::sys::memory::Map;
use crate::sys::{self, Arg, child, file, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("processor time: {}", child::run(|| {
        set(libc::RLIMIT_CPU, 1, 5);
        say!("{}", child::run(spin));
        0
    }));
    say!("told twice: {}", child::run(|| {
        set(libc::RLIMIT_CPU, 1, 2);
        let _ = signal::set(libc::SIGXCPU, signal::SIG_IGN);
        spin()
    }));
    say!("real time: {}", child::run(|| {
        set(libc::RLIMIT_RTTIME, 200_000, 600_000);
        show("SCHED_FIFO", urgent());
        let _ = signal::set(libc::SIGXCPU, signal::SIG_IGN);
        spin()
    }));
    say!("real time, first signal: {}", child::run(|| {
        set(libc::RLIMIT_RTTIME, 200_000, u64::MAX);
        show("SCHED_FIFO", urgent());
        spin()
    }));
    say!("data: {}", child::run(|| {
        set(libc::RLIMIT_DATA, 16 << 20, 16 << 20);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let Ok(map) = Map::new(32 << 20, libc::PROT_READ, flags, -1, 0) else { return 1 };
        show("too much", map.protect(0, 32 << 20, libc::PROT_READ | libc::PROT_WRITE));
        show("some", map.protect(0, 8 << 20, libc::PROT_READ | libc::PROT_WRITE));
        0
    }));
    say!("signals: {}", child::run(queued));
    say!("senders: {}", child::run(senders));
    0
}

fn spin() -> i32 {
    loop {
        std::hint::spin_loop();
    }
}

fn set(resource: u32, soft: u64, hard: u64) {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    show("limit", process::setrlimit(resource, &limit));
}

fn urgent() -> sys::Res {
    let priority = 10i32;
    // SAFETY: `struct sched_param` is one number.
    unsafe { sys::call(libc::SYS_sched_setscheduler, [0, libc::SCHED_FIFO as usize, &raw const priority as usize, 0, 0, 0]) }
}

/// Four places for signals, which the process's queues and its timers share.
fn queued() -> i32 {
    set(libc::RLIMIT_SIGPENDING, 4, 4);
    // Nobody else is this user.
    let _ = process::setresuid(31_799, 31_799, 31_799);
    let mut before = 0;
    let _ = signal::rt_sigprocmask(libc::SIG_BLOCK, Some(&u64::MAX), Some(&mut before), signal::SET);
    let own = process::getpid().unwrap_or(0) as i32;
    let mut info = signal::info();
    info.si_code = libc::SI_QUEUE;
    for _ in 0..3 {
        show("queue", signal::rt_sigqueueinfo(own, 40, &info));
    }
    show("timer", timer());
    show("queue", signal::rt_sigqueueinfo(own, 40, &info));
    show("timer", timer());
    show("to the thread", signal::tgkill(own, own, 41));
    show("kill", signal::kill(own, 42));
    show("standard", signal::kill(own, libc::SIGUSR1));
    0
}

fn timer() -> sys::Res {
    let mut id = 0i32;
    let args = [libc::CLOCK_MONOTONIC.arg(), 0, &raw mut id as usize, 0, 0, 0];
    // SAFETY: a place for the number; no event means the default.
    unsafe { sys::call(libc::SYS_timer_create, args) }.map(|_| 0)
}

extern "C" fn on_signal(signal: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    // SAFETY: what somebody sent says who.
    let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
    let own = process::getpid().unwrap_or(0) as i32;
    let who = if pid == own { "itself" } else if pid == 0 { "nobody" } else { "another" };
    set_quietly(u64::MAX);
    say!("{} code {} from {who} user {uid}", signal::name(signal), info.si_code);
}

fn set_quietly(bytes: u64) {
    let limit = libc::rlimit64 { rlim_cur: bytes, rlim_max: u64::MAX };
    let _ = process::setrlimit(libc::RLIMIT_FSIZE, &limit);
}

fn senders() -> i32 {
    for sig in [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGUSR2] {
        let _ = signal::handle(sig, on_signal, 0, 0);
    }
    let (rx, tx) = file::pipe();
    let _ = file::close(rx);
    show("write", file::write(tx, b"x"));
    let fd = file::open_or_say(c"/tmp/behave.limit", libc::O_RDWR | libc::O_CREAT, 0o600);
    let _ = file::unlink(c"/tmp/behave.limit");
    set_quietly(0);
    let written = file::write(fd, b"x");
    show("beyond", written);
    let (rx, tx) = file::pipe();
    let middle = child::start(|| {
        let _ = child::start(|| {
            let parent = process::getppid();
            let _ = signal::block(signal::bit(libc::SIGUSR2));
            let _ = process::prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR2 as usize, 0, 0, 0);
            let _ = file::write(tx, b"x");
            let _ = signal::rt_sigsuspend(&0, signal::SET);
            say!("its parent is another: {}", process::getppid() != parent);
            0
        });
        let _ = file::read(rx, &mut [0]);
        0
    });
    let _ = child::end_of(middle);
    let _ = file::close(tx);
    let _ = file::read(rx, &mut [0]);
    0
}
