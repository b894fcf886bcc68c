//! Asynchronous input and output: `io_setup`, `io_submit`, `io_getevents` and their kin.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::{high32, low16, low32, u64_of, usize_of};
use kiln_core::vma::Prot;

use super::io::MAX_COUNT;
use super::poll::{Until, mask_argument, read_timespec, with_mask};
use super::vectored::vectors;
use super::{Call, SysResult, file, rwf};
use crate::fs::aio::{self, Context};
use crate::fs::{File, eventfd};
use crate::sched::{Mode, Wake};
use crate::vm::{IoDst, IoSrc, MapRequest};

/// Bytes of `struct io_event`.
const EVENT_SIZE: u64 = 32;
/// Most requests of a context: as many events as Linux lets there be bytes.
const MAX_ROOM: u32 = 0x1000_0000 / 32;

/// `struct iocb` (linux/aio_abi.h).
struct Request {
    data: u64,
    flags: u32,
    opcode: u16,
    fd: i32,
    buf: u64,
    len: u64,
    offset: u64,
    /// Where it lies.
    at: u64,
    event_fd: Option<i32>,
}

/// Bytes of `struct iocb`, in words of eight.
type RawRequest = [u64; 8];

impl Request {
    fn read(call: &Call<'_>, at: u64) -> Result<Self, Errno> {
        /// `IOCB_FLAG_RESFD`.
        const TELLS: u32 = 1;
        let raw: RawRequest = call.space.read_val(UserAddr::new(at))?;
        let [data, key, what, buf, len, offset, reserved, tail] = raw;
        let opcode = low16(what);
        if reserved != 0 || i64::try_from(len).is_err() {
            return Err(Errno::EINVAL);
        }
        let tells = low32(tail) & TELLS != 0;
        Ok(Self {
            data,
            flags: high32(key),
            opcode,
            fd: high32(what).cast_signed(),
            buf,
            len,
            offset,
            at,
            event_fd: tells.then(|| high32(tail).cast_signed()),
        })
    }
}

pub(in crate::syscall) fn io_setup(call: &mut Call<'_>, room: u32, at: UserAddr) -> SysResult {
    let space = call.space;
    let old: u64 = space.read_val(at)?;
    if old != 0 || room == 0 || room > MAX_ROOM {
        return Err(Errno::EINVAL);
    }
    if u64::from(room) > aio::MAX_REQUESTS.load(core::sync::atomic::Ordering::Relaxed) {
        return Err(Errno::EAGAIN);
    }
    let ring = space.mmap(MapRequest {
        addr: 0,
        len: u64_of(PAGE_SIZE),
        prot: Prot::READ | Prot::WRITE,
        flags: abi::MAP_PRIVATE | abi::MAP_ANONYMOUS,
        file: None,
        offset: 0,
        low: false,
    })?;
    let unmap = || space.munmap(ring.raw(), u64_of(PAGE_SIZE));
    if let Err(errno) = aio::create(space, ring.raw(), usize_of(u64::from(room))) {
        unmap()?;
        return Err(errno);
    }
    if let Err(errno) = space.write_val(at, &ring.raw()) {
        aio::remove(space, ring.raw())?;
        unmap()?;
        return Err(errno);
    }
    Ok(0)
}

pub(in crate::syscall) fn io_destroy(call: &mut Call<'_>, context: u64) -> SysResult {
    let space = call.space;
    aio::remove(space, context)?;
    space.munmap(context, u64_of(PAGE_SIZE)).map(|()| 0)
}

pub(in crate::syscall) fn io_submit(
    call: &mut Call<'_>,
    context: u64,
    count: i64,
    list: UserAddr,
) -> SysResult {
    let count = u64::try_from(count).map_err(|_| Errno::EINVAL)?;
    let context = aio::find(call.space, context)?;
    let count = count.min(u64_of(context.room()));
    for index in 0..count {
        let done = list
            .checked_add(index * 8)
            .ok_or(Errno::EFAULT)
            .and_then(|at| call.space.read_val::<u64>(at))
            .and_then(|at| submit(call, &context, at));
        match done {
            Ok(()) => {}
            Err(errno) if index == 0 => return Err(errno),
            Err(_) => return Ok(index),
        }
    }
    Ok(count)
}

/// Carries one request out; an error is one of the request itself, for which there is no event.
fn submit(call: &Call<'_>, context: &Context, at: u64) -> Result<(), Errno> {
    let request = Request::read(call, at)?;
    if !context.has_room() {
        return Err(Errno::EAGAIN);
    }
    let file = file(call, request.fd)?;
    let told = match request.event_fd {
        Some(fd) => Some(super::file(call, fd)?),
        None => None,
    };
    if let Some(told) = &told {
        eventfd::check(told)?;
    }
    // The kernel's mark, by which a request would be cancelled.
    let key = UserAddr::new(at).checked_add(8).ok_or(Errno::EFAULT)?;
    call.space.write_val(key, &0u32)?;
    let result = match carry_out(call, &file, &request)? {
        Ok(done) => u64_of(done),
        Err(errno) => errno.to_return(),
    };
    context.push([request.data, request.at, result, 0]);
    if let Some(told) = told {
        eventfd::signal(&told);
    }
    Ok(())
}

/// The outer error is told at once, the inner one by the event.
fn carry_out(
    call: &Call<'_>,
    file: &Arc<File>,
    request: &Request,
) -> Result<Result<usize, Errno>, Errno> {
    const PREAD: u16 = 0;
    const PWRITE: u16 = 1;
    const FSYNC: u16 = 2;
    const FDSYNC: u16 = 3;
    const PREADV: u16 = 7;
    const PWRITEV: u16 = 8;
    match request.opcode {
        PREAD | PREADV => file.check_readable()?,
        PWRITE | PWRITEV => file.check_writable()?,
        FSYNC | FDSYNC => {
            if request.buf | request.len | request.offset | u64::from(request.flags) != 0 {
                return Err(Errno::EINVAL);
            }
            return Ok(file.ops.sync(file, request.opcode == FDSYNC).map(|()| 0));
        }
        _ => return Err(Errno::EINVAL),
    }
    let flags = request.flags;
    rwf::check(file, flags, matches!(request.opcode, PWRITE | PWRITEV))?;
    let stream = file.is_stream();
    if !stream && i64::try_from(request.offset).is_err() {
        return Err(Errno::EINVAL);
    }
    let space = call.space;
    let buf = UserAddr::new(request.buf);
    let list;
    let (mut dst, mut src);
    if matches!(request.opcode, PREADV | PWRITEV) {
        list = vectors(space, buf, request.len)?;
        (dst, src) = (IoDst::user(space, &list), IoSrc::user(space, &list));
    } else {
        let len = usize_of(request.len).min(MAX_COUNT);
        if !buf.range_is_user(len) {
            return Err(Errno::EFAULT);
        }
        dst = IoDst::user_buf(space, buf, len);
        src = IoSrc::user_buf(space, buf, len);
    }
    src.appends = flags & abi::RWF_APPEND != 0;
    if flags & abi::RWF_NOWAIT != 0
        && let Err(error) = rwf::limit_to_ready(file, request.offset, &mut dst)
    {
        return Ok(Err(error));
    }
    let done = match (request.opcode, stream) {
        (PREAD | PREADV, true) => file.read(&mut dst),
        (PREAD | PREADV, false) => file.read_at(&mut dst, request.offset),
        (_, true) => file.write(&mut src),
        (_, false) => file.write_at(&mut src, request.offset),
    };
    Ok(rwf::settle(file, flags, done))
}

/// Hands over between `least` and `most` events.
fn events(
    call: &Call<'_>,
    context: u64,
    (least, most): (i64, i64),
    to: UserAddr,
    until: Until,
) -> SysResult {
    let space = call.space;
    let context = aio::find(space, context)?;
    let (Ok(least), Ok(most)) = (u64::try_from(least), u64::try_from(most)) else {
        return Err(Errno::EINVAL);
    };
    if least > most {
        return Err(Errno::EINVAL);
    }
    let deadline = match until {
        Until::Time(deadline) => Some(deadline),
        _ => None,
    };
    let mut count = 0;
    while count < most {
        let next = match (context.pop(), until) {
            (None, _) if count >= least => break,
            (None, Until::Now) => break,
            (None, _) => context
                .queue()
                .wait(Mode::Interruptible, deadline, || context.pop()),
            (Some(event), _) => Ok(event),
        };
        let event = match next {
            Ok(event) => event,
            Err(Wake::Signal) if count == 0 => return Err(Errno::EINTR),
            Err(_) => break,
        };
        let at = to.checked_add(count * EVENT_SIZE).ok_or(Errno::EFAULT);
        match at.and_then(|at| space.write_val(at, &event)) {
            Ok(()) => count += 1,
            Err(errno) if count == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(count)
}

pub(in crate::syscall) fn io_getevents(
    call: &mut Call<'_>,
    context: u64,
    least: i64,
    most: i64,
    to: UserAddr,
    timeout: UserAddr,
) -> SysResult {
    let until = read_timespec(call.space, timeout)?;
    events(call, context, (least, most), to, until)
}

pub(in crate::syscall) fn io_pgetevents(
    call: &mut Call<'_>,
    context: u64,
    least: i64,
    most: i64,
    to: UserAddr,
    timeout: UserAddr,
    mask: UserAddr,
) -> SysResult {
    let space = call.space;
    let until = read_timespec(space, timeout)?;
    let mask = mask_argument(space, mask)?;
    let result = with_mask(call.task, space, mask, || {
        match events(call, context, (least, most), to, until) {
            // The mask holds until the handler of the signal that ended the wait has run.
            Err(Errno::EINTR) => Err(Errno::ERESTARTNOHAND),
            result => result,
        }
    });
    match result {
        Err(Errno::ERESTARTNOHAND) => Err(Errno::EINTR),
        result => result,
    }
}

/// Nothing is ever under way that could be cancelled.
pub(in crate::syscall) fn io_cancel(
    call: &mut Call<'_>,
    context: u64,
    request: UserAddr,
    _result: UserAddr,
) -> SysResult {
    let space = call.space;
    let _key: u32 = space.read_val(request.checked_add(8).ok_or(Errno::EFAULT)?)?;
    aio::find(space, context)?;
    Err(Errno::EINVAL)
}
