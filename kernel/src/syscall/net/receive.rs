//! Receiving on sockets: `recvfrom`, `recvmsg`, `recvmmsg`, and the control messages and descriptors that come with
//! messages.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::net::cmsg::{self, Builder};
use kiln_core::net::{level, msg};
use kiln_core::num::u64_of;
use kiln_core::time::Timespec;

use super::message::{COMPAT, Header, MAX_CONTROL, each_message, single};
use super::{socket_file, write_addr};
use crate::arch::time::now_ns;
use crate::fs::File;
use crate::net::{Received, Socket};
use crate::syscall::fs::descriptor_limit;
use crate::syscall::time::read_timespec;
use crate::syscall::{Call, SysResult};
use crate::vm::{IoDst, IoVec};

/// Where `msg_namelen`, `msg_controllen` and `msg_flags` are in `struct msghdr`.
const NAME_LEN: u64 = 8;
const CONTROL_LEN: u64 = 40;
const FLAGS: u64 = 48;

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
    let space = call.space;
    let mut dst = IoDst::user(space, buffers);
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
    let space = call.space;
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
        call.space.copy_out(header.control, &raw)?;
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
    let (table, limit) = (call.files, descriptor_limit(call));
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
            let span = read_timespec(call, timeout)?.to_ns()?;
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
        let left = Timespec::from_ns(deadline.saturating_sub(now_ns()));
        call.space.copy_out(timeout, &left.encode())?;
    }
    Ok(got)
}
