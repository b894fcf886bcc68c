//! Who is on the other side (SO_PEERCRED), who sent a message (SCM_CREDENTIALS with SO_PASSCRED),
//! and who may say to be someone else.
use crate::out::{say, show};
use crate::sys::{child, net, process};
use libc::{SCM_CREDENTIALS, SO_PASSCRED, SO_PEERCRED, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

fn words(raw: &[u8]) -> Vec<i32> {
    raw.chunks_exact(4).map(|w| i32::from_le_bytes(w.try_into().unwrap_or([0; 4]))).collect()
}

fn own() -> i32 {
    process::getpid().unwrap_or(0) as i32
}

fn tell(fd: i32) {
    match net::recv_msg(fd, 9, 64, libc::MSG_DONTWAIT) {
        Ok(m) => {
            let text = String::from_utf8_lossy(&m.bytes).into_owned();
            let creds: Vec<_> = m.control.iter().map(|(_, kind, data)| {
                let creds = words(data);
                (*kind, creds[0] == own(), creds[0] == 0, creds[1], creds[2])
            }).collect();
            say!("{text:?} {creds:?} {:#x}", m.flags);
        }
        Err(errno) => say!("{errno}"),
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        let (a, b) = net::pair(kind);
        let peer = net::option(a, SOL_SOCKET, SO_PEERCRED, 12).map(|raw| words(&raw));
        say!("{:?}", peer.map(|c| (c[0] == own(), c[1], c[2])));
        let _ = net::send(a, b"before", 0);
        show("pass", net::set_int(b, SOL_SOCKET, SO_PASSCRED, 1));
        tell(b);
        let _ = net::send(a, b"after", 0);
        tell(b);
        let claim = |pid: i32, uid: i32, gid: i32| {
            let raw: Vec<u8> = [pid, uid, gid].iter().flat_map(|w| w.to_le_bytes()).collect();
            net::send_msg(a, b"claim", &net::control(SOL_SOCKET, SCM_CREDENTIALS, &raw), 0)
        };
        show("itself", claim(own(), 0, 0));
        tell(b);
        show("nobody there", claim(0x3FFF_FFF0, 0, 0));
        show("another user", claim(own(), 1234, 5678));
        tell(b);
        let short = net::control(SOL_SOCKET, SCM_CREDENTIALS, &[0; 8]);
        show("short", net::send_msg(a, b"x", &short, 0));
        let end = child::run(|| {
            let _ = process::setuid(1000);
            let me = own();
            let raw: Vec<u8> = [me, 0, 0].iter().flat_map(|w| w.to_le_bytes()).collect();
            show("as root", net::send_msg(a, b"x", &net::control(1, SCM_CREDENTIALS, &raw), 0));
            let raw: Vec<u8> = [1i32, 1000, 0].iter().flat_map(|w| w.to_le_bytes()).collect();
            show("as another", net::send_msg(a, b"x", &net::control(1, SCM_CREDENTIALS, &raw), 0));
            let _ = net::send(a, b"child", 0);
            0
        });
        say!("{end}");
        tell(b);
    }
    let s = net::open(libc::AF_UNIX, SOCK_STREAM);
    say!("{:?}", net::option(s, SOL_SOCKET, SO_PEERCRED, 12).map(|raw| words(&raw)));
    0
}
