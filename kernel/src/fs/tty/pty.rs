//! Pseudo terminals (pty(7)): a [`Terminal`], the slave, and its other end, the master, which a
//! program has open: what it writes is typed, and what the slave shows it reads. Both sides share a
//! [`PtyWire`].
//!
//! `/dev/ptmx` opens a [`Master`] without a slave, which [`FileOps::opened`] makes once the path is
//! known: it belongs to the `devpts` that is mounted beside the device file. Neighbour:
//! [`super::devpts`].

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::DeviceNumber;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::tty::WindowSize;
use kiln_core::tty::waiting::Outgoing;

use super::super::context::Lookup;
use super::super::fasync::{self, AsyncList};
use super::super::file::{Events, File, FileOps, Ioctl, Watch};
use super::super::memory::{try_arc, try_zeros};
use super::super::vfs;
use super::devpts::{self, Index};
use super::file::write_in_steps;
use super::ioctl::{self, Side, get, put, put_int};
use super::{CHUNK, Notice, Terminal, Wire, control};
use crate::sched::{Mode, Mutex, WaitQueue};
use crate::sync::{Once, SpinLock};
use crate::vm::{IoDst, IoSrc};

/// The major number of slaves (`UNIX98_PTY_SLAVE_MAJOR`, linux/major.h).
pub(super) const SLAVE_MAJOR: u32 = 136;
/// What has arrived at the master and isn't thrown away with the rest: as much as a line
/// discipline holds.
const ARRIVED: usize = 4095;
/// Most bytes of one read.
const READ_MOST: usize = 4096;

/// What lies between the two sides.
pub(super) struct PtyWire {
    out: SpinLock<Outgoing>,
    /// For the master: something to read.
    readable: Arc<WaitQueue>,
    /// For the slave: room to write.
    drained: Arc<WaitQueue>,
    /// Who of the master's is told by signals of something to read.
    signals: AsyncList,
    /// How many have the slave open.
    slaves: AtomicU32,
    /// The last of them is gone, and nobody came since.
    slave_gone: AtomicBool,
    /// The master is gone.
    master_gone: AtomicBool,
    /// The slave can't be opened yet (`TIOCSPTLCK`).
    locked: AtomicBool,
    /// Its number, free again when both sides are gone.
    index: Index,
}

impl Wire for PtyWire {
    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        if self.master_gone.load(Ordering::Acquire) {
            return Err(Errno::EIO);
        }
        self.out.lock().put(bytes, false);
        self.readable.wake_all();
        self.signals.tell(abi::POLL_IN);
        Ok(())
    }

    fn takes(&self) -> bool {
        self.out.lock().takes()
    }

    fn queue(&self) -> Option<&Arc<WaitQueue>> {
        Some(&self.drained)
    }

    fn is_pty(&self) -> bool {
        true
    }

    fn echo(&self, bytes: &[u8], held: bool) {
        self.out.lock().put(bytes, held);
    }

    fn discard(&self) {
        self.out.lock().truncate(ARRIVED);
    }

    fn tell(&self, notice: Notice<'_>) {
        {
            let mut out = self.out.lock();
            match notice {
                Notice::Typed => {}
                Notice::Flushed { typed, written } => out.packet.flushed(typed, written),
                Notice::Flow(stopped) => {
                    if !stopped {
                        out.release();
                    }
                    out.packet.flow(stopped);
                }
                Notice::Settings(before, after) => out.packet.settings(before, after),
                Notice::HungUp => out.packet.forget(),
                Notice::Opened => {
                    self.slaves.fetch_add(1, Ordering::AcqRel);
                    self.slave_gone.store(false, Ordering::Release);
                }
                Notice::Closed => {
                    if self.slaves.fetch_sub(1, Ordering::AcqRel) == 1 {
                        self.slave_gone.store(true, Ordering::Release);
                    }
                }
            }
        }
        self.readable.wake_all();
        if matches!(notice, Notice::Typed) && self.out.lock().readable() > 0 {
            self.signals.tell(abi::POLL_IN);
        }
    }
}

/// A pseudo terminal.
pub(super) struct Pty {
    number: u32,
    terminal: Arc<Terminal>,
    wire: Arc<PtyWire>,
}

impl Pty {
    /// A pseudo terminal whose slave is locked.
    pub(super) fn new(index: Index) -> Result<Arc<Self>, Errno> {
        let number = index.number();
        let wire = try_arc(PtyWire {
            out: SpinLock::new(Outgoing::new().ok_or(Errno::ENOMEM)?),
            readable: try_arc(WaitQueue::new())?,
            drained: try_arc(WaitQueue::new())?,
            signals: AsyncList::new(),
            slaves: AtomicU32::new(0),
            slave_gone: AtomicBool::new(false),
            master_gone: AtomicBool::new(false),
            locked: AtomicBool::new(true),
            index,
        })?;
        let device = DeviceNumber::new(SLAVE_MAJOR, number);
        let as_wire: Arc<dyn Wire> = Arc::<PtyWire>::clone(&wire);
        let terminal = Terminal::new(device, as_wire, WindowSize::default())?;
        try_arc(Self {
            number,
            terminal,
            wire,
        })
    }

    /// Opens the slave; EIO while it is locked, and once the master is gone.
    pub(super) fn open_slave(&self, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        let wire = &self.wire;
        if wire.master_gone.load(Ordering::Acquire) || wire.locked.load(Ordering::Acquire) {
            return Err(Errno::EIO);
        }
        let file = super::file::TerminalFile::open(&self.terminal)?;
        if !flags.has(abi::O_NOCTTY) {
            self.terminal.take_by_opening(flags.reads());
        }
        Ok(file)
    }

    /// The master is gone: so is the slave.
    fn close(&self) {
        self.wire.master_gone.store(true, Ordering::Release);
        self.wire.drained.wake_all();
        self.terminal.close();
    }
}

/// A master before and after its path is known.
pub(super) struct Master {
    pty: Once<Arc<Pty>>,
    /// Serialises writers.
    writing: Mutex<()>,
    /// Its own output is stopped (`TCOOFF` on this side).
    stopped: AtomicBool,
    exclusive: AtomicBool,
}

/// Opens a master.
pub(super) fn open_master() -> Result<Arc<dyn FileOps>, Errno> {
    Ok(try_arc(Master {
        pty: Once::new(),
        writing: Mutex::new(()),
        stopped: AtomicBool::new(false),
        exclusive: AtomicBool::new(false),
    })?)
}

/// Opens the slave of a master as a new file (`TIOCGPTPEER`), wherever it may be seen.
pub(crate) fn open_peer(
    lookup: &Lookup<'_>,
    file: &File,
    flags: OpenFlags,
) -> Result<Arc<File>, Errno> {
    let master = master_of(file).ok_or(Errno::ENOTTY)?;
    let index = &master.pty()?.wire.index;
    let slave = index.slave_in(&devpts::place(lookup, &file.path)?)?;
    vfs::open_path(lookup, slave, flags)
}

/// Whether `file` is a master.
pub(crate) fn is_master(file: &File) -> bool {
    master_of(file).is_some()
}

fn master_of(file: &File) -> Option<&Master> {
    file.ops_as()
}

impl Master {
    fn pty(&self) -> Result<&Pty, Errno> {
        Ok(self.pty.get().ok_or(Errno::EIO)?)
    }

    /// Waits for something to read.
    fn wait_readable(&self, wire: &PtyWire, nonblocking: bool) -> Result<(), Errno> {
        let ready = || {
            let out = wire.out.lock();
            let gone = wire.slave_gone.load(Ordering::Acquire);
            (out.readable() > 0 || out.packet.is_pending() || gone).then_some(())
        };
        if ready().is_none() && nonblocking {
            return Err(Errno::EAGAIN);
        }
        let waited = wire.readable.wait(Mode::Interruptible, None, ready);
        waited.map_err(|_| Errno::ERESTARTSYS)
    }

    /// Waits for room to type in.
    fn wait_room(&self, terminal: &Terminal, nonblocking: bool) -> Result<(), Errno> {
        let ready = || self.takes(terminal).then_some(());
        if ready().is_none() && nonblocking {
            return Err(Errno::EAGAIN);
        }
        let waited = terminal.room.wait(Mode::Interruptible, None, ready);
        waited.map_err(|_| Errno::ERESTARTSYS)
    }

    fn takes(&self, terminal: &Terminal) -> bool {
        let room = terminal.backlog.lock().len() < super::BACKLOG_MOST;
        room && !self.stopped.load(Ordering::Acquire)
    }

    fn write_step(&self, src: &mut IoSrc<'_>, nonblocking: bool) -> Result<usize, Errno> {
        let terminal = &self.pty()?.terminal;
        self.wait_room(terminal, nonblocking)?;
        let _writing = self.writing.lock();
        let room = super::BACKLOG_MOST.saturating_sub(terminal.backlog.lock().len());
        let mut chunk = [0; CHUNK];
        let chunk = chunk.get_mut(..room.min(CHUNK)).unwrap_or_default();
        let count = src.take(chunk)?;
        // Nobody else adds to the backlog but TIOCSTI, for which a byte may be lost.
        terminal.receive(chunk.get(..count).unwrap_or_default());
        Ok(count)
    }

    /// What only masters do, and what means this side rather than the slave.
    fn own_request(&self, pty: &Pty, request: &Ioctl<'_>) -> Option<Result<u64, Errno>> {
        let wire = &*pty.wire;
        Some(match request.command {
            abi::ioctl::TIOCGPTN => put(request, &pty.number.to_le_bytes()),
            abi::ioctl::TIOCSPTLCK => get(request).map(|bytes| {
                let locked = u32::from_le_bytes(bytes) != 0;
                wire.locked.store(locked, Ordering::Release);
                0
            }),
            abi::ioctl::TIOCGPTLCK => put_int(request, wire.locked.load(Ordering::Acquire).into()),
            abi::ioctl::TIOCPKT => get(request).map(|bytes| {
                wire.out.lock().packet.set(u32::from_le_bytes(bytes) != 0);
                0
            }),
            abi::ioctl::TIOCGPKT => put_int(request, wire.out.lock().packet.is_on().into()),
            abi::ioctl::TIOCSIG => ioctl::signal_arg(request).map(|signal| {
                pty.terminal.control().signal_foreground(signal.into());
                0
            }),
            abi::ioctl::FIONREAD => put_int(request, wire.out.lock().readable()),
            abi::ioctl::TCFLSH => self.flush(pty, request),
            abi::ioctl::TCXONC => self.flow(pty, request),
            abi::ioctl::TIOCSTI => insert(wire, request),
            abi::ioctl::TIOCEXCL | abi::ioctl::TIOCNXCL => {
                let exclusive = request.command == abi::ioctl::TIOCEXCL;
                self.exclusive.store(exclusive, Ordering::Relaxed);
                Ok(0)
            }
            abi::ioctl::TIOCGEXCL => {
                put_int(request, self.exclusive.load(Ordering::Relaxed).into())
            }
            _ => return None,
        })
    }

    fn flush(&self, pty: &Pty, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let which = u32::try_from(request.arg).map_err(|_| Errno::EINVAL)?;
        if which > abi::TCIOFLUSH {
            return Err(Errno::EINVAL);
        }
        if which != abi::TCOFLUSH {
            pty.wire.out.lock().truncate(0);
            pty.wire.drained.wake_all();
        }
        if which != abi::TCIFLUSH {
            pty.terminal.backlog.lock().clear();
            pty.terminal.room.wake_all();
        }
        Ok(0)
    }

    fn flow(&self, pty: &Pty, request: &Ioctl<'_>) -> Result<u64, Errno> {
        match u32::try_from(request.arg).map_err(|_| Errno::EINVAL)? {
            action @ (abi::TCOOFF | abi::TCOON) => {
                self.stopped.store(action == abi::TCOOFF, Ordering::Release);
                pty.terminal.room.wake_all();
            }
            // Its keys are the usual ones: nobody can change this side's settings.
            abi::TCIOFF => {
                pty.terminal.receive(b"\x13");
            }
            abi::TCION => {
                pty.terminal.receive(b"\x11");
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(0)
    }
}

/// `TIOCSTI` on a master: the byte is there to be read, as if the slave had sent it.
fn insert(wire: &PtyWire, request: &Ioctl<'_>) -> Result<u64, Errno> {
    if !control::is_privileged() {
        return Err(Errno::EPERM);
    }
    let byte: [u8; 1] = get(request)?;
    wire.send(&byte)?;
    Ok(0)
}

impl Drop for Master {
    fn drop(&mut self) {
        if let Some(pty) = self.pty.get() {
            pty.wire.index.remove_name();
            pty.close();
        }
    }
}

impl FileOps for Master {
    fn opened(&self, lookup: &Lookup<'_>, file: &File) -> Result<(), Errno> {
        let place = devpts::place(lookup, &file.path)?;
        let pty = devpts::new_pty(place.inode()?, &lookup.who)?;
        self.pty.call_once(|| pty);
        Ok(())
    }

    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        let wire = &*self.pty()?.wire;
        if dst.remaining() == 0 {
            return Ok(0);
        }
        let mut buffer = try_zeros(dst.remaining().min(READ_MOST))?;
        loop {
            self.wait_readable(wire, file.nonblocking())?;
            let mut out = wire.out.lock();
            if let Some(status) = out.packet.take() {
                drop(out);
                return dst.put(&[status]);
            }
            let (head, body) = buffer.split_at_mut(usize::from(out.packet.is_on()));
            let count = out.take(body);
            drop(out);
            if count > 0 {
                wire.drained.wake_all();
                let len = head.len() + count;
                return dst.put(buffer.get(..len).unwrap_or_default());
            }
            if wire.slave_gone.load(Ordering::Acquire) {
                return Err(Errno::EIO);
            }
        }
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        write_in_steps(src, |src| self.write_step(src, file.nonblocking()))
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn ioctl(&self, file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let pty = self.pty()?;
        match self.own_request(pty, request) {
            Some(answer) => answer,
            None => ioctl::serve(&pty.terminal, Side::Master, file, request),
        }
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        let Ok(pty) = self.pty() else {
            return Events::ERR;
        };
        let wire = &*pty.wire;
        if let Some(watch) = watch {
            watch.add_for(&wire.readable, !Events::WRITABLE);
            watch.add_for(&pty.terminal.room, Events::WRITABLE);
        }
        let (readable, pending) = {
            let out = wire.out.lock();
            (out.readable() > 0, out.packet.is_pending())
        };
        let mut events = Events::empty();
        events.set(Events::READABLE, readable || pending);
        events.set(Events::PRI, pending);
        events.set(Events::HUP, wire.slave_gone.load(Ordering::Acquire));
        events.set(Events::WRITABLE, self.takes(&pty.terminal));
        events
    }

    fn async_lists(&self) -> [Option<&AsyncList>; 2] {
        [self.pty.get().map(|pty| &pty.wire.signals), None]
    }

    fn async_owner(&self, file: &File) {
        // Nobody has this side as a controlling terminal.
        fasync::own(file);
    }
}
