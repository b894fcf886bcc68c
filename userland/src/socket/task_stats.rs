//! What generic netlink tells (linux/genetlink.h): its families, and what a task has used (linux/taskstats.h).
use crate::out::{say, show};
use crate::sys::{child, net, process, signal};
use libc::{AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW};
use std::ffi::CStr;

const GENERIC: i32 = 16;

/// A request with one attribute.
fn request(family: u16, command: u8, kind: u16, value: &[u8]) -> Vec<u8> {
    let mut raw = vec![0; 4];
    raw.extend_from_slice(&family.to_le_bytes());
    raw.extend_from_slice(&[1, 0, 7, 0, 0, 0, 0, 0, 0, 0, command, 1, 0, 0]);
    raw.extend_from_slice(&(4 + value.len() as u16).to_le_bytes());
    raw.extend_from_slice(&kind.to_le_bytes());
    raw.extend_from_slice(value);
    raw.resize(raw.len().next_multiple_of(4), 0);
    let length = (raw.len() as u32).to_le_bytes();
    raw[..4].copy_from_slice(&length);
    raw
}

fn short(raw: &[u8], at: usize) -> u16 {
    raw.get(at..at + 2).map_or(0, |raw| u16::from_le_bytes([raw[0], raw[1]]))
}

fn long(raw: &[u8], at: usize) -> u64 {
    let bytes = raw.get(at..at + 8).and_then(|raw| raw.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

/// Asks, and prints what kind of answer comes: it comes back.
fn ask(fd: i32, label: &str, raw: &[u8]) -> Vec<u8> {
    let _ = net::send(fd, raw, 0);
    let answer = net::recv(fd, 8192, 0).unwrap_or_default();
    match short(&answer, 4) {
        2 => say!("{label}: error {}", (long(&answer, 16) as u32).cast_signed()),
        _ => say!("{label}: told {}", answer.len() > 80 && answer[8] == 7),
    }
    answer
}

/// What is told of a task (1) or a process (2).
fn stats(fd: i32, family: u16, kind: u16, id: i32, label: &str) -> Vec<u8> {
    let answer = ask(fd, label, &request(family, 1, kind, &id.to_le_bytes()));
    let told = (short(&answer, 22), short(&answer, 26), long(&answer, 28) as u32);
    say!("  {} {} {}", told.0, told.1, told.2 == id as u32);
    answer.get(36..).unwrap_or_default().to_vec()
}

fn unprivileged(family: u16) -> i32 {
    let _ = process::setresuid(7, 7, 7);
    let Ok(fd) = net::socket(AF_NETLINK, SOCK_RAW, GENERIC) else { return 9 };
    let id = process::getpid().unwrap_or(0) as u32;
    ask(fd as i32, "user", &request(family, 1, 1, &id.to_le_bytes()));
    0
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let fd = net::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, GENERIC).map_or(-1, |fd| fd as i32);
    show("bind", net::bind(fd, &[16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    let found = ask(fd, "family", &request(16, 3, 2, b"TASKSTATS\0"));
    say!("{:?}", String::from_utf8_lossy(&found[24..34]));
    let family = short(&found, 40);
    say!("{} {}", family > 16, short(&found, 38));
    let by_number = ask(fd, "by number", &request(16, 3, 1, &family.to_le_bytes()));
    say!("the same {}", by_number == found);
    ask(fd, "no such name", &request(16, 3, 2, b"NONE\0"));
    ask(fd, "no name", &request(16, 3, 9, b""));
    ask(fd, "no such command", &request(family, 99, 1, b""));
    ask(fd, "no such family", &request(999, 1, 1, b""));
    let pid = process::getpid().unwrap_or(0) as i32;
    let own = stats(fd, family, 1, pid, "own");
    let name = own.get(80..112).unwrap_or_default();
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    say!("name {:?}", String::from_utf8_lossy(name));
    let ids = [long(&own, 120), long(&own, 128)];
    let parent = process::getppid().unwrap_or(0) as u64;
    say!("ids {} {}", ids[0], ids[1] == pid as u64 | parent << 32);
    say!("group {} since {}", long(&own, 46 * 8) as i32 == pid, long(&own, 43 * 8) > 1_000_000_000);
    say!("faults {} memory {} {}", long(&own, 168) > 50, long(&own, 200) > 100, long(&own, 208) > 1000);
    say!("file {} {}", long(&own, 48 * 8) != 0, long(&own, 49 * 8) > 0);
    let other = child::start(|| loop {
        let _ = signal::pause();
    });
    let made = stats(fd, family, 1, other, "child");
    say!("made by fork {} {}", long(&made, 8) & 1, long(&own, 8) & 1);
    let whole = stats(fd, family, 2, pid, "process");
    say!("no name {} elapsed {}", whole.get(80..88) == Some(&[0; 8]), long(&whole, 144) >= long(&own, 144));
    let _ = signal::kill(other, libc::SIGKILL);
    say!("{}", child::end_of(other));
    ask(fd, "gone", &request(family, 1, 1, &other.to_le_bytes()));
    say!("{}", child::run(|| unprivileged(family)));
    0
}
