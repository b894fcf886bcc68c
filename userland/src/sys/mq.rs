//! POSIX message queues.

use super::{Arg, Errno, Res, call, calls};
use std::ffi::CStr;

calls! {
    fn mq_open(name: &CStr, flags: i32, mode: u32, attr: Option<&[u64; 8]>) = SYS_mq_open;
    fn mq_unlink(name: &CStr) = SYS_mq_unlink;
    fn mq_notify(queue: i32, event: Option<&[u64; 8]>) = SYS_mq_notify;
    fn mq_getsetattr(queue: i32, new: Option<&[u64; 8]>, old: Option<&mut [u64; 8]>) = SYS_mq_getsetattr;
}

/// A `struct mq_attr` of this shape.
pub(crate) const fn shape(messages: u64, size: u64) -> [u64; 8] {
    [0, messages, size, 0, 0, 0, 0, 0]
}

/// Sends; `time` is a point in time of the wall clock.
pub(crate) fn send(queue: i32, text: &[u8], priority: u32, time: Option<&libc::timespec>) -> Res {
    let args = [
        queue.arg(),
        text.as_ptr() as usize,
        text.len(),
        priority.arg(),
        time.arg(),
        0,
    ];
    // SAFETY: the kernel reads `text.len()` bytes at `text`.
    unsafe { call(libc::SYS_mq_timedsend, args) }
}

/// Receives into a buffer of `room` bytes: priority and text.
pub(crate) fn receive(
    queue: i32,
    room: usize,
    time: Option<&libc::timespec>,
) -> Result<(u32, String), Errno> {
    let (mut text, mut priority) = (vec![0u8; room], 0u32);
    let args = [
        queue.arg(),
        text.as_mut_ptr() as usize,
        room,
        &raw mut priority as usize,
        time.arg(),
        0,
    ];
    // SAFETY: the kernel writes at most `room` bytes at `text`, and a priority.
    let len = unsafe { call(libc::SYS_mq_timedreceive, args) }?;
    Ok((priority, text[..len].escape_ascii().to_string()))
}

/// Flags, most messages, bytes of one, messages now.
pub(crate) fn told(queue: i32) -> Result<[u64; 4], Errno> {
    let mut old = [0u64; 8];
    mq_getsetattr(queue, None, Some(&mut old))?;
    Ok([old[0], old[1], old[2], old[3]])
}

/// A point in time of the wall clock, some milliseconds from now.
pub(crate) fn soon(milliseconds: i64) -> libc::timespec {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ns = now.map_or(0, |now| now.as_nanos() as i64) + milliseconds * 1_000_000;
    libc::timespec {
        tv_sec: ns / 1_000_000_000,
        tv_nsec: ns % 1_000_000_000,
    }
}

/// A `struct sigevent`: how, with which signal (or socket), with which value.
pub(crate) fn event(kind: i32, signal: i32, value: u64) -> [u64; 8] {
    let what = u64::from(signal as u32) | u64::from(kind as u32) << 32;
    [value, what, 0, 0, 0, 0, 0, 0]
}
