//! What the connector tells of a child and its thread (netlink(7), linux/cn_proc.h): made, session, name, user, another
//! program, end; and nothing once nobody wants it.
use crate::out::{say, show};
use crate::sys::{Errno, child, file, net, process};
use libc::{AF_NETLINK, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM};
use std::ffi::CStr;

const CONNECTOR: i32 = 11;

/// The request to be told (1), or not any more (2).
fn ask(fd: i32, wanted: u32) {
    let words = [40, 3, 0, 0, 1, 1, 77, 5, 4, wanted];
    let raw: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    show("ask", net::send(fd, &raw, 0));
}

fn words(raw: &[u8]) -> Vec<u32> {
    raw.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

/// What a number is to the reader: this process, the child, or another.
fn who(number: u32, pid: i32) -> &'static str {
    match number.cast_signed() {
        0 => "none",
        number if number == pid => "child",
        number if Ok(number as usize) == process::getpid() => "self",
        _ => "other",
    }
}

fn told(event: &[u32], pid: i32) -> String {
    let who = |at: usize| who(event[at], pid);
    match event[9] {
        1 => format!("fork {} {} {} {}", who(13), who(14), who(15), who(16)),
        2 => format!("exec {} {}", who(13), who(14)),
        4 => format!("uid {} {} {}", who(14), event[15], event[16]),
        0x40 => format!("gid {} {} {}", who(14), event[15], event[16]),
        0x80 => format!("session {}", who(14)),
        0x200 => format!("name {} {:x} {:x}", who(14), event[15], event[16]),
        0x8000_0000 => format!("end {} {} {:x} {} {}", who(13), who(14), event[15], event[16].cast_signed(), who(17)),
        what => format!("what {what:x}"),
    }
}

/// The events of the child's, until it has ended; those of its thread, whose end comes when it comes, last.
fn tell_all(fd: i32, pid: i32) {
    let mut of_thread = Vec::new();
    loop {
        let Ok(raw) = net::recv(fd, 4096, 0) else { continue };
        let event = words(&raw);
        let at = if event[9] == 1 { 16 } else { 14 };
        if event.len() == 19 && event[9] != 0 && event[at].cast_signed() == pid {
            let line = told(&event, pid);
            if event[at - 1] != event[at] {
                of_thread.push(line);
                continue;
            }
            say!("{line}");
            if event[9] == 0x8000_0000 {
                return of_thread.iter().for_each(|line| say!("{line}"));
            }
        }
    }
}

fn body(go: i32) -> i32 {
    let _ = file::read(go, &mut [0]);
    let _ = process::setsid();
    // SAFETY: a name of the program's own.
    let _ = unsafe { libc::prctl(libc::PR_SET_NAME, c"kiln".as_ptr()) };
    let _ = std::thread::spawn(|| {}).join();
    let _ = process::setresgid(8, 8, 8);
    let _ = process::setresuid(7, 7, 7);
    let _ = process::execve(c"/proc/self/exe", &[c"behave", c"--helper", c"exit", c"3"], &[]);
    9
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(fd) = file::fd(net::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, CONNECTOR)) else {
        return 1;
    };
    // Others on the machine may be busy.
    let _ = net::set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20);
    show("bind", net::bind(fd, &[16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]));
    ask(fd, 1);
    loop {
        let event = words(&net::recv(fd, 4096, 0).unwrap_or_default());
        if event.get(9) == Some(&0) && event[7] == 6 {
            say!("told {:?} {:?} {:?}", &event[..2], &event[4..6], &event[7..10]);
            say!("details {:?}", &event[13..]);
            break;
        }
    }
    let (go, gone) = file::pipe();
    let pid = child::start(|| body(go));
    let _ = file::write(gone, b"x");
    tell_all(fd, pid);
    say!("{}", child::end_of(pid));
    ask(fd, 2);
    while net::recv(fd, 4096, MSG_DONTWAIT).is_ok() {}
    let _ = child::run(|| 0);
    say!("afterwards {}", net::recv(fd, 4096, MSG_DONTWAIT) == Err(Errno(libc::EAGAIN)));
    0
}
