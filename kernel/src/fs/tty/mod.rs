//! Terminals: [`Terminal`] joins a line discipline ([`kiln_core::tty`]), a [`Wire`] to whoever shows
//! it, and the processes that have it as their controlling terminal ([`control`]).
//!
//! | module | |
//! | --- | --- |
//! | [`console`] | `/dev/console`: the caller's terminal, over the channel; `/dev/tty` |
//! | [`control`] | sessions, foreground groups, and who may not read or write now |
//! | `ioctl` | what ioctl_tty(2) lists |
//!
//! Locks, in this order: `output` (sleeping, held while bytes are sent), then the spin lock of the
//! line. What is typed is understood before its echo is sent, so a signal key works while output
//! is held up.

pub(crate) mod console;
pub(crate) mod control;
mod ioctl;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::DeviceNumber;
use kiln_core::tty::WindowSize;
use kiln_core::tty::line::{Effect, Line, Taken};

use self::control::Control;
use super::file::{Events, File, FileOps, Ioctl, Watch};
use super::memory::{try_arc, try_zeros};
use crate::arch::time::now_ns;
use crate::sched::{Deadline, Mode, Mutex, WaitQueue, Wake};
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc};

/// The window has this size now.
pub(crate) fn resize(rows: u16, columns: u16) {
    if let Some(console) = console::terminal() {
        console.set_window(WindowSize {
            rows,
            columns,
            pixels: [0; 2],
        });
    }
}

/// Bytes a program writes that are post-processed at once, and the most that become of them (a tab
/// becomes eight spaces).
const CHUNK: usize = 256;
const CHUNK_SENT: usize = CHUNK * 8;
/// Room for the echo of one key: a line of control characters erased is the longest.
const ECHO_ROOM: usize = 32 << 10;
/// Most bytes of one read.
const READ_MOST: usize = 4096;

/// The other end of a terminal.
pub(crate) trait Wire: Send + Sync {
    /// Sends up to [`CHUNK_SENT`] bytes; waits for nothing when [`Self::takes`] was true, and
    /// nobody else sent since.
    fn send(&self, bytes: &[u8]) -> Result<(), Errno>;

    /// Whether it takes that many bytes now.
    fn takes(&self) -> bool;

    /// Woken when it takes bytes again.
    fn queue(&self) -> Option<&Arc<WaitQueue>>;
}

/// A terminal.
pub(crate) struct Terminal {
    device: DeviceNumber,
    line: SpinLock<Line>,
    window: SpinLock<WindowSize>,
    control: Control,
    /// The other end is gone: reads end, writes fail.
    hung_up: AtomicBool,
    wire: Arc<dyn Wire>,
    output: Mutex<Vec<u8>>,
    /// For something to read.
    typed: Arc<WaitQueue>,
    /// For room to type in.
    room: Arc<WaitQueue>,
    /// For writers that were stopped.
    flow: Arc<WaitQueue>,
}

impl Terminal {
    /// A terminal with the default settings.
    pub(crate) fn new(
        device: DeviceNumber,
        wire: Arc<dyn Wire>,
        window: WindowSize,
    ) -> Result<Arc<Self>, Errno> {
        let queue = || try_arc(WaitQueue::new());
        let mut scratch = Vec::new();
        scratch
            .try_reserve_exact(CHUNK_SENT)
            .map_err(|_| Errno::ENOMEM)?;
        try_arc(Self {
            device,
            line: SpinLock::new(Line::new().ok_or(Errno::ENOMEM)?),
            window: SpinLock::new(window),
            control: Control::default(),
            hung_up: AtomicBool::new(false),
            wire,
            output: Mutex::new(scratch),
            typed: queue()?,
            room: queue()?,
            flow: queue()?,
        })
    }

    /// Its number.
    pub(crate) fn device(&self) -> DeviceNumber {
        self.device
    }

    /// The session it controls, and its foreground group.
    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// The size of its window.
    pub(crate) fn window(&self) -> WindowSize {
        *self.window.lock()
    }

    /// Changes the size of its window; the foreground group learns of a change.
    pub(crate) fn set_window(&self, window: WindowSize) {
        let before = core::mem::replace(&mut *self.window.lock(), window);
        if before != window {
            self.control.signal_foreground(abi::SIGWINCH);
        }
    }

    /// The other end is gone: the session's leader gets SIGHUP, the foreground group SIGHUP and
    /// SIGCONT, readers the end.
    pub(crate) fn hang_up(&self) {
        if !self.hung_up.swap(true, Ordering::AcqRel) {
            self.control.hang_up();
            self.typed.wake_all();
            self.flow.wake_all();
        }
    }

    fn is_hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Acquire)
    }

    /// Takes one typed byte in, waiting for room: signals first, then the echo. `echo` is empty
    /// and has [`ECHO_ROOM`].
    fn type_byte(&self, byte: u8, echo: &mut Vec<u8>) {
        let accepts = || (self.line.lock().accepts() || self.is_hung_up()).then_some(());
        if self
            .room
            .wait(Mode::Uninterruptible, None, accepts)
            .is_err()
        {
            return;
        }
        let mut signal = None;
        let mut flow = false;
        let readable = {
            let mut line = self.line.lock();
            line.type_byte(byte, &mut |effect| match effect {
                Effect::Echo(bytes) if echo.len() + bytes.len() <= echo.capacity() => {
                    echo.extend_from_slice(bytes);
                }
                // What was written is on its way and can't be called back.
                Effect::Echo(_) | Effect::FlushOutput => {}
                Effect::Signal(number) => signal = Some(number),
                Effect::Stopped(stopped) => flow |= !stopped,
            });
            line.is_readable()
        };
        if let Some(number) = signal {
            self.control.signal_foreground(number.into());
        }
        if readable {
            self.typed.wake_all();
        }
        if flow {
            self.flow.wake_all();
        }
        for piece in echo.chunks(CHUNK_SENT) {
            let _output = self.output.lock();
            // An echo that nobody sees is no loss.
            let _ = self.wire.send(piece);
        }
        echo.clear();
    }

    /// Waits until a program may write.
    fn wait_writable(&self, nonblocking: bool) -> Result<(), Errno> {
        loop {
            if self.is_hung_up() {
                return Err(Errno::EIO);
            }
            let stopped = self.line.lock().stopped();
            if !stopped && self.wire.takes() {
                return Ok(());
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            let ready = || {
                let go = !self.line.lock().stopped() && (stopped || self.wire.takes());
                (go || self.is_hung_up()).then_some(())
            };
            let queue = self.wire.queue().filter(|_| !stopped).unwrap_or(&self.flow);
            let waited = queue.wait(Mode::Interruptible, None, ready);
            waited.map_err(|_| Errno::ERESTARTSYS)?;
        }
    }

    fn write_chunk(&self, chunk: &[u8], scratch: &mut Vec<u8>) -> Result<(), Errno> {
        scratch.clear();
        self.line.lock().write(chunk, |bytes| {
            if scratch.len() + bytes.len() <= scratch.capacity() {
                scratch.extend_from_slice(bytes);
            }
        });
        self.wire.send(scratch)
    }

    /// Waits until there is something to read, or the time is over (`false`).
    fn wait_typed(&self, milliseconds: Option<u64>) -> Result<bool, Errno> {
        let deadline: Deadline =
            milliseconds.map(|time| now_ns().saturating_add(time.saturating_mul(1_000_000)));
        let ready = || (self.line.lock().has_input() || self.is_hung_up()).then_some(());
        match self.typed.wait(Mode::Interruptible, deadline, ready) {
            Ok(()) => Ok(true),
            Err(Wake::Timeout) => Ok(false),
            Err(Wake::Signal) => Err(Errno::ERESTARTSYS),
        }
    }

    /// Reads as the settings say, a line or so many bytes.
    fn read_line(&self, dst: &mut IoDst<'_>, nonblocking: bool) -> Result<usize, Errno> {
        let asked = dst.remaining();
        let mut buffer = try_zeros(asked.min(READ_MOST))?;
        let patience = self.line.lock().patience();
        let least = patience.least.min(asked);
        let mut done = 0;
        loop {
            let room = buffer.len().min(asked - done);
            let taken = self
                .line
                .lock()
                .read(buffer.get_mut(..room).unwrap_or_default());
            match taken {
                Taken::Bytes(count) => {
                    self.room.wake_all();
                    done += dst.put(buffer.get(..count).unwrap_or_default())?;
                }
                Taken::End => {
                    self.room.wake_all();
                    return Ok(done);
                }
                Taken::Nothing if self.is_hung_up() => return Ok(done),
                Taken::Nothing => {}
            }
            if done >= least {
                return Ok(done);
            }
            let time = if done == 0 {
                patience.first
            } else {
                patience.between
            };
            if time == Some(0) {
                return Ok(done);
            }
            if nonblocking {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EAGAIN)
                };
            }
            match self.wait_typed(time) {
                Ok(true) => {}
                Ok(false) => return Ok(done),
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }
}

/// An open terminal.
pub(crate) struct TerminalFile(pub(crate) Arc<Terminal>);

impl FileOps for TerminalFile {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        if dst.remaining() == 0 || self.0.is_hung_up() && !self.0.line.lock().has_input() {
            return Ok(0);
        }
        self.0.control.check_read()?;
        self.0.read_line(dst, file.nonblocking())
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        if self.0.line.lock().termios().local(abi::TOSTOP) {
            self.0.control.check_change()?;
        }
        let mut done = 0;
        while src.remaining() > 0 {
            let mut step = || {
                self.0.wait_writable(file.nonblocking())?;
                let mut scratch = self.0.output.lock();
                if !self.0.wire.takes() {
                    return Ok(0);
                }
                let mut chunk = [0; CHUNK];
                let count = src.take(&mut chunk)?;
                self.0
                    .write_chunk(chunk.get(..count).unwrap_or_default(), &mut scratch)?;
                Ok(count)
            };
            match step() {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn ioctl(&self, _: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        ioctl::serve(&self.0, request)
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            watch.add(&self.0.typed);
            watch.add(&self.0.flow);
            if let Some(queue) = self.0.wire.queue() {
                watch.add(queue);
            }
        }
        if self.0.is_hung_up() {
            return Events::READABLE | Events::HUP | Events::ERR;
        }
        let (readable, stopped) = {
            let line = self.0.line.lock();
            (line.is_readable(), line.stopped())
        };
        let mut events = Events::empty();
        if readable {
            events |= Events::READABLE;
        }
        if !stopped && self.0.wire.takes() {
            events |= Events::WRITABLE;
        }
        events
    }
}
