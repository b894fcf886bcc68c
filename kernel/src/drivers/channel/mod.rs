//! The channel: the job's standard streams as byte endpoints, to and from the launcher, and what
//! the launcher has to say (signals, the window's size).
//!
//! The protocol is [`kiln_core::channel`]; its state machine is [`Guest`]. Here are the buffers
//! ([`transmit`]), reading and writing ([`input`], [`output`]), the waits and the wake-ups. The
//! interrupt handler takes in what arrived, sends what waits and wakes; it neither allocates nor
//! calls upwards. Signals and the window's size are picked up by the thread in [`serve`]. Without a
//! channel output goes to the serial line and input is at its end.
//!
//! Callers pass closures that move the bytes, since how a program's memory is copied is the
//! business of the rooms above. They are called without locks and may sleep.

mod input;
mod output;
mod transmit;

pub(crate) use input::{Readiness, close_input, input_len, input_queue, poll_input, read};
pub(crate) use kiln_core::channel::guest::{Admission, Output};
pub(crate) use output::{output_queue, poll_output, write};

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::channel::guest::{Event, Guest};
use kiln_core::channel::{Header, Kind};

use self::input::{Chunk, Input};
use self::transmit::Transmit;
use super::virtio::console::Port;
use super::virtio::{self, Interrupt, ProbeError};
use super::{serial, wait_until};
use crate::sched::{Mode, Mutex, WaitQueue};
use crate::sync::{IrqLock, Once};

/// The channel and those who wait for it.
struct Channel {
    state: IrqLock<State>,
    input: Arc<WaitQueue>,
    outputs: [Arc<WaitQueue>; 2],
    /// For buffers to fill, and for everything to be sent.
    sent: WaitQueue,
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

/// Bytes of a kernel message sent in one frame.
const LOG_PIECE: usize = 4096;

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
            self.port.reset();
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
        // Before there is a queue nobody sleeps in it; interrupts come here, which mustn't make it.
        if news.notice
            && let Some(events) = EVENTS.get()
        {
            events.wake_all();
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

/// The job has closed an output stream.
pub(crate) fn close_output(stream: Output) {
    end(stream.number());
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
    for piece in message.chunks(LOG_PIECE) {
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

/// Sends the message of a call that thread `tid` made, waiting for room. Without a channel there is
/// nobody to read it.
pub(crate) fn trace(tid: u32, message: &[u8]) {
    let Some(channel) = CHANNEL.get() else {
        return;
    };
    let mut parts = message.chunks(LOG_PIECE - 4).peekable();
    while let Some(part) = parts.next() {
        let header = Header {
            kind: Kind::Trace,
            stream: u8::from(parts.peek().is_some()),
            len: u32::try_from(part.len() + 4).unwrap_or(0),
        };
        channel.send(&[&header.encode(), &tid.to_le_bytes(), part]);
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

/// [`drain`], for a job whose streams are still open.
pub(crate) fn leave() {
    if let Some(channel) = CHANNEL.get() {
        input::leave_input(channel);
    }
    drain();
}

/// What the rooms above do about the launcher's notices.
#[derive(Clone, Copy)]
pub(crate) struct Handlers {
    /// A signal for the job.
    pub(crate) signal: fn(u8),
    /// The window has so many rows and columns.
    pub(crate) window: fn(u16, u16),
}

static EVENTS: Once<Arc<WaitQueue>> = Once::new();

/// Where [`serve`] sleeps: whoever makes its `done` answer wakes this.
pub(crate) fn events() -> &'static Arc<WaitQueue> {
    EVENTS.call_once(|| Arc::new(WaitQueue::new()))
}

/// Calls `handlers` for the launcher's notices until `done` answers; `None` when the deadline was first.
pub(crate) fn serve<T>(
    handlers: Handlers,
    deadline: Option<u64>,
    done: impl Fn() -> Option<T>,
) -> Option<T> {
    let take = |state: &mut State| {
        let notices = core::mem::take(&mut state.notices);
        let any = notices.signals != 0 || notices.window.is_some();
        any.then_some(notices)
    };
    loop {
        let look = || match done() {
            Some(value) => Some(Err(value)),
            None => CHANNEL.get()?.with(take).map(Ok),
        };
        let notices = match events().wait(Mode::Uninterruptible, deadline, look) {
            Ok(Ok(notices)) => notices,
            Ok(Err(value)) => return Some(value),
            Err(_) => return None,
        };
        if let Some((rows, columns)) = notices.window {
            (handlers.window)(rows, columns);
        }
        (1..64u8)
            .filter(|number| notices.signals & 1 << number != 0)
            .for_each(handlers.signal);
    }
}
