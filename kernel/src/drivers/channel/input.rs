//! Standard input: asked for when a reader waits, then handed out of one buffer.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::channel::guest::ASK_LEN;
use kiln_core::channel::{Header, Kind, MAX_PAYLOAD};
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;

use super::{CHANNEL, Channel, State};
use crate::drivers::wait_interruptibly;
use crate::sched::WaitQueue;

/// Asked for at once, and when memory is short.
const ASK: usize = MAX_PAYLOAD;
const ASK_LITTLE: usize = 4096;
/// Pages to receive in, once there is input to receive.
const RECEIVE_PAGES: usize = 4;

/// What arrived and no reader has taken over yet.
#[derive(Default)]
pub(super) struct Input {
    /// Never grows: its room is what may be asked for.
    ready: Vec<u8>,
    /// More arrived than there was room for.
    pub(super) overrun: bool,
    receive_pages_added: bool,
}

impl Input {
    /// Takes in bytes, in the interrupt handler too, so it must not allocate.
    pub(super) fn arrived(&mut self, bytes: &[u8]) {
        if self.ready.capacity() - self.ready.len() >= bytes.len() {
            self.ready.extend_from_slice(bytes);
        } else {
            self.overrun = true;
        }
    }
}

/// What readers have taken over; under a lock that may be held across a copy.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    read: usize,
    /// Bytes that readers got in all.
    taken: u64,
}

impl Chunk {
    fn unread(&self) -> &[u8] {
        self.bytes.get(self.read..).unwrap_or_default()
    }
}

/// Whether a reader gets something, the end included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Readiness {
    /// Bytes.
    Bytes(usize),
    /// The end.
    End,
    /// Nothing yet.
    Nothing,
}

/// Reads up to `len` bytes of standard input; `take` puts them where they belong and answers how
/// many it took. 0 is the end of the input. Blocks until there is a byte, unless `nonblocking`.
pub(crate) fn read(
    len: usize,
    nonblocking: bool,
    take: &mut dyn FnMut(&[u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let Some(channel) = CHANNEL.get() else {
        return Ok(0);
    };
    loop {
        let mut chunk = channel.reader.lock();
        channel.refill(&mut chunk);
        let unread = chunk.unread();
        if !unread.is_empty() || len == 0 {
            let taken = take(unread.get(..len).unwrap_or(unread))?;
            chunk.read += taken;
            chunk.taken += u64_of(taken);
            return Ok(taken);
        }
        if channel.ask(&mut chunk, len)? {
            return Ok(0);
        }
        drop(chunk);
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        wait_interruptibly(&channel.input, || {
            channel.with(|state| state.input_is_ready().then_some(()))
        })?;
    }
}

/// What a read would get now. Counts as wanting to read: input is asked for.
pub(crate) fn poll_input() -> Readiness {
    let Some(channel) = CHANNEL.get() else {
        return Readiness::End;
    };
    let mut chunk = channel.reader.lock();
    channel.refill(&mut chunk);
    match chunk.unread().len() {
        0 => match channel.ask(&mut chunk, 1) {
            Ok(true) => Readiness::End,
            Ok(false) => Readiness::Nothing,
            // A read has its error to tell.
            Err(_) => Readiness::Bytes(0),
        },
        len => Readiness::Bytes(len),
    }
}

/// The job can't read its input any more: what it left is the caller's again.
pub(crate) fn close_input() {
    if let Some(channel) = CHANNEL.get() {
        let taken = channel.reader.lock().taken.to_le_bytes();
        let header = Header {
            kind: Kind::End,
            stream: 0,
            len: 8,
        };
        channel.send(&[&header.encode(), &taken]);
    }
}

/// The job ends with its input open: as [`close_input`], if there is anything that it could have left.
pub(super) fn leave_input(channel: &Channel) {
    if channel.with(|state| state.input.receive_pages_added) {
        close_input();
    }
}

/// Who waits for input.
pub(crate) fn input_queue() -> Option<&'static Arc<WaitQueue>> {
    CHANNEL.get().map(|channel| &channel.input)
}

/// Bytes that can be read at once, without asking for any (FIONREAD).
pub(crate) fn input_len() -> usize {
    CHANNEL.get().map_or(0, |channel| {
        let chunk = channel.reader.lock();
        let ready = channel.state.lock().input.ready.len();
        chunk.unread().len() + ready
    })
}

impl State {
    /// Whether a reader has something to do: a whole answer is here (its buffer is taken over as
    /// one), or none will come.
    fn input_is_ready(&self) -> bool {
        !self.guest.waiting_for_input() && !self.input.ready.is_empty()
            || self.guest.input_over()
            || self.failed
    }
}

impl Channel {
    /// Takes over what arrived when the chunk is read to its end.
    fn refill(&self, chunk: &mut Chunk) {
        if !chunk.unread().is_empty() {
            return;
        }
        chunk.read = 0;
        chunk.bytes.clear();
        self.with(|state| {
            if state.input_is_ready() {
                core::mem::swap(&mut chunk.bytes, &mut state.input.ready);
            }
        });
    }

    /// Asks the launcher for input, if that wasn't done, of which a reader wants `want` bytes now,
    /// with the empty chunk's buffer to receive it. True when there will be none: the input is
    /// over.
    fn ask(&self, chunk: &mut Chunk, want: usize) -> Result<bool, Errno> {
        let (over, asked) = self.with(|state| {
            let over = state.guest.input_over() && state.input.ready.is_empty();
            if state.failed && !over {
                return (Err(Errno::EIO), true);
            }
            if let (true, Some(error)) = (over, state.guest.input_error()) {
                return (Err(error), true);
            }
            (
                Ok(over),
                state.guest.waiting_for_input() || state.input_is_ready(),
            )
        });
        let over = over?;
        if over || asked {
            return Ok(over);
        }
        let mut buffer = core::mem::take(&mut chunk.bytes);
        if buffer.capacity() == 0 && buffer.try_reserve_exact(ASK).is_err() {
            buffer
                .try_reserve_exact(ASK_LITTLE)
                .map_err(|_| Errno::ENOMEM)?;
        }
        self.add_receive_pages();
        let mut buffer = Some(buffer);
        self.wait_sent(|state| {
            if state.guest.waiting_for_input() || state.guest.input_over() {
                return Some(());
            }
            if !state.transmit.has_room(ASK_LEN) {
                return None;
            }
            if let Some(buffer) = buffer.take()
                && state.input.ready.capacity() == 0
            {
                state.input.ready = buffer;
            }
            let room = state.input.ready.capacity().min(MAX_PAYLOAD);
            let [want, room] = [want, room].map(|len| u32::try_from(len).unwrap_or(u32::MAX));
            if let Some(frame) = state.guest.ask(want, room) {
                state.transmit.append(&[&frame]);
            }
            Some(())
        });
        Ok(false)
    }

    /// More pages to receive in, so that a long answer comes in fewer interrupts. What memory there
    /// isn't stays away.
    fn add_receive_pages(&self) {
        let first =
            self.with(|state| !core::mem::replace(&mut state.input.receive_pages_added, true));
        for _ in 1..RECEIVE_PAGES {
            if !first {
                break;
            }
            let _ = self.with(|state| state.port.add_receive_page());
        }
    }
}
