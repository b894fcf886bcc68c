//! Open files in messages (SCM_RIGHTS): they arrive, share their position, close on exec when asked
//! to, are cut when there is no room, and end reads on streams.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{MSG_CMSG_CLOEXEC, MSG_PEEK, SCM_RIGHTS, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

fn rights(fds: &[i32]) -> Vec<u8> {
    let raw: Vec<u8> = fds.iter().flat_map(|fd| fd.to_le_bytes()).collect();
    net::control(SOL_SOCKET, SCM_RIGHTS, &raw)
}

fn close_all(fds: &[i32]) {
    for fd in fds {
        let _ = file::close(*fd);
    }
}

fn arrived(message: &net::Message) -> Vec<i32> {
    let data = message.control.iter().flat_map(|(_, _, data)| data.chunks_exact(4));
    data.map(|raw| i32::from_le_bytes(raw.try_into().unwrap_or([0; 4]))).collect()
}

fn tell(label: &str, message: Result<net::Message, crate::sys::Errno>) -> Vec<i32> {
    match message {
        Ok(m) => {
            let fds = arrived(&m);
            let text = String::from_utf8_lossy(&m.bytes).into_owned();
            say!("{label}: {text:?} {} files, flags {:#x}", fds.len(), m.flags);
            fds
        }
        Err(errno) => {
            say!("{label}: {errno}");
            Vec::new()
        }
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        let (a, b) = net::pair(kind);
        let (rx, tx) = file::pipe();
        show("send", net::send_msg(a, b"two", &rights(&[tx, rx]), 0));
        let fds = tell("peek", net::recv_msg(b, 9, 64, MSG_PEEK));
        close_all(&fds);
        let fds = tell("whole", net::recv_msg(b, 9, 64, MSG_CMSG_CLOEXEC));
        say!("{:?}", fds.first().map(|fd| file::fcntl(*fd, libc::F_GETFD, 0)));
        let _ = file::write(fds[0], b"through");
        say!("{}", String::from_utf8_lossy(&{
            let mut raw = [0; 7];
            let _ = file::read(rx, &mut raw);
            raw
        }));
        for room in [0, 16, 19, 20, 23, 24] {
            show("send", net::send_msg(a, b"cut", &rights(&[tx, rx]), 0));
            tell(&format!("room {room}"), net::recv_msg(b, 9, room, 0));
        }
        show("send", net::send_msg(a, b"plain", &rights(&[tx]), 0));
        say!("{}", net::text(b, 9, 0));
        show("bad file", net::send_msg(a, b"x", &rights(&[99]), 0));
        show("many", net::send_msg(a, b"x", &rights(&[rx; 254]), 0));
        show("most", net::send_msg(a, b"x", &rights(&[rx; 253]), 0));
        close_all(&tell("most", net::recv_msg(b, 9, 2000, 0)));
        show("short", net::send_msg(a, b"x", &rights(&[rx])[..15], 0));
        show("unknown", net::send_msg(a, b"x", &net::control(SOL_SOCKET, 77, &[0; 4]), 0));
        show("other level", net::send_msg(a, b"x", &net::control(99, 1, &[0; 4]), 0));
    }
    let (a, b) = net::pair(SOCK_STREAM);
    let (rx, _) = file::pipe();
    let _ = net::send(a, b"before ", 0);
    let _ = net::send_msg(a, b"with ", &rights(&[rx]), 0);
    let _ = net::send(a, b"after", 0);
    tell("first", net::recv_msg(b, 99, 64, 0));
    tell("second", net::recv_msg(b, 99, 64, 0));
    0
}
