//! pidfd_open, pidfd_send_signal, pidfd_getfd, CLONE_PIDFD, waitid(P_PIDFD), poll; kcmp.
use crate::out::{say, show, show_ok};
use crate::sys::process::CloneArgs;
use crate::sys::{self, Arg, Res, child, file, process, signal};
use std::ffi::CStr;

const P_PIDFD: u32 = 3;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    errors();
    signalled();
    let fd = cloned();
    polled(fd);
    fetched();
    compared();
    0
}

fn call(number: i64, args: [usize; 5]) -> Res {
    // SAFETY: pointers are null, bad, or to values that outlive the call.
    unsafe { sys::call(number, [args[0], args[1], args[2], args[3], args[4], 0]) }
}

fn open(pid: i32, flags: i32) -> Res {
    call(libc::SYS_pidfd_open, [pid.arg(), flags.arg(), 0, 0, 0])
}

fn send(fd: usize, number: i32, info: usize, flags: usize) -> Res {
    call(libc::SYS_pidfd_send_signal, [fd, number.arg(), info, flags, 0])
}

fn errors() {
    show("open 0", open(0, 0));
    show("open -1", open(-1, 0));
    show("open nobody", open(1 << 21, 0));
    show("bad flags", open(1, 1));
    show("send to no descriptor", send(999, 0, 0, 0));
    show("send to a file", send(1, 0, 0, 0));
    let own = open(process::getpid().unwrap_or(0) as i32, libc::O_NONBLOCK).unwrap_or(0);
    show("send nothing", send(own, 0, 0, 0));
    let dir = file::open_or_say(c"/proc/self", libc::O_DIRECTORY, 0);
    show("send nothing through /proc", send(dir as usize, 0, 0, 0));
    let threads = file::open_or_say(c"/proc/self/task", libc::O_DIRECTORY, 0);
    show("send to another directory", send(threads as usize, 0, 0, 0));
    show("bad signal", send(own, 99, 0, 0));
    show("bad send flags", send(own, 0, 0, 1 << 20));
    show("bad story", send(own, 10, 8, 0));
    let mut info = signal::info();
    info.si_signo = 12;
    show("other story", send(own, 10, std::ptr::from_ref(&info) as usize, 0));
    show("getfd flags", call(libc::SYS_pidfd_getfd, [own, 0, 1, 0, 0]));
    show("getfd closed", call(libc::SYS_pidfd_getfd, [own, 777, 0, 0, 0]));
    show("wait for oneself", process::waitid(P_PIDFD, own as i32, None, libc::WEXITED, None));
    show("wait for a file", process::waitid(P_PIDFD, 1, None, libc::WEXITED, None));
    show("wait for -1", process::waitid(P_PIDFD, -1, None, libc::WEXITED, None));
    show("mrelease of the living", call(libc::SYS_process_mrelease, [own, 0, 0, 0, 0]));
    show("mrelease flags", call(libc::SYS_process_mrelease, [own, 1, 0, 0, 0]));
    show("madvise flags", call(libc::SYS_process_madvise, [own, 0, 0, 3, 1]));
}

fn signalled() {
    let pid = child::start(|| {
        let _ = signal::pause();
        0
    });
    let fd = open(pid, 0).unwrap_or(0);
    let flags = file::fcntl(fd as i32, libc::F_GETFD, 0);
    show("close on exec", flags);
    show("send", send(fd, libc::SIGUSR1, 0, 0));
    say!("child {}", child::end_of(pid));
    show("send to the dead", send(fd, 0, 0, 0));
    show("wait for the dead", process::waitid(P_PIDFD, fd as i32, None, libc::WEXITED, None));
}

/// A child by clone3 with a descriptor, which lives until it is killed.
fn cloned() -> usize {
    let mut fd = -1i32;
    let args = CloneArgs {
        flags: libc::CLONE_PIDFD as u64,
        pidfd: std::ptr::from_mut(&mut fd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    let at = std::ptr::from_ref(&args) as usize;
    match call(libc::SYS_clone3, [at, 88, 0, 0, 0]) {
        Ok(0) => {
            let _ = signal::pause();
            process::exit(1);
        }
        result => show_ok("clone3", result),
    }
    let thread = CloneArgs { flags: (libc::CLONE_PIDFD | libc::CLONE_PARENT_SETTID) as u64, parent_tid: args.pidfd, ..args };
    show("one place for both", call(libc::SYS_clone3, [std::ptr::from_ref(&thread) as usize, 88, 0, 0, 0]));
    let bad = CloneArgs { pidfd: 8, ..args };
    show("bad place", call(libc::SYS_clone3, [std::ptr::from_ref(&bad) as usize, 88, 0, 0, 0]));
    let number = process::getpid().unwrap_or(0) as i32;
    let taken = CloneArgs { flags: 0, set_tid: std::ptr::from_ref(&number) as u64, set_tid_size: 1, ..args };
    show("number in use", call(libc::SYS_clone3, [std::ptr::from_ref(&taken) as usize, 88, 0, 0, 0]));
    let wanted = 31_000i32;
    let free = CloneArgs { set_tid: std::ptr::from_ref(&wanted) as u64, ..taken };
    match call(libc::SYS_clone3, [std::ptr::from_ref(&free) as usize, 88, 0, 0, 0]) {
        Ok(0) => process::exit(3),
        Ok(pid) => say!("number {pid}: {}", child::end_of(pid as i32)),
        Err(errno) => say!("number: {errno}"),
    }
    fd as usize
}

fn polled(fd: usize) {
    let mut polls = [libc::pollfd { fd: fd as i32, events: libc::POLLIN, revents: 0 }];
    show("poll the living", file::poll(&mut polls, 0));
    let _ = send(fd, libc::SIGKILL, 0, 0);
    show("poll", file::poll(&mut polls, 5000));
    say!("events {:#x}", polls[0].revents);
    let mut info = signal::info();
    show("wait", process::waitid(P_PIDFD, fd as i32, Some(&mut info), libc::WEXITED, None));
    // SAFETY: waitid filled it.
    say!("code {} status {}", info.si_code, unsafe { info.si_status() });
    show("wait again", process::waitid(P_PIDFD, fd as i32, None, libc::WEXITED, None));
}

fn fetched() {
    let (read, write) = file::pipe();
    let (ready, tell) = file::pipe();
    let pid = child::start(|| {
        let _ = file::dup3(write, 300, 0);
        let _ = file::write(tell, b"x");
        let _ = signal::pause();
        0
    });
    let _ = file::read(ready, &mut [0]);
    let fd = open(pid, 0).unwrap_or(0);
    let got = call(libc::SYS_pidfd_getfd, [fd, 300, 0, 0, 0]);
    show_ok("getfd", got);
    let got = got.unwrap_or(0) as i32;
    show("its close on exec", file::fcntl(got, libc::F_GETFD, 0));
    show("write through it", file::write(got, b"hello"));
    let mut bytes = [0; 5];
    show("read", file::read(read, &mut bytes));
    let own = process::getpid().unwrap_or(0) as i32;
    let same = call(libc::SYS_kcmp, [own.arg(), pid.arg(), 0, got.arg(), 300]);
    show("the same file", same);
    let other = call(libc::SYS_kcmp, [own.arg(), pid.arg(), 0, read.arg(), 300]);
    say!("another file: {}", other != Ok(0));
    show("no such file", call(libc::SYS_kcmp, [own.arg(), pid.arg(), 0, 999, 300]));
    let _ = signal::kill(pid, libc::SIGKILL);
    let _ = child::wait(pid);
}

fn compared() {
    let pid = child::start(|| {
        let _ = signal::pause();
        0
    });
    let own = process::getpid().unwrap_or(0) as i32;
    for kind in 0..7usize {
        let with_child = call(libc::SYS_kcmp, [own.arg(), pid.arg(), kind, 1, 1]);
        let alone = call(libc::SYS_kcmp, [own.arg(), own.arg(), kind, 1, 1]);
        say!("kind {kind}: own {alone:?}, child's the same: {}", with_child == Ok(0));
    }
    watched(own);
    show("kind 99", call(libc::SYS_kcmp, [own.arg(), own.arg(), 99, 0, 0]));
    show("no process", call(libc::SYS_kcmp, [own.arg(), 1 << 21, 1, 0, 0]));
    let _ = signal::kill(pid, libc::SIGKILL);
    let _ = child::wait(pid);
}

/// `KCMP_EPOLL_TFD`: whether a file is one that an epoll file watches.
fn watched(own: i32) {
    let epoll = file::epoll_create1(0).unwrap_or(0) as i32;
    let (first, second) = file::pipe();
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
    let _ = file::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, first, Some(&mut event));
    let ask = |label: &str, fd: i32, slot: [u32; 3]| {
        let at = std::ptr::from_ref(&slot) as usize;
        show(label, call(libc::SYS_kcmp, [own.arg(), own.arg(), 7, fd.arg(), at]));
    };
    let (epoll, target) = (epoll as u32, first as u32);
    ask("watched", first, [epoll, target, 0]);
    let others = [epoll, target, 0];
    let at = std::ptr::from_ref(&others) as usize;
    let other = call(libc::SYS_kcmp, [own.arg(), own.arg(), 7, second.arg(), at]);
    say!("another is the same: {}", other == Ok(0));
    ask("only one", first, [epoll, target, 1]);
    ask("not watched", first, [epoll, second as u32, 0]);
    ask("no epoll file", first, [target, target, 0]);
    ask("no file", first, [999, target, 0]);
    ask("compared with none", 999, [epoll, target, 0]);
    show("slot nowhere", call(libc::SYS_kcmp, [own.arg(), own.arg(), 7, first.arg(), 8]));
    for fd in [epoll as i32, first, second] {
        let _ = file::close(fd);
    }
}
