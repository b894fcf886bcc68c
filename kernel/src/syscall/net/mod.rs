//! Sockets: making them, naming them, connecting them, their options. Messages are in
//! [`send`] and [`receive`].
//!
//! The work is `net`'s; here addresses and structures are copied, in Linux's order of checks.

mod message;
pub(crate) mod receive;
pub(crate) mod send;

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::addr::UserAddr;
use kiln_core::bpf::Instruction;
use kiln_core::errno::Errno;
use kiln_core::net::addr::STORAGE;
use kiln_core::net::options::{self, so};
use kiln_core::net::{kind, level};

use super::fs::{file, install};
use super::{Call, SysResult, bpf};
use crate::fs::memory::{try_copy, try_zeros};
use crate::fs::{File, Lookup, identity};
use crate::net::{self, Caller, Socket, Ucred};
use crate::process::{pidfd, table, taskstats};

/// Most connections that wait to be accepted (`net.core.somaxconn`).
const SOMAXCONN: i32 = 4096;
/// Most bytes of an option's value.
const MAX_OPTION: usize = 4096;

/// An address argument.
pub(super) struct AddrArg {
    raw: [u8; STORAGE],
    len: usize,
}

impl AddrArg {
    pub(super) fn bytes(&self) -> &[u8] {
        self.raw.get(..self.len).unwrap_or_default()
    }

    /// Copies an address (`move_addr_to_kernel`).
    pub(super) fn read(call: &Call<'_>, at: UserAddr, len: i32) -> Result<Self, Errno> {
        let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
        let mut raw = [0; STORAGE];
        let to = raw.get_mut(..len).ok_or(Errno::EINVAL)?;
        if len > 0 {
            call.space.copy_in(to, at)?;
        }
        Ok(Self { raw, len })
    }
}

/// Tells an address (`move_addr_to_user`): as much as the caller has room for, and its length.
pub(super) fn write_addr(
    call: &Call<'_>,
    raw: &[u8],
    at: UserAddr,
    len_at: UserAddr,
) -> Result<(), Errno> {
    let space = call.space;
    let room: i32 = space.read_val(len_at)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let shown = raw.get(..room.min(raw.len())).unwrap_or(raw);
    if !shown.is_empty() {
        space.copy_out(at, shown)?;
    }
    let len = u32::try_from(raw.len()).map_err(|_| Errno::EINVAL)?;
    space.write_val(len_at, &len)
}

/// Who runs, with the real ids.
fn who_runs() -> Ucred {
    let Some(task) = crate::process::current() else {
        return Ucred::UNKNOWN;
    };
    let creds = task.creds();
    Ucred {
        pid: task.pid(),
        uid: creds.uids.real,
        gid: creds.gids.real,
    }
}

/// Does `work` as the caller.
pub(super) fn with_caller<T>(
    call: &Call<'_>,
    nonblocking: bool,
    work: impl FnOnce(&Caller<'_>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let (context, creds) = (call.fs, call.creds);
    let lookup = Lookup::new(context, identity(creds));
    let peer = Ucred {
        pid: call.task.pid(),
        uid: creds.uids.effective,
        gid: creds.gids.effective,
    };
    work(&Caller {
        lookup: &lookup,
        peer,
        nonblocking,
        meter: taskstats::stats_of,
    })
}

/// Takes a type apart into the type itself and what its flags say: not to wait, to close on exec.
fn split_kind(raw: u32) -> Result<(u32, bool, bool), Errno> {
    let flags = raw & !kind::MASK;
    if flags & !(kind::CLOEXEC | kind::NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let (nonblocking, cloexec) = (flags & kind::NONBLOCK != 0, flags & kind::CLOEXEC != 0);
    Ok((raw & kind::MASK, nonblocking, cloexec))
}

pub(in crate::syscall) fn socket(
    call: &mut Call<'_>,
    family: u32,
    raw_kind: u32,
    protocol: u32,
) -> SysResult {
    let (kind, nonblocking, cloexec) = split_kind(raw_kind)?;
    net::set_who_runs(who_runs);
    let made = with_caller(call, nonblocking, |caller| {
        net::create(caller, family, kind, protocol)
    })?;
    install(call, made, cloexec)
}

pub(in crate::syscall) fn socketpair(
    call: &mut Call<'_>,
    family: u32,
    raw_kind: u32,
    protocol: u32,
    out: UserAddr,
) -> SysResult {
    let (kind, nonblocking, cloexec) = split_kind(raw_kind)?;
    // Linux deals out the numbers and tells them before it looks at what kind of socket is wanted.
    call.space.write_val(out, &[-1, -1])?;
    net::set_who_runs(who_runs);
    let (one, other) = with_caller(call, nonblocking, |caller| {
        net::create_pair(caller, family, kind, protocol)
    })?;
    let first = kiln_core::num::int_arg(install(call, one, cloexec)?);
    let files = call.files;
    let written = install(call, other, cloexec).and_then(|second| {
        let second = kiln_core::num::int_arg(second);
        let told = call.space.write_val(out, &[first, second]);
        if told.is_err() {
            let _ = files.close(second);
        }
        told
    });
    if let Err(error) = written {
        let _ = files.close(first);
        return Err(error);
    }
    Ok(0)
}

pub(in crate::syscall) fn bind(call: &mut Call<'_>, fd: i32, at: UserAddr, len: i32) -> SysResult {
    let file = file(call, fd)?;
    let socket = Socket::of(&file)?;
    let addr = AddrArg::read(call, at, len)?;
    with_caller(call, false, |caller| {
        socket.protocol.bind(caller, addr.bytes())
    })?;
    Ok(0)
}

pub(in crate::syscall) fn connect(
    call: &mut Call<'_>,
    fd: i32,
    at: UserAddr,
    len: i32,
) -> SysResult {
    let file = file(call, fd)?;
    let addr = AddrArg::read(call, at, len)?;
    let socket = Socket::of(&file)?;
    with_caller(call, file.nonblocking(), |caller| {
        socket.protocol.connect(caller, addr.bytes())
    })?;
    Ok(0)
}

pub(in crate::syscall) fn listen(call: &mut Call<'_>, fd: i32, backlog: i32) -> SysResult {
    let file = file(call, fd)?;
    let socket = Socket::of(&file)?;
    // A negative backlog is a large one.
    let backlog = backlog.cast_unsigned().min(SOMAXCONN.cast_unsigned());
    with_caller(call, false, |caller| {
        socket.protocol.listen(caller, backlog)
    })?;
    Ok(0)
}

pub(in crate::syscall) fn accept(
    call: &mut Call<'_>,
    fd: i32,
    at: UserAddr,
    len_at: UserAddr,
) -> SysResult {
    accept4(call, fd, at, len_at, 0)
}

pub(in crate::syscall) fn accept4(
    call: &mut Call<'_>,
    fd: i32,
    at: UserAddr,
    len_at: UserAddr,
    flags: u32,
) -> SysResult {
    let listener = file(call, fd)?;
    if flags & !(kind::CLOEXEC | kind::NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let socket = Socket::of(&listener)?;
    let (made, peer) = with_caller(call, flags & kind::NONBLOCK != 0, |caller| {
        net::accept(caller, socket, listener.nonblocking())
    })?;
    if !at.is_null() {
        write_addr(call, &peer, at, len_at)?;
    }
    install(call, made, flags & kind::CLOEXEC != 0)
}

pub(in crate::syscall) fn shutdown(call: &mut Call<'_>, fd: i32, how: u32) -> SysResult {
    let file = file(call, fd)?;
    let socket = Socket::of(&file)?;
    // SHUT_RD, SHUT_WR, SHUT_RDWR: as bits one more.
    if how > 2 {
        return Err(Errno::EINVAL);
    }
    socket.protocol.shutdown(how + 1)?;
    Ok(0)
}

/// A file that is a socket.
fn socket_file(call: &Call<'_>, fd: i32) -> Result<Arc<File>, Errno> {
    let file = file(call, fd)?;
    Socket::of(&file)?;
    Ok(file)
}

fn tell_name(
    call: &Call<'_>,
    fd: i32,
    name: fn(&Socket) -> Result<Vec<u8>, Errno>,
    at: UserAddr,
    len_at: UserAddr,
) -> SysResult {
    let file = file(call, fd)?;
    let name = name(Socket::of(&file)?)?;
    write_addr(call, &name, at, len_at)?;
    Ok(0)
}

pub(in crate::syscall) fn getsockname(
    call: &mut Call<'_>,
    fd: i32,
    at: UserAddr,
    len_at: UserAddr,
) -> SysResult {
    tell_name(call, fd, |socket| socket.protocol.name(), at, len_at)
}

pub(in crate::syscall) fn getpeername(
    call: &mut Call<'_>,
    fd: i32,
    at: UserAddr,
    len_at: UserAddr,
) -> SysResult {
    tell_name(call, fd, |socket| socket.protocol.peer(), at, len_at)
}

pub(in crate::syscall) fn setsockopt(
    call: &mut Call<'_>,
    fd: i32,
    level: i32,
    name: u32,
    at: UserAddr,
    len: i32,
) -> SysResult {
    let file = file(call, fd)?;
    let socket = Socket::of(&file)?;
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    if (level, name) == (level::SOCKET, so::ATTACH_FILTER) {
        return attach_filter(call, socket, at, len);
    }
    let mut value = try_zeros(len.min(MAX_OPTION))?;
    call.space.copy_in(&mut value, at)?;
    with_caller(call, false, |caller| {
        socket.set_option(caller, level, name, &value)
    })?;
    Ok(0)
}

/// Gives a socket the filter that is described at `at`.
fn attach_filter(call: &Call<'_>, socket: &Socket, at: UserAddr, len: usize) -> SysResult {
    // Any option's value is a number at least.
    if len < size_of::<i32>() {
        return Err(Errno::EINVAL);
    }
    call.space.read_val::<i32>(at)?;
    if len != bpf::DESCRIPTION {
        return Err(Errno::EINVAL);
    }
    let description: [u64; 2] = call.space.read_val(at)?;
    socket.set_filter(|| match description {
        [_, 0] => Err(Errno::EINVAL),
        there => bpf::read(call.space, there),
    })?;
    Ok(0)
}

/// Tells a socket's filter. Lengths are counted in instructions; without any room only that is told.
fn tell_filter(
    call: &Call<'_>,
    socket: &Socket,
    at: UserAddr,
    room: usize,
    len_at: UserAddr,
) -> SysResult {
    let raw = socket.get_option(level::SOCKET, so::ATTACH_FILTER, room)?;
    let count = raw.len() / size_of::<Instruction>();
    if room > 0 && room < count {
        return Err(Errno::EINVAL);
    }
    if room > 0 {
        call.space.copy_out(at, &raw)?;
    }
    let count = u32::try_from(count).map_err(|_| Errno::EINVAL)?;
    call.space.write_val(len_at, &count)?;
    Ok(0)
}

/// A descriptor of the process on the other side.
fn peer_descriptor(call: &Call<'_>, socket: &Socket) -> Result<Vec<u8>, Errno> {
    let creds = socket.get_option(level::SOCKET, so::PEERCRED, usize::MAX)?;
    let pid = match options::int(&creds)?.cast_unsigned() {
        0 => return Err(Errno::ENODATA),
        pid => pid,
    };
    let process = table::process_of(pid).ok_or(Errno::ESRCH)?;
    try_copy(&pidfd::install(call.task, &process, 0)?.to_le_bytes())
}

/// The groups of the other side; how much room they need, too, where there is too little.
fn peer_groups(
    call: &Call<'_>,
    socket: &Socket,
    room: usize,
    len_at: UserAddr,
) -> Result<Vec<u8>, Errno> {
    let groups = socket.get_option(level::SOCKET, so::PEERGROUPS, usize::MAX)?;
    if groups.len() > room {
        let needed = u32::try_from(groups.len()).map_err(|_| Errno::EINVAL)?;
        call.space.write_val(len_at, &needed)?;
        return Err(Errno::ERANGE);
    }
    Ok(groups)
}

pub(in crate::syscall) fn getsockopt(
    call: &mut Call<'_>,
    fd: i32,
    level: i32,
    name: u32,
    at: UserAddr,
    len_at: UserAddr,
) -> SysResult {
    let file: Arc<File> = file(call, fd)?;
    let socket = Socket::of(&file)?;
    let space = call.space;
    let room: i32 = space.read_val(len_at)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    if (level, name) == (level::SOCKET, so::ATTACH_FILTER) {
        return tell_filter(call, socket, at, room, len_at);
    }
    let value = match (level, name) {
        (level::SOCKET, so::PEERPIDFD) => peer_descriptor(call, socket)?,
        (level::SOCKET, so::PEERGROUPS) => peer_groups(call, socket, room, len_at)?,
        _ => socket.get_option(level, name, room)?,
    };
    let shown = value.get(..room.min(value.len())).unwrap_or(&value);
    let len = u32::try_from(shown.len()).map_err(|_| Errno::EINVAL)?;
    let told = space.copy_out(at, shown);
    if let Err(error) = told.and_then(|()| space.write_val(len_at, &len)) {
        // Nobody knows the number of what was opened for the answer.
        if (level, name) == (level::SOCKET, so::PEERPIDFD) {
            let _ = call.task.files()?.close(options::int(&value)?);
        }
        return Err(error);
    }
    Ok(0)
}
