//! The channel: the job's standard streams as byte endpoints, to and from the launcher, and what
//! the launcher has to say (signals, the window's size).
//!
//! The protocol is [`kiln_core::channel`]; its state machine is [`Guest`]. Here are the buffers
//! ([`transmit`]), the waits and the wake-ups. The interrupt handler takes in what arrived, sends
//! what waits and wakes; it neither allocates nor calls upwards. Signals and the window's size are
//! picked up by a thread in [`serve`]. Without a channel output goes to the serial line and input
//! is at its end.
//!
//! Callers pass closures that move the bytes, since how a program's memory is copied is the
//! business of the rooms above. They are called without locks and may sleep.

mod input;
mod transmit;

pub(crate) use input::{Readiness, input_len, input_queue, poll_input, read};
pub(crate) use kiln_core::channel::guest::{Admission, Output};

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::channel::guest::{Event, Guest};
use kiln_core::channel::{HEADER_LEN, Header, Kind, MAX_PAYLOAD};
use kiln_core::errno::Errno;

use self::input::{Chunk, Input};
use self::transmit::{Grant, LARGE_ORDER, SMALL_ORDER, Transmit};
use super::serial;
use super::virtio::console::{Outgoing, Port};
use super::virtio::{self, Interrupt, ProbeError};
use super::{wait_interruptibly, wait_until};
use crate::sched::{Mutex, WaitQueue};
use crate::sync::{IrqLock, Once};

/// Writes of at most this many bytes are never mixed with others' (`PIPE_BUF`, linux/limits.h).
const PIPE_BUF: usize = 4096;
/// Writes up to this long are copied by way of the stack and gathered.
const SMALL: usize = 512;

/// The channel and those who wait for it.
struct Channel {
    state: IrqLock<State>,
    input: Arc<WaitQueue>,
    outputs: [Arc<WaitQueue>; 2],
    /// For buffers to fill, and for everything to be sent.
    sent: WaitQueue,
    events: WaitQueue,
    reader: Mutex<Chunk>,
}

struct State {
    port: Port,
    guest: Guest,
    transmit: Transmit,
    input: Input,
    notices: Notices,
    /// The device or the launcher broke the protocol: nothing moves any more.
    failed: bool,
}

/// What the launcher said that a thread must act on.
#[derive(Default)]
struct Notices {
    /// Bit n: signal n.
    signals: u64,
    window: Option<(u16, u16)>,
}

static CHANNEL: Once<Arc<Channel>> = Once::new();
/// Bytes of kernel messages that found no room.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Opens the channel on the console in `slot`. `stdin`: the caller's input is attached.
pub(crate) fn init(slot: u8, stdin: bool) -> Result<(), ProbeError> {
    let port = Port::probe(slot)?;
    let queue = || Arc::new(WaitQueue::new());
    let state = State {
        port,
        guest: Guest::new(stdin),
        transmit: Transmit::new().map_err(|_| ProbeError::NoMemory(slot))?,
        input: Input::default(),
        notices: Notices::default(),
        failed: false,
    };
    let channel = Arc::new(Channel {
        state: IrqLock::new(state),
        input: queue(),
        outputs: [queue(), queue()],
        sent: WaitQueue::new(),
        events: WaitQueue::new(),
        reader: Mutex::new(Chunk::default()),
    });
    CHANNEL.call_once(|| Arc::clone(&channel));
    virtio::on_interrupt(slot, channel)
}

/// What a pass over the device found out, for wake-ups after the lock is open.
#[derive(Clone, Copy, Default)]
struct News {
    input: bool,
    outputs: [bool; 2],
    sent: bool,
    notice: bool,
}

impl State {
    /// Takes in what arrived and sends what waits.
    fn work(&mut self) -> News {
        let mut news = News::default();
        if self.failed {
            return news;
        }
        let (guest, input, notices) = (&mut self.guest, &mut self.input, &mut self.notices);
        let mut understood = Ok(());
        let received = self.port.receive(|bytes| {
            if understood.is_ok() {
                understood = guest.receive(bytes, |event| news.take(event, input, notices));
            }
        });
        let sent = self.transmit.pump(&mut self.port);
        if received.is_err() || understood.is_err() || input.overrun || sent.is_err() {
            self.failed = true;
            return News {
                input: true,
                outputs: [true; 2],
                sent: true,
                notice: false,
            };
        }
        news.sent = sent.unwrap_or(false);
        news
    }
}

impl News {
    fn take(&mut self, event: Event<'_>, input: &mut Input, notices: &mut Notices) {
        match event {
            Event::Input(bytes) => {
                input.arrived(bytes);
                self.input = true;
            }
            Event::InputEnd => self.input = true,
            Event::Credit(stream) | Event::ReaderGone(stream) => {
                if let Some(output) = self.outputs.get_mut(index(stream)) {
                    *output = true;
                }
            }
            Event::Signal(number) => {
                notices.signals |= 1u64.checked_shl(number.into()).unwrap_or(0);
                self.notice = true;
            }
            Event::Window { rows, columns } => {
                notices.window = Some((rows, columns));
                self.notice = true;
            }
        }
    }
}

const fn index(stream: Output) -> usize {
    match stream {
        Output::Stdout => 0,
        Output::Stderr => 1,
    }
}

impl Channel {
    fn tell(&self, news: News) {
        if news.input {
            self.input.wake_all();
        }
        for (queue, wake) in self.outputs.iter().zip(news.outputs) {
            if wake {
                queue.wake_all();
            }
        }
        if news.sent {
            self.sent.wake_all();
        }
        if news.notice {
            self.events.wake_all();
        }
    }

    /// Changes the state, moves things on, and wakes whom that concerns.
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(&mut state);
        let news = state.work();
        drop(state);
        self.tell(news);
        result
    }

    fn output_queue(&self, stream: Output) -> &Arc<WaitQueue> {
        let [stdout, stderr] = &self.outputs;
        match stream {
            Output::Stdout => stdout,
            Output::Stderr => stderr,
        }
    }

    /// Sends a frame, waiting for room.
    fn send(&self, parts: &[&[u8]]) {
        self.wait_sent(|state| state.transmit.append(parts).then_some(()));
    }

    /// Waits for something that the device's progress brings about.
    fn wait_sent<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let first = self.with(|state| if state.failed { None } else { ready(state) });
        if first.is_some() {
            return first;
        }
        self.with(|state| state.transmit.waiting += 1);
        let result = wait_until(&self.sent, || {
            self.with(|state| {
                if state.failed {
                    Some(None)
                } else {
                    ready(state).map(Some)
                }
            })
        });
        self.with(|state| state.transmit.waiting -= 1);
        result
    }
}

impl Interrupt for Channel {
    fn interrupt(&self) {
        self.with(|state| state.port.acknowledge());
    }
}

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

/// The job has closed an output stream.
pub(crate) fn close_output(stream: Output) {
    end(stream.number());
}

/// The job can't read its input any more.
pub(crate) fn close_input() {
    end(0);
}

fn end(stream: u8) {
    if let Some(channel) = CHANNEL.get() {
        channel.send(&[&Header {
            kind: Kind::End,
            stream,
            len: 0,
        }
        .encode()]);
    }
}

/// Sends a kernel message, from anywhere but an interrupt handler. It never waits: without room it
/// is lost, and [`lost`] counts it.
pub(crate) fn log(message: &[u8]) {
    each_log_frame(message, |channel, header, piece| {
        let taken = channel.with(|state| state.transmit.append(&[header, piece]));
        if !taken {
            LOST.fetch_add(kiln_core::num::u64_of(piece.len()), Ordering::Relaxed);
        }
    });
}

/// Sends a kernel message, waiting for room. For threads that may sleep.
pub(crate) fn log_patiently(message: &[u8]) {
    each_log_frame(message, |channel, header, piece| {
        channel.send(&[header, piece])
    });
}

fn each_log_frame(message: &[u8], mut send: impl FnMut(&Channel, &[u8], &[u8])) {
    let Some(channel) = CHANNEL.get() else {
        return serial::write(message);
    };
    for piece in message.chunks(PIPE_BUF) {
        let len = u32::try_from(piece.len()).unwrap_or(0);
        send(
            channel,
            &Header {
                kind: Kind::Log,
                stream: 0,
                len,
            }
            .encode(),
            piece,
        );
    }
}

/// Bytes of kernel messages that were lost.
pub(crate) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Whether the channel broke down, so that output may be lost.
pub(crate) fn failed() -> bool {
    CHANNEL
        .get()
        .is_some_and(|channel| channel.state.lock().failed)
}

/// Waits until the device has taken everything that was sent.
pub(crate) fn drain() {
    if let Some(channel) = CHANNEL.get() {
        channel.wait_sent(|state| state.transmit.is_empty(&state.port).then_some(()));
    }
}

/// What the rooms above do about the launcher's notices.
#[derive(Clone, Copy)]
pub(crate) struct Handlers {
    /// A signal for the job.
    pub(crate) signal: fn(u8),
    /// The window has so many rows and columns.
    pub(crate) window: fn(u16, u16),
}

/// The life of a thread that calls `handlers` for the launcher's notices. Never returns.
pub(crate) fn serve(handlers: Handlers) {
    let Some(channel) = CHANNEL.get() else {
        return;
    };
    loop {
        let notices = wait_until(&channel.events, || {
            channel.with(|state| {
                let notices = core::mem::take(&mut state.notices);
                let any = notices.signals != 0 || notices.window.is_some();
                any.then_some(notices)
            })
        });
        if let Some((rows, columns)) = notices.window {
            (handlers.window)(rows, columns);
        }
        (1..64u8)
            .filter(|number| notices.signals & 1 << number != 0)
            .for_each(handlers.signal);
    }
}
