//! Sending and receiving on sockets: `sendto`, `recvfrom`, `sendmsg`, `recvmsg`, `sendmmsg`,
//! `recvmmsg`, and the control messages that go with them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::net::addr::STORAGE;
use kiln_core::net::cmsg::{self, Builder, Cmsg, HEADER, MAX_FDS, Parser};
use kiln_core::net::{family, level, msg};
use kiln_core::num::{int_arg, low32, u64_of, usize_of};

use super::{AddrArg, socket_file, write_addr};
use crate::arch::time::now_ns;
use crate::fs::memory::{try_push, try_zeros};
use crate::fs::{File, Lookup, identity};
use crate::net::{self, Outgoing, Received, Socket, Ucred};
use crate::syscall::fs::descriptor_limit;
use crate::syscall::fs::io::{MAX_COUNT, vectors, written};
use crate::syscall::{Call, SysResult};
use crate::vm::{IoDst, IoSrc, IoVec};

/// Most buffers, or messages, of one call (`UIO_MAXIOV`).
const MAX_VECTORS: u64 = 1024;
/// Bytes of `struct mmsghdr`.
const MMSGHDR: u64 = 64;
/// Where its `msg_len` is.
const MMSGHDR_LEN: u64 = 56;
/// Where `msg_namelen`, `msg_controllen` and `msg_flags` are in `struct msghdr`.
const NAME_LEN: u64 = 8;
const CONTROL_LEN: u64 = 40;
const FLAGS: u64 = 48;
/// Most bytes of a sender's control buffer (`net.core.optmem_max`).
const MAX_CONTROL: usize = 131_072;
/// `MSG_CMSG_COMPAT`, for programs of 32 bits.
const COMPAT: u32 = 0x8000_0000;

/// `struct msghdr`.
struct Header {
    name: UserAddr,
    name_len: i32,
    vectors: UserAddr,
    vector_count: u64,
    control: UserAddr,
    control_len: usize,
}

impl Header {
    fn read(call: &Call<'_>, at: UserAddr) -> Result<Self, Errno> {
        let words: [u64; 7] = call.task.space()?.read_val(at)?;
        let [
            name,
            name_len,
            vectors,
            vector_count,
            control,
            control_len,
            _,
        ] = words;
        let name = UserAddr::new(name);
        let mut name_len = int_arg(name_len);
        if name.is_null() {
            name_len = 0;
        }
        if name_len < 0 {
            return Err(Errno::EINVAL);
        }
        if vector_count > MAX_VECTORS {
            return Err(Errno::EMSGSIZE);
        }
        Ok(Self {
            name,
            name_len: name_len.min(i32::try_from(STORAGE).unwrap_or(i32::MAX)),
            vectors: UserAddr::new(vectors),
            vector_count,
            control: UserAddr::new(control),
            control_len: usize_of(control_len),
        })
    }

    fn buffers(&self, call: &Call<'_>) -> Result<Vec<IoVec>, Errno> {
        vectors(&call.task.space()?, self.vectors, self.vector_count)
    }
}

/// A buffer as one vector; EFAULT for one that no program can have.
fn single(base: UserAddr, len: usize) -> Result<IoVec, Errno> {
    let len = len.min(MAX_COUNT);
    if !base.range_is_user(len) {
        return Err(Errno::EFAULT);
    }
    Ok(IoVec { base, len })
}

/// Sends, and tells of a broken connection as Linux does.
fn send(
    call: &Call<'_>,
    file: &Arc<File>,
    buffers: &[IoVec],
    to: Option<&[u8]>,
    out: Outgoing<'_>,
) -> SysResult {
    let socket = Socket::of(file)?;
    let (context, creds) = (call.task.fs()?, call.task.creds());
    let lookup = Lookup::new(&context, identity(&creds));
    let flags = out.flags;
    let out = Outgoing {
        lookup: Some(&lookup),
        to,
        nonblocking: file.nonblocking() || flags & msg::DONTWAIT != 0,
        ..out
    };
    let space = call.task.space()?;
    let sent = socket.protocol.send(&mut IoSrc::user(&space, buffers), out);
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
    call.task.space()?.copy_in(&mut raw, header.control)?;
    let family = Socket::of(file)?.common().family;
    for message in Parser::new(&raw) {
        let message = message?;
        match (message.level, family) {
            (level::SOCKET, _) => socket_control(call, family, &message, out)?,
            (level::IP | level::IPV6, family::INET | family::INET6) => {
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
    let files = call.task.files()?;
    if out.files.len() + data.len() / 4 > MAX_FDS {
        return Err(Errno::EINVAL);
    }
    for raw in data.chunks_exact(4) {
        let fd = raw.try_into().map(i32::from_le_bytes);
        let file = files.get_any(fd.map_err(|_| Errno::EINVAL)?)?;
        try_push(&mut out.files, file)?;
    }
    let creds = call.task.creds();
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
    let creds: Arc<Credentials> = call.task.creds();
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

/// Goes through an array of `struct mmsghdr`, while `go_on` says so after each: `one` carries a message
/// out and answers its length, which is told behind it. An error after the first one isn't told.
fn each_message(
    call: &Call<'_>,
    at: UserAddr,
    count: u32,
    mut one: impl FnMut(UserAddr) -> SysResult,
    go_on: impl Fn() -> bool,
) -> SysResult {
    let (mut done, mut here) = (0, at);
    while done < u64::from(count).min(MAX_VECTORS) {
        let told = one(here).and_then(|len| {
            let to = here.checked_add(MMSGHDR_LEN).ok_or(Errno::EFAULT)?;
            call.task.space()?.write_val(to, &low32(len))
        });
        match told {
            Ok(()) => done += 1,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        if !go_on() {
            break;
        }
        here = here.checked_add(MMSGHDR).ok_or(Errno::EFAULT)?;
    }
    Ok(done)
}

/// Receives into the buffers.
fn receive(
    call: &Call<'_>,
    file: &File,
    buffers: &[IoVec],
    flags: u32,
    received: &mut Received,
) -> Result<usize, Errno> {
    let socket = Socket::of(file)?;
    let nonblocking = file.nonblocking() || flags & msg::DONTWAIT != 0;
    let space = call.task.space()?;
    let mut dst = IoDst::user(&space, buffers);
    socket.protocol.recv(&mut dst, flags, nonblocking, received)
}

pub(in crate::syscall) fn recvfrom(
    call: &mut Call<'_>,
    fd: i32,
    buf: UserAddr,
    len: usize,
    flags: u32,
    addr: UserAddr,
    addr_len: UserAddr,
) -> SysResult {
    let buffer = single(buf, len)?;
    let file = socket_file(call, fd)?;
    let mut received = Received::default();
    let done = receive(call, &file, &[buffer], flags, &mut received)?;
    if !addr.is_null() {
        let name = received.name();
        write_addr(call, name, addr, addr_len)?;
    }
    Ok(u64_of(done))
}

pub(in crate::syscall) fn recvmsg(
    call: &mut Call<'_>,
    fd: i32,
    at: UserAddr,
    flags: u32,
) -> SysResult {
    if flags & COMPAT != 0 {
        return Err(Errno::EINVAL);
    }
    let file = socket_file(call, fd)?;
    receive_one(call, &file, at, flags)
}

fn receive_one(call: &Call<'_>, file: &File, at: UserAddr, flags: u32) -> SysResult {
    let header = Header::read(call, at)?;
    let buffers = header.buffers(call)?;
    let mut received = Received::default();
    let plain = flags & !(msg::CMSG_CLOEXEC | msg::WAITFORONE);
    let done = receive(call, file, &buffers, plain, &mut received)?;
    let space = call.task.space()?;
    let field = |offset: u64| at.checked_add(offset).ok_or(Errno::EFAULT);
    if !header.name.is_null() {
        let name = received.name();
        let room = usize::try_from(header.name_len).unwrap_or(0);
        let shown = name.get(..room.min(name.len())).unwrap_or_default();
        if !shown.is_empty() {
            space.copy_out(header.name, shown)?;
        }
        let len = u32::try_from(name.len()).unwrap_or(0);
        space.write_val(field(NAME_LEN)?, &len)?;
    }
    let control = write_control(call, file, &header, flags, &mut received)?;
    let told = received.flags | flags & msg::CMSG_CLOEXEC;
    space.write_val(field(FLAGS)?, &told)?;
    space.write_val(field(CONTROL_LEN)?, &u64_of(control))?;
    Ok(u64_of(done))
}

/// Fills the receiver's control buffer; how many bytes of it were used.
fn write_control(
    call: &Call<'_>,
    file: &File,
    header: &Header,
    flags: u32,
    received: &mut Received,
) -> Result<usize, Errno> {
    let room = match header.control.is_null() {
        true => 0,
        false => header.control_len.min(MAX_CONTROL),
    };
    let mut control = Builder::new(room);
    Socket::of(file)?.describe(received, &mut control);
    let files = core::mem::take(&mut received.files);
    if !files.is_empty() {
        let cloexec = flags & msg::CMSG_CLOEXEC != 0;
        let wanted = files.len();
        let list = install_files(call, files, control.data_room() / 4, cloexec)?;
        if list.len() < wanted * 4 {
            received.flags |= msg::CTRUNC;
        }
        if !list.is_empty() {
            control.put(level::SOCKET, cmsg::RIGHTS, &list);
        }
    }
    if control.truncated {
        received.flags |= msg::CTRUNC;
    }
    let raw = control.finish();
    if !raw.is_empty() {
        call.task.space()?.copy_out(header.control, &raw)?;
    }
    Ok(raw.len())
}

/// Puts files behind descriptors, as many as there is room for; the descriptors as bytes.
fn install_files(
    call: &Call<'_>,
    files: Vec<Arc<File>>,
    room: usize,
    cloexec: bool,
) -> Result<Vec<u8>, Errno> {
    let (table, limit) = (call.task.files()?, descriptor_limit(call));
    let mut list = Vec::new();
    list.try_reserve_exact(files.len() * 4)
        .map_err(|_| Errno::ENOMEM)?;
    for file in files.into_iter().take(room) {
        match table.install(file, cloexec, limit) {
            Ok(fd) => list.extend_from_slice(&fd.to_le_bytes()),
            Err(_) => break,
        }
    }
    Ok(list)
}

pub(in crate::syscall) fn recvmmsg(
    call: &mut Call<'_>,
    fd: i32,
    at: UserAddr,
    count: u32,
    flags: u32,
    timeout: UserAddr,
) -> SysResult {
    if flags & COMPAT != 0 {
        return Err(Errno::EINVAL);
    }
    let deadline = match timeout.is_null() {
        true => None,
        false => {
            let span = crate::syscall::time::read_timespec(call, timeout)?.to_ns()?;
            Some(now_ns().saturating_add(span))
        }
    };
    let file = socket_file(call, fd)?;
    let mut flags = flags;
    let receive = |here| {
        let done = receive_one(call, &file, here, flags);
        if flags & msg::WAITFORONE != 0 {
            flags |= msg::DONTWAIT;
        }
        done
    };
    let in_time = || deadline.is_none_or(|deadline| now_ns() < deadline);
    let got = each_message(call, at, count, receive, in_time)?;
    if let Some(deadline) = deadline {
        let left = kiln_core::time::Timespec::from_ns(deadline.saturating_sub(now_ns()));
        call.task.space()?.copy_out(timeout, &left.encode())?;
    }
    Ok(got)
}

const _: () = assert!(HEADER == 16, "struct cmsghdr");
