//! POSIX message queues (mq_overview(7)). The work is `process::ipc::mqueue`'s.

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::ipc::posix::{ATTR_SIZE, Message, PRIORITIES};
use kiln_core::num::{low32, u64_of};
use kiln_core::signal::Signal;

use super::fs::{install, with_lookup};
use super::time::{absolute_deadline, read_timespec};
use super::{Call, SysResult};
use crate::fs::memory::try_zeros;
use crate::net::Socket;
use crate::process::ipc::mqueue::notify::{COOKIE, How, Notify};
use crate::process::ipc::mqueue::{self, Queue, tree};

/// `struct mq_attr` as words: flags, most messages, bytes of one, messages now, and room.
type Attr = [u64; ATTR_SIZE / 8];
/// `struct sigevent` as words: value, signal and kind, and what isn't looked at.
type SigEvent = [u64; 8];

pub(super) fn mq_open(
    call: &mut Call<'_>,
    name: UserAddr,
    flags: u32,
    mode: u32,
    attr: UserAddr,
) -> SysResult {
    let space = call.space;
    let asked = if attr.is_null() {
        None
    } else {
        let [_, messages, size, ..]: Attr = space.read_val(attr)?;
        Some((messages.cast_signed(), size.cast_signed()))
    };
    let name = space.copy_path(name)?;
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    let flags = OpenFlags { raw: flags, mode };
    let file = with_lookup(call, None, |lookup| {
        tree::open(lookup, &name, flags, mode, asked)
    })?;
    install(call, file, true)
}

pub(super) fn mq_unlink(call: &mut Call<'_>, name: UserAddr) -> SysResult {
    let name = call.space.copy_path(name)?;
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    with_lookup(call, None, |lookup| tree::unlink(lookup, &name)).map(|()| 0)
}

/// The point in time until which a call waits; none for a null address.
fn deadline(call: &Call<'_>, at: UserAddr) -> Result<Option<u64>, Errno> {
    if at.is_null() {
        return Ok(None);
    }
    let ns = read_timespec(call, at)?.to_ns()?;
    Ok(Some(absolute_deadline(ns, true)))
}

pub(super) fn mq_timedsend(
    call: &mut Call<'_>,
    fd: i32,
    text: UserAddr,
    len: usize,
    priority: u32,
    timeout: UserAddr,
) -> SysResult {
    let deadline = deadline(call, timeout)?;
    if priority >= PRIORITIES {
        return Err(Errno::EINVAL);
    }
    let file = call.files.get(fd)?;
    let queue = Queue::of(&file)?;
    mqueue::check_access(&file, true)?;
    if len > queue.message_size() {
        return Err(Errno::EMSGSIZE);
    }
    let mut bytes = try_zeros(len)?;
    call.space.copy_in(&mut bytes, text)?;
    let message = Message {
        priority,
        text: bytes,
    };
    queue.send(&file, message, deadline).map(|()| 0)
}

pub(super) fn mq_timedreceive(
    call: &mut Call<'_>,
    fd: i32,
    text: UserAddr,
    room: usize,
    priority: UserAddr,
    timeout: UserAddr,
) -> SysResult {
    let deadline = deadline(call, timeout)?;
    let file = call.files.get(fd)?;
    let queue = Queue::of(&file)?;
    mqueue::check_access(&file, false)?;
    if room < queue.message_size() {
        return Err(Errno::EMSGSIZE);
    }
    let message = queue.receive(&file, deadline)?;
    let space = call.space;
    if !priority.is_null() {
        space.write_val(priority, &message.priority)?;
    }
    space.copy_out(text, &message.text)?;
    Ok(u64_of(message.text.len()))
}

pub(super) fn mq_notify(call: &mut Call<'_>, fd: i32, event: UserAddr) -> SysResult {
    let notify = if event.is_null() {
        None
    } else {
        let event: SigEvent = call.space.read_val(event)?;
        Some(Notify::caller(how(call, &event)?)?)
    };
    let file = call.files.get(fd)?;
    let queue = Queue::of(&file)?;
    match notify {
        None => queue.unregister(&file.inode),
        Some(notify) => queue.register(&file.inode, notify)?,
    }
    Ok(0)
}

/// What a `struct sigevent` asks for.
fn how(call: &Call<'_>, [value, what, ..]: &SigEvent) -> Result<How, Errno> {
    let (signal, kind) = (low32(*what), low32(*what >> 32));
    match kind {
        abi::SIGEV_NONE => Ok(How::None),
        abi::SIGEV_SIGNAL if signal == 0 => Ok(How::Signal(None, *value)),
        abi::SIGEV_SIGNAL => {
            let signal = Signal::new(signal).ok_or(Errno::EINVAL)?;
            Ok(How::Signal(Some(signal), *value))
        }
        // The signal's number is a socket's, and the value is the address of what it is sent.
        abi::SIGEV_THREAD => {
            let mut cookie = [0; COOKIE];
            let space = call.space;
            space.copy_in(&mut cookie, UserAddr::new(*value))?;
            let file = call.files.get(signal.cast_signed())?;
            let protocol = &Socket::of(&file)?.protocol;
            if !protocol.takes_notices() {
                return Err(Errno::EINVAL);
            }
            Ok(How::Socket(protocol.clone(), cookie))
        }
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn mq_getsetattr(
    call: &mut Call<'_>,
    fd: i32,
    new: UserAddr,
    old: UserAddr,
) -> SysResult {
    let nonblocking = u64::from(abi::O_NONBLOCK);
    let space = call.space;
    let wanted = if new.is_null() {
        None
    } else {
        let [flags, ..]: Attr = space.read_val(new)?;
        if flags & !nonblocking != 0 {
            return Err(Errno::EINVAL);
        }
        Some(flags & nonblocking != 0)
    };
    let file = call.files.get(fd)?;
    let [messages, size, count] = Queue::of(&file)?.told();
    let told: Attr = [mqueue::flags_of(&file), messages, size, count, 0, 0, 0, 0];
    if let Some(on) = wanted {
        file.set_flag(abi::O_NONBLOCK, on);
        tree::touch_access(&file.inode);
    }
    if !old.is_null() {
        space.write_val(old, &told)?;
    }
    Ok(0)
}
