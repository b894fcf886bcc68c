//! Standard output and error: frames of data, as far as the launcher's credit goes.

use alloc::sync::Arc;
use kiln_core::channel::guest::{Admission, Output};
use kiln_core::channel::{HEADER_LEN, Header, Kind, MAX_PAYLOAD};
use kiln_core::errno::Errno;

use super::transmit::{Grant, LARGE_ORDER, SMALL_ORDER};
use super::{CHANNEL, Channel};
use crate::drivers::virtio::console::Outgoing;
use crate::drivers::{serial, wait_interruptibly};
use crate::sched::WaitQueue;

/// Writes of at most this many bytes are never mixed with others' (`PIPE_BUF`, linux/limits.h).
pub(super) const PIPE_BUF: usize = 4096;
/// Writes up to this long are copied by way of the stack and gathered.
const SMALL: usize = 512;

/// Writes up to `len` bytes to an output stream; `fill` puts them where they are sent from, once
/// for each piece, and may give fewer or fail, which ends the write.
///
/// Blocks until all is on its way, unless `nonblocking`. Answers what was written; an error only
/// when that is nothing. EPIPE: nobody reads the stream any more.
pub(crate) fn write(
    stream: Output,
    len: usize,
    nonblocking: bool,
    fill: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let whole = len <= PIPE_BUF;
    let mut done = 0;
    while done < len {
        let wanted = (len - done).min(MAX_PAYLOAD);
        let written = match CHANNEL.get() {
            Some(channel) => channel.write_piece(stream, wanted, whole, nonblocking, fill),
            None => write_to_serial(wanted, fill).map(|written| (written, wanted.min(SMALL))),
        };
        match written {
            Ok((written, offered)) => {
                done += written;
                if written < offered {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

fn write_to_serial(
    len: usize,
    fill: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut bytes = [0; SMALL];
    let written = fill(bytes.get_mut(..len.min(SMALL)).unwrap_or_default())?;
    serial::write(bytes.get(..written).unwrap_or_default());
    Ok(written)
}

impl Channel {
    /// Writes one frame. Answers how many bytes, and how many it would have taken.
    fn write_piece(
        &self,
        stream: Output,
        wanted: usize,
        whole: bool,
        nonblocking: bool,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<(usize, usize), Errno> {
        let admitted = self.admit(stream, wanted, whole, nonblocking)?;
        let result = if admitted <= SMALL {
            self.write_small(stream, admitted, fill)
        } else {
            self.write_large(stream, admitted, fill)
        };
        let sent = result.map_or(0, |(written, _)| written);
        if sent < admitted {
            self.state.lock().guest.refund(stream, admitted - sent);
        }
        result
    }

    /// Waits until the stream takes bytes, and uses up credit for what it takes.
    fn admit(
        &self,
        stream: Output,
        wanted: usize,
        whole: bool,
        nonblocking: bool,
    ) -> Result<usize, Errno> {
        let ask = || {
            self.with(|state| match state.guest.admission(stream, wanted, whole) {
                _ if state.failed => Some(Err(Errno::EIO)),
                Admission::Now(len) => {
                    state.guest.spend(stream, len);
                    Some(Ok(len))
                }
                Admission::Never => Some(Err(Errno::EPIPE)),
                Admission::Later => None,
            })
        };
        match ask() {
            Some(answer) => answer,
            None if nonblocking => Err(Errno::EAGAIN),
            None => wait_interruptibly(self.output_queue(stream), ask)?,
        }
    }

    fn write_small(
        &self,
        stream: Output,
        len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<(usize, usize), Errno> {
        let mut bytes = [0; SMALL];
        let written = fill(bytes.get_mut(..len).unwrap_or_default())?;
        if written > 0 {
            let header = data_header(stream, written);
            self.send(&[&header, bytes.get(..written).unwrap_or_default()]);
        }
        Ok((written, len))
    }

    fn write_large(
        &self,
        stream: Output,
        len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<(usize, usize), Errno> {
        let mut buffer = self.buffer(HEADER_LEN + len).ok_or(Errno::EIO)?;
        let len = len.min(buffer.capacity() - HEADER_LEN);
        let filled = buffer
            .bytes_mut()
            .get_mut(HEADER_LEN..HEADER_LEN + len)
            .ok_or(Errno::EIO)
            .and_then(&mut *fill);
        let Some(written) = filled.ok().filter(|written| *written > 0) else {
            self.with(|state| state.transmit.give_back(buffer));
            // The device doesn't tell of a buffer that it never had.
            self.sent.wake_all();
            return filled.map(|written| (written, len));
        };
        if let Some(head) = buffer.bytes_mut().first_chunk_mut() {
            *head = data_header(stream, written);
        }
        buffer.set_filled(HEADER_LEN + written);
        self.with(|state| state.transmit.enqueue(buffer));
        Ok((written, len))
    }

    /// An empty buffer of the writer's own, as near to `wanted` bytes as can be had; `None` when
    /// the channel is broken.
    fn buffer(&self, wanted: usize) -> Option<Outgoing> {
        match self.with(|state| state.transmit.grant(wanted)) {
            Grant::Buffer(buffer) => return Some(buffer),
            Grant::Allocate => {
                let made = Outgoing::alloc(LARGE_ORDER).or_else(|_| Outgoing::alloc(SMALL_ORDER));
                if let Ok(buffer) = made
                    && self.with(|state| state.transmit.adopt())
                {
                    return Some(buffer);
                }
            }
            Grant::Wait => {}
        }
        self.wait_sent(|state| match state.transmit.grant(0) {
            Grant::Buffer(buffer) => Some(buffer),
            Grant::Allocate | Grant::Wait => None,
        })
    }
}

fn data_header(stream: Output, len: usize) -> [u8; HEADER_LEN] {
    let len = u32::try_from(len).unwrap_or(0);
    Header {
        kind: Kind::Data,
        stream: stream.number(),
        len,
    }
    .encode()
}

/// Whether a write to the stream would go through now.
pub(crate) fn poll_output(stream: Output) -> Admission {
    match CHANNEL.get() {
        Some(channel) => channel.with(|state| state.guest.admission(stream, PIPE_BUF, true)),
        None => Admission::Now(PIPE_BUF),
    }
}

/// Who waits for the stream to take bytes.
pub(crate) fn output_queue(stream: Output) -> Option<&'static Arc<WaitQueue>> {
    CHANNEL.get().map(|channel| channel.output_queue(stream))
}
