//! What route sockets answer to single requests (rtnetlink(7)): which interface, which way, what may be changed, and
//! by whom. And netlink's addresses: the process's number for the first socket of each protocol.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{AF_NETLINK, SOCK_RAW};
use std::ffi::CStr;

/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_DUMP`.
const ASK: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;

fn word(raw: &[u8], at: usize) -> u32 {
    raw.get(at..at + 4).map_or(0, |raw| u32::from_le_bytes(raw.try_into().unwrap_or([0; 4])))
}

fn link(index: u32, flags: u32, change: u32) -> Vec<u8> {
    [0, index, flags, change].iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(4 + data.len()).unwrap_or(0);
    let mut raw = [len.to_le_bytes(), kind.to_le_bytes()].concat();
    raw.extend_from_slice(data);
    raw.resize(raw.len().next_multiple_of(4), 0);
    raw
}

/// Sends one request, and tells of the first answer to it.
fn ask(fd: i32, label: &str, kind: u16, flags: u16, body: &[u8]) {
    let mut raw = u32::try_from(16 + body.len()).unwrap_or(0).to_le_bytes().to_vec();
    raw.extend([kind, flags].iter().flat_map(|half| half.to_le_bytes()));
    raw.extend([9, 0, 0, 0, 0, 0, 0, 0]);
    raw.extend_from_slice(body);
    if let Err(error) = net::send(fd, &raw, 0) {
        return say!("{label}: {error:?}");
    }
    let answer = net::recv(fd, 32768, libc::MSG_DONTWAIT).unwrap_or_default();
    let kind = word(&answer, 4) & 0xFFFF;
    let told = match kind {
        2 => format!("error {} of {} bytes", word(&answer, 16).cast_signed(), word(&answer, 0)),
        24 => format!("{:?}", answer.get(16..28)),
        _ => String::new(),
    };
    say!("{label}: {kind} {:#x} {told}", word(&answer, 4) >> 16);
    while net::recv(fd, 32768, libc::MSG_DONTWAIT).is_ok() {}
}

fn all(fd: i32) {
    let lo = || attribute(3, b"lo\0");
    let none = || attribute(3, b"nodevice?!\0");
    ask(fd, "link 1", 18, ASK, &link(1, 0, 0));
    ask(fd, "link lo", 18, ASK, &[link(0, 0, 0), lo()].concat());
    ask(fd, "no link", 18, ASK, &link(1_234_590, 0, 0));
    ask(fd, "no name", 18, ASK, &[link(0, 0, 0), none()].concat());
    ask(fd, "up", 16, ASK | ACK, &link(1, 1, 1));
    ask(fd, "no link up", 16, ASK | ACK, &link(1_234_590, 1, 1));
    let flags = ASK | ACK | 0x600;
    let kind = attribute(18, &attribute(1, b"unheard-of\0"));
    ask(fd, "make", 16, flags, &[link(0, 0, 0), attribute(3, b"hello\0"), kind].concat());
    ask(fd, "no name alike", 18, ASK, &[link(0, 0, 0), attribute(3, b"hello\0")].concat());
    ask(fd, "remove none", 17, ASK, &link(1_234_590, 0, 0));
    ask(fd, "remove no name", 17, ASK, &[link(0, 0, 0), none()].concat());
    ask(fd, "remove 1", 17, ASK, &link(1, 0, 0));
    ask(fd, "remove lo", 17, ASK, &[link(0, 0, 0), lo()].concat());
    for to in [[127, 0, 0, 1], [127, 0, 0, 2], [127, 9, 8, 7]] {
        for lookup in [0, 0x10] {
            let head = [2, 32, 0, 0, 0, 0, 0, 0, 0, lookup, 0, 0];
            ask(fd, "way", 26, ASK, &[head.to_vec(), attribute(1, &to)].concat());
        }
    }
    ask(fd, "rules", 34, ASK | DUMP, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    ask(fd, "unknown", 1102, ASK | DUMP, &link(0, 0, 0));
    ask(fd, "nothing", 3, 0, &[]);
    ask(fd, "nothing, told", 1, ACK, &[]);
}

fn ports() {
    let own = std::process::id();
    for protocol in [0, 15, 16] {
        let open = || {
            // SAFETY: numbers only.
            unsafe { libc::socket(AF_NETLINK, SOCK_RAW, protocol) }
        };
        let (first, second, third) = (open(), open(), open());
        let any = [16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        show("bind", net::bind(first, &any));
        show("connect", net::connect(second, &any));
        let port = |fd| word(&net::name(fd).unwrap_or_default(), 4);
        say!("{} {} {}", port(first) == own, port(second) == own, port(third));
        let mut taken = any;
        taken[4..8].copy_from_slice(&own.to_le_bytes());
        show("taken", net::bind(third, &taken));
        show("again", net::bind(first, &taken));
        show("close", file::close(first));
        show("free", net::bind(third, &taken));
        taken[4] ^= 1;
        show("another", net::bind(third, &taken));
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    ports();
    let fd = net::open(AF_NETLINK, SOCK_RAW);
    all(fd);
    // SAFETY: a number only.
    unsafe { libc::setresuid(65534, 65534, 65534) };
    ask(fd, "up", 16, ASK | ACK, &link(1, 1, 1));
    ask(fd, "unknown", 1100, ASK | ACK, &link(1, 1, 1));
    ask(fd, "link 1", 18, ASK, &link(1, 0, 0));
    0
}
