//! Linux's asynchronous input and output.

use super::{Arg, Res, call, calls};

calls! {
    fn io_setup(room: u32, context: Option<&mut u64>) = SYS_io_setup;
    fn io_destroy(context: u64) = SYS_io_destroy;
    fn io_getevents(context: u64, least: i64, most: i64, events: Option<&mut [u64; 64]>, time: Option<&libc::timespec>) = SYS_io_getevents;
    fn io_cancel(context: u64, request: Option<&[u64; 8]>, event: Option<&mut [u64; 4]>) = SYS_io_cancel;
}

/// A `struct iocb`.
pub(crate) struct Request(pub(crate) [u64; 8]);

impl Request {
    /// For a buffer that lives until the request is done.
    pub(crate) fn new(
        data: u64,
        opcode: u64,
        fd: i32,
        buf: usize,
        len: usize,
        offset: u64,
    ) -> Self {
        let what = opcode | (fd as u64) << 32;
        Self([data, 0, what, buf as u64, len as u64, offset, 0, 0])
    }

    /// With an eventfd that is told of the end.
    pub(crate) fn telling(mut self, fd: i32) -> Self {
        self.0[7] = 1 | (fd as u64) << 32;
        self
    }
}

/// io_submit(2).
pub(crate) fn io_submit(context: u64, requests: &[&Request]) -> Res {
    let list: Vec<usize> = requests
        .iter()
        .map(|request| request.0.as_ptr() as usize)
        .collect();
    // SAFETY: each entry is a request whose buffer is valid, or refused by the kernel.
    unsafe {
        call(
            libc::SYS_io_submit,
            [context.arg(), list.len(), list.as_ptr() as usize, 0, 0, 0],
        )
    }
}

/// Waits for events and prints them, by their data.
pub(crate) fn event_lines(context: u64, least: i64, most: i64) {
    let mut events = [0u64; 64];
    let result = io_getevents(context, least, most, Some(&mut events), None);
    crate::out::show("events", result);
    let mut got: Vec<&[u64]> = events.chunks(4).take(result.unwrap_or(0)).collect();
    got.sort();
    for event in got {
        crate::out::line(&format!(
            "  {} result {} {}",
            event[0],
            event[2].cast_signed(),
            event[3]
        ));
    }
}
