//! [`TerminalFile`]: an open terminal, which reads lines, writes, and is dead once the terminal was
//! hung up.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::tty::line::Taken;

use super::super::fasync::AsyncList;
use super::super::file::{Events, File, FileOps, Ioctl, Watch};
use super::super::memory::{try_arc, try_zeros};
use super::ioctl::{self, Side};
use super::{CHUNK, Notice, Terminal, control};
use crate::arch::time::now_ns;
use crate::sched::{Deadline, Mode, Wake};
use crate::vm::{IoDst, IoSrc};

/// Most bytes of one read.
const READ_MOST: usize = 4096;

/// What poll tells of a terminal that was hung up.
const DEAD: Events = Events::READABLE
    .union(Events::WRITABLE)
    .union(Events::ERR)
    .union(Events::HUP);

/// An open terminal.
pub(crate) struct TerminalFile {
    pub(super) terminal: Arc<Terminal>,
    generation: u32,
}

/// Writes what `src` holds, step by step: an error counts only when nothing was written before it.
pub(super) fn write_in_steps(
    src: &mut IoSrc<'_>,
    mut step: impl FnMut(&mut IoSrc<'_>) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut done = 0;
    while src.remaining() > 0 {
        match step(src) {
            Ok(count) => done += count,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

impl TerminalFile {
    /// Opens it.
    pub(crate) fn open(terminal: &Arc<Terminal>) -> Result<Arc<dyn FileOps>, Errno> {
        if terminal.exclusive.load(Ordering::Relaxed) && !control::is_privileged() {
            return Err(Errno::EBUSY);
        }
        let file = try_arc(Self {
            terminal: Arc::clone(terminal),
            generation: terminal.generation.load(Ordering::Acquire),
        })?;
        terminal.wire.tell(Notice::Opened);
        Ok(file)
    }

    /// The terminal was hung up since this was opened.
    fn is_dead(&self) -> bool {
        self.terminal.generation.load(Ordering::Acquire) != self.generation
    }

    /// Waits until a program may write.
    fn wait_writable(&self, nonblocking: bool) -> Result<(), Errno> {
        let terminal = &*self.terminal;
        loop {
            if self.is_dead() {
                return Err(Errno::EIO);
            }
            let stopped = terminal.line.lock().stopped();
            if !stopped && terminal.wire.takes() {
                return Ok(());
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            let ready = || {
                let go = !terminal.line.lock().stopped() && (stopped || terminal.wire.takes());
                (go || self.is_dead()).then_some(())
            };
            let queue = terminal.wire.queue().filter(|_| !stopped);
            let queue = queue.unwrap_or(&terminal.flow);
            let waited = queue.wait(Mode::Interruptible, None, ready);
            waited.map_err(|_| Errno::ERESTARTSYS)?;
        }
    }

    /// Writes what is taken at once. The line stays locked until it is sent: an echo comes before
    /// it or behind it.
    fn write_chunk(&self, chunk: &[u8], scratch: &mut Vec<u8>) -> Result<(), Errno> {
        scratch.clear();
        self.terminal.line.lock().write(chunk, |bytes| {
            if scratch.len() + bytes.len() <= scratch.capacity() {
                scratch.extend_from_slice(bytes);
            }
        });
        self.terminal.wire.send(scratch)
    }

    fn write_step(&self, src: &mut IoSrc<'_>, nonblocking: bool) -> Result<usize, Errno> {
        self.wait_writable(nonblocking)?;
        let mut scratch = self.terminal.output.lock();
        if !self.terminal.wire.takes() {
            return Ok(0);
        }
        let mut chunk = [0; CHUNK];
        let count = src.take(&mut chunk)?;
        self.write_chunk(chunk.get(..count).unwrap_or_default(), &mut scratch)?;
        Ok(count)
    }

    /// Waits until there is something to read, or the time is over (`false`).
    fn wait_typed(&self, milliseconds: Option<u64>) -> Result<bool, Errno> {
        let deadline: Deadline =
            milliseconds.map(|time| now_ns().saturating_add(time.saturating_mul(1_000_000)));
        let ready = || (self.terminal.line.lock().has_input() || self.is_dead()).then_some(());
        let waited = self
            .terminal
            .typed
            .wait(Mode::Interruptible, deadline, ready);
        match waited {
            Ok(()) => Ok(true),
            Err(Wake::Timeout) => Ok(false),
            Err(Wake::Signal) => Err(Errno::ERESTARTSYS),
        }
    }

    /// Takes what there is; `None`: the end.
    fn take(&self, buffer: &mut [u8], dst: &mut IoDst<'_>) -> Result<Option<usize>, Errno> {
        let taken = self.terminal.line.lock().read(buffer);
        match taken {
            Taken::Bytes(count) => {
                self.terminal.made_room();
                dst.put(buffer.get(..count).unwrap_or_default()).map(Some)
            }
            Taken::End => {
                self.terminal.made_room();
                Ok(None)
            }
            // Who waits when a master goes learns of it by an error, who comes later by the end.
            Taken::Nothing if self.is_dead() && self.terminal.is_pty() => {
                if self.terminal.is_closed() {
                    Err(Errno::EIO)
                } else {
                    Ok(None)
                }
            }
            Taken::Nothing if self.is_dead() => Ok(None),
            Taken::Nothing => Ok(Some(0)),
        }
    }

    /// Reads as the settings say, a line or so many bytes.
    fn read_line(&self, dst: &mut IoDst<'_>, nonblocking: bool) -> Result<usize, Errno> {
        let asked = dst.remaining();
        let mut buffer = try_zeros(asked.min(READ_MOST))?;
        let patience = self.terminal.line.lock().patience();
        let least = patience.least.min(asked);
        let mut done = 0;
        loop {
            let room = buffer.len().min(asked - done);
            match self.take(buffer.get_mut(..room).unwrap_or_default(), dst)? {
                Some(count) => done += count,
                None => return Ok(done),
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

impl Drop for TerminalFile {
    fn drop(&mut self) {
        self.terminal.wire.tell(Notice::Closed);
    }
}

impl FileOps for TerminalFile {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        // What was typed before the console's other end went may still be read.
        let ended =
            self.is_dead() && !(self.terminal.is_closed() && self.terminal.line.lock().has_input());
        if dst.remaining() == 0 || ended {
            return Ok(0);
        }
        self.terminal.check_read()?;
        self.read_line(dst, file.nonblocking())
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        if self.is_dead() {
            return Err(Errno::EIO);
        }
        if self.terminal.line.lock().termios().local(abi::TOSTOP) {
            self.terminal.check_change()?;
        }
        write_in_steps(src, |src| self.write_step(src, file.nonblocking()))
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn async_lists(&self) -> [Option<&AsyncList>; 2] {
        [Some(&self.terminal.signals), None]
    }

    fn async_owner(&self, file: &File) {
        self.terminal.own(file);
    }

    fn ioctl(&self, file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        if self.is_dead() {
            return Err(match request.command {
                abi::ioctl::TIOCSPGRP => Errno::ENOTTY,
                _ => Errno::EIO,
            });
        }
        ioctl::serve(&self.terminal, Side::Slave, file, request)
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        let terminal = &*self.terminal;
        if let Some(watch) = watch {
            watch.add(&terminal.typed);
            watch.add(&terminal.flow);
            if let Some(queue) = terminal.wire.queue() {
                watch.add(queue);
            }
        }
        if self.is_dead() {
            return DEAD;
        }
        let (readable, stopped) = {
            let line = terminal.line.lock();
            (line.is_readable(), line.stopped())
        };
        let mut events = Events::empty();
        events.set(Events::READABLE, readable);
        events.set(Events::WRITABLE, !stopped && terminal.wire.takes());
        events
    }
}
