//! Sending on sockets: `sendto`, `sendmsg`, `sendmmsg`, and the control messages that go out with them.

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::net::cmsg::{self, Cmsg, MAX_FDS, Parser};
use kiln_core::net::{family, level, msg};
use kiln_core::num::u64_of;

use super::message::{COMPAT, Header, MAX_CONTROL, each_message, single};
use super::{AddrArg, socket_file};
use crate::fs::memory::{try_push, try_zeros};
use crate::fs::{File, Lookup, identity};
use crate::net::{self, Outgoing, Socket, Ucred};
use crate::syscall::fs::descriptor_limit;
use crate::syscall::fs::io::written;
use crate::syscall::{Call, SysResult};
use crate::vm::{IoSrc, IoVec};

/// Sends, and tells of a broken connection as Linux does.
fn send(
    call: &Call<'_>,
    file: &Arc<File>,
    buffers: &[IoVec],
    to: Option<&[u8]>,
    out: Outgoing<'_>,
) -> SysResult {
    let socket = Socket::of(file)?;
    let (context, creds) = (call.fs, call.creds);
    let lookup = Lookup::new(context, identity(creds));
    let flags = out.flags;
    let out = Outgoing {
        lookup: Some(&lookup),
        to,
        nonblocking: file.nonblocking() || flags & msg::DONTWAIT != 0,
        ..out
    };
    let space = call.space;
    let sent = socket.protocol.send(&mut IoSrc::user(space, buffers), out);
    match flags & msg::NOSIGNAL != 0 {
        true => sent.map(u64_of),
        false => written(call, file, sent),
    }
}

pub(in crate::syscall) fn sendto(
    call: &mut Call<'_>,
    fd: i32,
    buf: UserAddr,
    len: usize,
    flags: u32,
    addr: UserAddr,
    addr_len: i32,
) -> SysResult {
    let buffer = single(buf, len)?;
    let file = socket_file(call, fd)?;
    let to = match addr.is_null() {
        true => None,
        false => Some(AddrArg::read(call, addr, addr_len)?),
    };
    let to = to
        .as_ref()
        .map(AddrArg::bytes)
        .filter(|raw| !raw.is_empty());
    let out = Outgoing {
        flags,
        ..Outgoing::default()
    };
    send(call, &file, &[buffer], to, out)
}

pub(in crate::syscall) fn sendmsg(
    call: &mut Call<'_>,
    fd: i32,
    at: UserAddr,
    flags: u32,
) -> SysResult {
    if flags & COMPAT != 0 {
        return Err(Errno::EINVAL);
    }
    let file = socket_file(call, fd)?;
    send_one(call, &file, at, flags)
}

fn send_one(call: &Call<'_>, file: &Arc<File>, at: UserAddr, flags: u32) -> SysResult {
    let header = Header::read(call, at)?;
    let to = match header.name_len {
        0 => None,
        len => Some(AddrArg::read(call, header.name, len)?),
    };
    let buffers = header.buffers(call)?;
    let mut out = Outgoing {
        flags,
        ..Outgoing::default()
    };
    if header.control_len > 0 {
        read_control(call, file, &header, &mut out)?;
    }
    send(call, file, &buffers, to.as_ref().map(AddrArg::bytes), out)
}

/// Reads the control messages of a sender.
fn read_control(
    call: &Call<'_>,
    file: &File,
    header: &Header,
    out: &mut Outgoing<'_>,
) -> Result<(), Errno> {
    if header.control_len > MAX_CONTROL {
        return Err(Errno::ENOBUFS);
    }
    let mut raw = try_zeros(header.control_len)?;
    call.space.copy_in(&mut raw, header.control)?;
    let family = Socket::of(file)?.common().family();
    for message in Parser::new(&raw) {
        let message = message?;
        match (message.level, family) {
            (level::SOCKET, _) => socket_control(call, family, &message, out)?,
            (level::IP | level::IPV6 | level::UDP, family::INET | family::INET6) => {
                net::read_control(&message, out)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn socket_control(
    call: &Call<'_>,
    family: u16,
    message: &Cmsg<'_>,
    out: &mut Outgoing<'_>,
) -> Result<(), Errno> {
    match message.kind {
        cmsg::RIGHTS if family == family::UNIX => take_files(call, message.data, out),
        cmsg::CREDENTIALS if family == family::UNIX => {
            out.creds = Some(claimed(call, message.data)?);
            out.creds_given = true;
            Ok(())
        }
        cmsg::RIGHTS | cmsg::CREDENTIALS if family != family::NETLINK => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

fn take_files(call: &Call<'_>, data: &[u8], out: &mut Outgoing<'_>) -> Result<(), Errno> {
    let files = call.files;
    if out.files.len() + data.len() / 4 > MAX_FDS {
        return Err(Errno::EINVAL);
    }
    for raw in data.chunks_exact(4) {
        let fd = raw.try_into().map(i32::from_le_bytes);
        let file = files.get_any(fd.map_err(|_| Errno::EINVAL)?)?;
        try_push(&mut out.files, file)?;
    }
    let creds = call.creds;
    let privileged = creds.has(abi::CAP_SYS_RESOURCE) || creds.has(abi::CAP_SYS_ADMIN);
    if !privileged && net::in_flight() > descriptor_limit(call) {
        return Err(Errno::ETOOMANYREFS);
    }
    Ok(())
}

/// Who a sender says it is: itself, unless it may say otherwise (unix(7)).
fn claimed(call: &Call<'_>, data: &[u8]) -> Result<Ucred, Errno> {
    let [pid, uid, gid] = *data.as_chunks::<4>().0 else {
        return Err(Errno::EINVAL);
    };
    if data.len() != 12 {
        return Err(Errno::EINVAL);
    }
    let claim = Ucred {
        pid: u32::from_le_bytes(pid),
        uid: u32::from_le_bytes(uid),
        gid: u32::from_le_bytes(gid),
    };
    let creds = call.creds;
    let own = |ids: kiln_core::cred::Ids, id| [ids.real, ids.effective, ids.saved].contains(&id);
    let pid = claim.pid == call.task.pid() || creds.has(abi::CAP_SYS_ADMIN);
    let uid = own(creds.uids, claim.uid) || creds.has(abi::CAP_SETUID);
    let gid = own(creds.gids, claim.gid) || creds.has(abi::CAP_SETGID);
    if !(pid && uid && gid) {
        return Err(Errno::EPERM);
    }
    if crate::process::table::process_of(claim.pid).is_none() {
        return Err(Errno::ESRCH);
    }
    Ok(claim)
}

pub(in crate::syscall) fn sendmmsg(
    call: &mut Call<'_>,
    fd: i32,
    at: UserAddr,
    count: u32,
    flags: u32,
) -> SysResult {
    if flags & COMPAT != 0 {
        return Err(Errno::EINVAL);
    }
    let file = socket_file(call, fd)?;
    let send = |here| send_one(call, &file, here, flags);
    each_message(call, at, count, send, || true)
}
