//! Route sockets (rtnetlink(7)) as C libraries use them: the loopback interface and its addresses.
use crate::out::{say, show};
use crate::sys::net;
use libc::{AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW};
use std::ffi::CStr;

fn request(kind: u16, family: u8) -> Vec<u8> {
    let mut raw = 20u32.to_le_bytes().to_vec();
    raw.extend_from_slice(&kind.to_le_bytes());
    raw.extend_from_slice(&0x301u16.to_le_bytes());
    raw.extend_from_slice(&77u32.to_le_bytes());
    raw.extend_from_slice(&[0; 4]);
    raw.extend_from_slice(&[family, 0, 0, 0]);
    raw
}

/// The messages about interface 1, each as its type and a few attributes.
fn dump(fd: i32, kind: u16, family: u8, shown: &[u16]) {
    show("send", net::send(fd, &request(kind, family), 0));
    loop {
        let Ok(raw) = net::recv(fd, 32768, 0) else { return };
        let mut rest = &raw[..];
        while rest.len() >= 16 {
            let len = u32::from_le_bytes(rest[..4].try_into().unwrap_or([0; 4])) as usize;
            let kind = u16::from_le_bytes([rest[4], rest[5]]);
            if kind == 3 {
                return say!("done {}", u32::from_le_bytes(rest[8..12].try_into().unwrap_or([0; 4])));
            }
            let body = &rest[16..len];
            let index = u32::from_le_bytes(body[4..8].try_into().unwrap_or([0; 4]));
            if index == 1 {
                let head = if kind == 16 { 16 } else { 8 };
                tell(kind, &body[head..], &body[..2], shown);
            }
            rest = &rest[len.next_multiple_of(4).min(rest.len())..];
        }
    }
}

fn tell(kind: u16, mut rest: &[u8], head: &[u8], shown: &[u16]) {
    let mut text = format!("{kind} {head:?}");
    while rest.len() >= 4 {
        let len = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
        let name = u16::from_le_bytes([rest[2], rest[3]]);
        if shown.contains(&name) {
            text += &format!(" {name}:{:?}", &rest[4..len]);
        }
        rest = &rest[len.next_multiple_of(4).min(rest.len())..];
    }
    say!("{text}");
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let fd = net::open(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC);
    show("bind", net::bind(fd, &[16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    let name = net::name(fd).unwrap_or_default();
    say!("{} {}", name.len(), name[4..8] != [0; 4]);
    dump(fd, 18, 0, &[1, 2, 3, 4]);
    dump(fd, 22, 2, &[1, 2, 3]);
    dump(fd, 22, 10, &[1, 2, 3]);
    // SAFETY: a name of the program's own.
    let index = unsafe { libc::if_nametoindex(c"lo".as_ptr()) };
    say!("lo {index}");
    // SAFETY: likewise.
    let index = unsafe { libc::if_nametoindex(c"none".as_ptr()) };
    say!("none {index}");
    0
}
