//! Terminals: [`Terminal`] joins a line discipline ([`kiln_core::tty`]), a [`Wire`] to whoever shows
//! it, and the processes that have it as their controlling terminal ([`control`]).
//!
//! | module | |
//! | --- | --- |
//! | [`file`] | an open terminal: reading, writing, poll |
//! | [`console`] | `/dev/console`: the caller's terminal, over the channel; `/dev/tty` |
//! | [`pty`], [`devpts`] | pseudo terminals, and the file system that shows them |
//! | [`control`] | sessions, foreground groups, and who may not read or write now |
//! | `ioctl` | what ioctl_tty(2) lists |
//!
//! Locks, in this order: `output` (sleeping, held while bytes are sent), then the spin locks of the
//! line, of what waits to be typed, and of the wire. What is typed is understood before its echo is
//! sent, so a signal key works while output is held up.

pub(crate) mod console;
pub(crate) mod control;
pub(crate) mod devpts;
pub(crate) mod file;
mod ioctl;
pub(crate) mod pty;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::DeviceNumber;
use kiln_core::tty::line::{Effect, Line};
use kiln_core::tty::{Termios, WindowSize};

use self::control::Control;
use super::fasync::AsyncList;
use super::memory::{try_arc, try_zeros};
use crate::sched::{Mode, Mutex, WaitQueue};
use crate::sync::SpinLock;

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
/// Bytes typed on a pseudo terminal that wait until its line takes them.
const BACKLOG_MOST: usize = 8192;

/// What the other end of a terminal may want to know.
#[derive(Clone, Copy)]
pub(crate) enum Notice<'a> {
    /// Something was typed and echoed.
    Typed,
    /// What was typed, or what was written, was thrown away.
    Flushed { typed: bool, written: bool },
    /// Output was stopped, or goes on.
    Flow(bool),
    /// The settings changed, from these to those.
    Settings(&'a Termios, &'a Termios),
    /// One more has it open.
    Opened,
    /// One less.
    Closed,
    /// It was hung up.
    HungUp,
}

/// The other end of a terminal.
pub(crate) trait Wire: Send + Sync {
    /// Sends up to [`CHUNK_SENT`] bytes; waits for nothing when [`Self::takes`] was true, and
    /// nobody else sent since.
    fn send(&self, bytes: &[u8]) -> Result<(), Errno>;

    /// Whether it takes that many bytes now.
    fn takes(&self) -> bool;

    /// Woken when it takes bytes again.
    fn queue(&self) -> Option<&Arc<WaitQueue>>;

    /// Whether it is a pseudo terminal's, whose input waits in the terminal's backlog.
    fn is_pty(&self) -> bool {
        false
    }

    /// Sends an echo, to be seen when output goes on again if it is `held`. The line is locked.
    fn echo(&self, bytes: &[u8], held: bool) {
        let _ = (bytes, held);
    }

    /// Throws away what was written and hasn't arrived. The line may be locked.
    fn discard(&self) {}

    /// Something happened to the terminal. The line isn't locked.
    fn tell(&self, notice: Notice<'_>) {
        let _ = notice;
    }
}

/// A terminal.
pub(crate) struct Terminal {
    device: DeviceNumber,
    line: SpinLock<Line>,
    /// Typed, and not taken by the line yet: where nobody else keeps it.
    backlog: SpinLock<VecDeque<u8>>,
    window: SpinLock<WindowSize>,
    control: Control,
    /// Files opened before it was last hung up have another number: they are dead.
    generation: AtomicU32,
    /// The other end is gone for good: reads end, writes fail.
    closed: AtomicBool,
    /// `TIOCEXCL`: only the privileged open it again.
    exclusive: AtomicBool,
    wire: Arc<dyn Wire>,
    output: Mutex<Vec<u8>>,
    /// For something to read.
    typed: Arc<WaitQueue>,
    /// For room to type in.
    room: Arc<WaitQueue>,
    /// For writers that were stopped.
    flow: Arc<WaitQueue>,
    /// Who is told by signals of something to read.
    signals: AsyncList,
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
        let mut backlog = VecDeque::new();
        if wire.is_pty() {
            let reserved = backlog.try_reserve_exact(BACKLOG_MOST);
            reserved.map_err(|_| Errno::ENOMEM)?;
        }
        let mut line = Line::new().ok_or(Errno::ENOMEM)?;
        line.reset(usual_settings(&*wire));
        try_arc(Self {
            device,
            line: SpinLock::new(line),
            backlog: SpinLock::new(backlog),
            window: SpinLock::new(window),
            control: Control::default(),
            generation: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            exclusive: AtomicBool::new(false),
            wire,
            output: Mutex::new(scratch),
            typed: queue()?,
            room: queue()?,
            flow: queue()?,
            signals: AsyncList::new(),
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

    /// Whether it is a pseudo terminal.
    pub(crate) fn is_pty(&self) -> bool {
        self.wire.is_pty()
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

    /// Hangs it up (vhangup(2)): its session has no terminal any more, whose leader gets SIGHUP and
    /// SIGCONT, and whoever has it open reads the end and can't write.
    pub(crate) fn hang_up(self: &Arc<Self>) {
        control::hang_up(self);
        self.generation.fetch_add(1, Ordering::AcqRel);
        if self.is_pty() {
            self.line.lock().reset(usual_settings(&*self.wire));
            self.backlog.lock().clear();
        }
        self.wire.tell(Notice::HungUp);
        self.typed.wake_all();
        self.flow.wake_all();
        self.room.wake_all();
        if let Some(queue) = self.wire.queue() {
            queue.wake_all();
        }
    }

    /// The other end is gone for good.
    pub(crate) fn close(self: &Arc<Self>) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.hang_up();
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Takes one typed byte in, waiting for room: signals first, then the echo. `echo` is empty
    /// and has [`ECHO_ROOM`].
    fn type_byte(&self, byte: u8, echo: &mut Vec<u8>) {
        let accepts = || (self.line.lock().accepts() || self.is_closed()).then_some(());
        if self
            .room
            .wait(Mode::Uninterruptible, None, accepts)
            .is_err()
        {
            return;
        }
        let mut done = Done::default();
        {
            let mut line = self.line.lock();
            line.type_byte(byte, &mut |effect| match effect {
                Effect::Echo(bytes) if echo.len() + bytes.len() <= echo.capacity() => {
                    echo.extend_from_slice(bytes);
                }
                // What was written is on its way and can't be called back.
                Effect::Echo(_) => {}
                other => done.note(other),
            });
            done.readable = line.is_readable();
        }
        self.follow_up(&done);
        for piece in echo.chunks(CHUNK_SENT) {
            let _output = self.output.lock();
            // An echo that nobody sees is no loss.
            let _ = self.wire.send(piece);
        }
        echo.clear();
    }

    /// Takes typed bytes into the backlog, as many as there is room for, and as far as the line
    /// takes them, understands them. Answers how many bytes were taken.
    fn receive(&self, bytes: &[u8]) -> usize {
        let count = {
            let mut backlog = self.backlog.lock();
            let count = bytes.len().min(BACKLOG_MOST.saturating_sub(backlog.len()));
            backlog.extend(bytes.get(..count).unwrap_or_default());
            count
        };
        self.pump();
        count
    }

    /// Lets the line take what waits in the backlog.
    fn pump(&self) {
        while self.is_pty() {
            let (mut done, mut moved) = (Done::default(), false);
            {
                let mut line = self.line.lock();
                let mut stopped = line.stopped();
                while done.signal.is_none() && line.accepts() {
                    let Some(byte) = self.backlog.lock().pop_front() else {
                        break;
                    };
                    moved = true;
                    line.type_byte(byte, &mut |effect| match effect {
                        Effect::Echo(bytes) => self.wire.echo(bytes, stopped),
                        other => {
                            match other {
                                Effect::Stopped(now) => stopped = now,
                                Effect::FlushOutput => self.wire.discard(),
                                _ => {}
                            }
                            done.note(other);
                        }
                    });
                }
                done.readable = line.is_readable();
            }
            if !moved {
                return;
            }
            self.follow_up(&done);
            self.room.wake_all();
            self.wire.tell(if done.flushed {
                Notice::Flushed {
                    typed: true,
                    written: true,
                }
            } else {
                Notice::Typed
            });
        }
    }

    /// Does what a typed byte wants done beyond its echo.
    fn follow_up(&self, done: &Done) {
        if let Some(stopped) = done.stopped {
            self.wire.tell(Notice::Flow(stopped));
            if !stopped {
                self.flow.wake_all();
            }
        }
        if let Some(number) = done.signal {
            self.control.signal_foreground(number.into());
        }
        if done.readable {
            self.typed.wake_all();
            self.signals.tell(abi::POLL_IN);
        }
    }

    /// Types a byte for somebody who isn't at the other end (`TIOCSTI`).
    fn insert(&self, byte: u8) -> Result<(), Errno> {
        if self.is_pty() {
            self.receive(&[byte]);
            return Ok(());
        }
        let mut echo = try_zeros(ECHO_ROOM)?;
        echo.clear();
        self.type_byte(byte, &mut echo);
        Ok(())
    }

    /// Something was read, or thrown away, or is read by other rules: there may be room.
    fn made_room(&self) {
        self.room.wake_all();
        self.pump();
    }
}

/// What a terminal has when it is first opened; a pseudo terminal has no line to hang up.
fn usual_settings(wire: &dyn Wire) -> Termios {
    let mut termios = Termios::default();
    if wire.is_pty() {
        termios.control &= !abi::HUPCL;
    }
    termios
}

/// What typed bytes want done.
#[derive(Default)]
struct Done {
    signal: Option<u8>,
    stopped: Option<bool>,
    flushed: bool,
    readable: bool,
}

impl Done {
    fn note(&mut self, effect: Effect<'_>) {
        match effect {
            Effect::Signal(number) => self.signal = Some(number),
            Effect::Stopped(stopped) => self.stopped = Some(stopped),
            Effect::FlushOutput => self.flushed = true,
            Effect::Echo(_) => {}
        }
    }
}
