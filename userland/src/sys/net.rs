//! Sockets.

use super::{Arg, Errno, Res, call, calls, file};

calls! {
    fn socket(family: i32, kind: i32, protocol: i32) = SYS_socket;
    fn listen(fd: i32, backlog: i32) = SYS_listen;
    fn shutdown(fd: i32, how: i32) = SYS_shutdown;
}

/// A socket's descriptor; -1 after an error that is printed.
pub(crate) fn open(family: i32, kind: i32) -> i32 {
    match file::fd(socket(family, kind, 0)) {
        Ok(fd) => fd,
        Err(errno) => {
            crate::out::line(&format!("socket {family} {kind}: {errno}"));
            -1
        }
    }
}

/// A pair of connected sockets; (-1, -1) after an error that is printed.
pub(crate) fn pair(kind: i32) -> (i32, i32) {
    let mut ends = [0i32; 2];
    let args = [1, kind.arg(), 0, (&raw mut ends) as usize, 0, 0];
    // SAFETY: the kernel writes two descriptors.
    match unsafe { call(libc::SYS_socketpair, args) } {
        Ok(_) => (ends[0], ends[1]),
        Err(errno) => {
            crate::out::line(&format!("socketpair {kind}: {errno}"));
            (-1, -1)
        }
    }
}

/// A call with a descriptor and an address.
fn with_addr(number: i64, fd: i32, addr: &[u8]) -> Res {
    let args = [fd.arg(), addr.as_ptr() as usize, addr.len(), 0, 0, 0];
    // SAFETY: the kernel reads `addr.len()` bytes at `addr`.
    unsafe { call(number, args) }
}

pub(crate) fn bind(fd: i32, addr: &[u8]) -> Res {
    with_addr(libc::SYS_bind, fd, addr)
}

pub(crate) fn connect(fd: i32, addr: &[u8]) -> Res {
    with_addr(libc::SYS_connect, fd, addr)
}

/// A call that tells an address.
fn tells_addr(number: i64, fd: i32, flags: i32) -> Result<(usize, Vec<u8>), Errno> {
    let mut raw = [0u8; 128];
    let mut len = 128u32;
    let args = [
        fd.arg(),
        raw.as_mut_ptr() as usize,
        (&raw mut len) as usize,
        flags.arg(),
        0,
        0,
    ];
    // SAFETY: the kernel writes at most the 128 bytes that `len` says, and `len`.
    let value = unsafe { call(number, args) }?;
    Ok((value, raw[..(len as usize).min(128)].to_vec()))
}

/// `getsockname`.
pub(crate) fn name(fd: i32) -> Result<Vec<u8>, Errno> {
    tells_addr(libc::SYS_getsockname, fd, 0).map(|(_, raw)| raw)
}

/// `getpeername`.
pub(crate) fn peer(fd: i32) -> Result<Vec<u8>, Errno> {
    tells_addr(libc::SYS_getpeername, fd, 0).map(|(_, raw)| raw)
}

/// `accept4`: the descriptor and the other side's address.
pub(crate) fn accept(fd: i32, flags: i32) -> Result<(i32, Vec<u8>), Errno> {
    tells_addr(libc::SYS_accept4, fd, flags).map(|(fd, raw)| (fd as i32, raw))
}

pub(crate) fn send(fd: i32, bytes: &[u8], flags: i32) -> Res {
    send_to(fd, bytes, flags, &[])
}

/// `sendto`; without an address, `send`.
pub(crate) fn send_to(fd: i32, bytes: &[u8], flags: i32, addr: &[u8]) -> Res {
    let at = if addr.is_empty() {
        0
    } else {
        addr.as_ptr() as usize
    };
    let args = [
        fd.arg(),
        bytes.as_ptr() as usize,
        bytes.len(),
        flags.arg(),
        at,
        addr.len(),
    ];
    // SAFETY: the kernel reads both buffers.
    unsafe { call(libc::SYS_sendto, args) }
}

/// `recv`: what came, at most `room` bytes.
pub(crate) fn recv(fd: i32, room: usize, flags: i32) -> Result<Vec<u8>, Errno> {
    let mut raw = vec![0u8; room];
    let args = [fd.arg(), raw.as_mut_ptr() as usize, room, flags.arg(), 0, 0];
    // SAFETY: the kernel writes at most `room` bytes.
    let got = unsafe { call(libc::SYS_recvfrom, args) }?;
    raw.truncate(got);
    Ok(raw)
}

/// What came, as text, or the error.
pub(crate) fn text(fd: i32, room: usize, flags: i32) -> String {
    match recv(fd, room, flags) {
        Ok(bytes) => format!("{:?}", String::from_utf8_lossy(&bytes)),
        Err(errno) => errno.to_string(),
    }
}

pub(crate) fn set_option(fd: i32, level: i32, name: i32, value: &[u8]) -> Res {
    let args = [
        fd.arg(),
        level.arg(),
        name.arg(),
        value.as_ptr() as usize,
        value.len(),
        0,
    ];
    // SAFETY: the kernel reads `value`.
    unsafe { call(libc::SYS_setsockopt, args) }
}

pub(crate) fn set_int(fd: i32, level: i32, name: i32, value: i32) -> Res {
    set_option(fd, level, name, &value.to_le_bytes())
}

/// `getsockopt` with room for so many bytes.
pub(crate) fn option(fd: i32, level: i32, name: i32, room: usize) -> Result<Vec<u8>, Errno> {
    let mut raw = vec![0u8; room];
    let mut len = room as u32;
    let args = [
        fd.arg(),
        level.arg(),
        name.arg(),
        raw.as_mut_ptr() as usize,
        (&raw mut len) as usize,
        0,
    ];
    // SAFETY: the kernel writes at most the bytes that `len` says, and `len`.
    unsafe { call(libc::SYS_getsockopt, args) }?;
    raw.truncate(len as usize);
    Ok(raw)
}

/// An option that is an `int`.
pub(crate) fn int_option(fd: i32, level: i32, name: i32) -> Result<i32, Errno> {
    let raw = option(fd, level, name, 4)?;
    Ok(i32::from_le_bytes(raw.try_into().unwrap_or([0xFF; 4])))
}

/// One control message, as bytes.
pub(crate) fn control(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
    let mut raw = (16 + data.len()).to_le_bytes().to_vec();
    raw.extend_from_slice(&level.to_le_bytes());
    raw.extend_from_slice(&kind.to_le_bytes());
    raw.extend_from_slice(data);
    raw.resize(raw.len().next_multiple_of(8), 0);
    raw
}

/// `sendmsg` with control messages.
pub(crate) fn send_msg(fd: i32, bytes: &[u8], control: &[u8], flags: i32) -> Res {
    let mut vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: all zero is a header without anything.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_ptr().cast_mut().cast();
    header.msg_controllen = control.len();
    let args = [fd.arg(), (&raw const header) as usize, flags.arg(), 0, 0, 0];
    // SAFETY: the kernel reads what the header says.
    unsafe { call(libc::SYS_sendmsg, args) }
}

/// What `recvmsg` gives: bytes, control messages (level, type, data), flags.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) control: Vec<(i32, i32, Vec<u8>)>,
    pub(crate) flags: i32,
}

/// `recvmsg` with room for so many bytes and so much control data.
pub(crate) fn recv_msg(fd: i32, room: usize, control: usize, flags: i32) -> Result<Message, Errno> {
    let (mut raw, mut extra) = (vec![0u8; room], vec![0u8; control]);
    let mut vector = libc::iovec {
        iov_base: raw.as_mut_ptr().cast(),
        iov_len: room,
    };
    // SAFETY: all zero is a header without anything.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = extra.as_mut_ptr().cast();
    header.msg_controllen = control;
    let args = [fd.arg(), (&raw mut header) as usize, flags.arg(), 0, 0, 0];
    // SAFETY: the kernel writes what the header says.
    let got = unsafe { call(libc::SYS_recvmsg, args) }?;
    raw.truncate(got);
    extra.truncate(header.msg_controllen);
    let mut control = Vec::new();
    let mut rest = &extra[..];
    while rest.len() >= 16 {
        let word = |at: usize| i32::from_le_bytes(rest[at..at + 4].try_into().unwrap_or([0; 4]));
        let len = (word(0) as usize).clamp(16, rest.len());
        control.push((word(8), word(12), rest[16..len].to_vec()));
        rest = &rest[len.next_multiple_of(8).min(rest.len())..];
    }
    let flags = header.msg_flags;
    Ok(Message {
        bytes: raw,
        control,
        flags,
    })
}

/// The address of a unix socket, by path.
pub(crate) fn path(path: &[u8]) -> Vec<u8> {
    [&1u16.to_le_bytes(), path, &[0]].concat()
}

/// The address of a unix socket, by abstract name.
pub(crate) fn abstract_name(name: &[u8]) -> Vec<u8> {
    [&1u16.to_le_bytes(), &[0][..], name].concat()
}

/// 127.0.0.1, or ::1.
pub(crate) fn loopback(v6: bool, port: u16) -> Vec<u8> {
    let mut raw = vec![if v6 { 10 } else { 2 }, 0];
    raw.extend_from_slice(&port.to_be_bytes());
    if v6 {
        raw.extend_from_slice(&[0; 19]);
        raw.extend_from_slice(&[1, 0, 0, 0, 0]);
    } else {
        raw.extend_from_slice(&[127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    raw
}

/// The port of an internet address.
pub(crate) fn port(addr: &[u8]) -> u16 {
    u16::from_be_bytes([addr[2], addr[3]])
}

/// An address with its port left out, for output.
pub(crate) fn without_port(addr: &[u8]) -> Vec<u8> {
    let mut raw = addr.to_vec();
    if raw.len() > 3 {
        raw[2..4].fill(0);
    }
    raw
}

/// What poll says of a descriptor now, whatever is asked for.
pub(crate) fn state(fd: i32) -> String {
    let names = [
        (libc::POLLIN, "IN"),
        (libc::POLLPRI, "PRI"),
        (libc::POLLOUT, "OUT"),
        (libc::POLLERR, "ERR"),
        (libc::POLLHUP, "HUP"),
        (libc::POLLRDHUP, "RDHUP"),
        (libc::POLLRDNORM, "RDNORM"),
        (libc::POLLWRNORM, "WRNORM"),
        (libc::POLLWRBAND, "WRBAND"),
    ];
    let events = names.iter().fold(0, |all, (bit, _)| all | bit);
    let mut fds = [libc::pollfd {
        fd,
        events,
        revents: 0,
    }];
    let _ = file::poll(&mut fds, 0);
    let set = names.iter().filter(|(bit, _)| fds[0].revents & bit != 0);
    set.map(|(_, name)| format!(" {name}")).collect()
}

/// A listener on a free port of the loopback, and a connection: listener, client, server.
pub(crate) fn connected(v6: bool) -> (i32, i32, i32) {
    let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    let listener = open(family, libc::SOCK_STREAM);
    let _ = bind(listener, &loopback(v6, 0));
    let _ = listen(listener, 5);
    let client = open(family, libc::SOCK_STREAM);
    let addr = name(listener).unwrap_or_default();
    if let Err(errno) = connect(client, &addr) {
        crate::out::line(&format!("connect: {errno}"));
    }
    let server = accept(listener, 0).map_or(-1, |(fd, _)| fd);
    (listener, client, server)
}
