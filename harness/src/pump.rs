//! The event loop while the VM runs: [`Pump`] moves frames between the guest's channel and the
//! caller's streams, passes signals on, and keeps the time limits.
//!
//! One thread, which never blocks but in `poll`. What may block (the caller's files) is in
//! `streams`. It ends when QEMU has ended and everything the job wrote has arrived.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use kiln_core::channel::{Decoder, Header, Kind};
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::input::Input;
use crate::signals::Signals;
use crate::strace::Tracer;
use crate::streams::{Event, Mailbox, Outbox, Outputs};

/// How long the job may go on after the first signal.
const SIGNAL_GRACE: Duration = Duration::from_secs(10);
/// How long the guest may take to end the job at its time limit.
const TIMEOUT_GRACE: Duration = Duration::from_secs(5);
/// How long undelivered output may keep the launcher once QEMU was killed.
const DELIVERY_GRACE: Duration = Duration::from_secs(1);

/// How much of what QEMU says is kept, bytes.
const MOST_SAID: usize = 64 * 1024;

/// Why the launcher killed QEMU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Killed {
    /// The time limit, and the guest didn't keep it itself.
    Timeout,
    /// A signal, and the job didn't end.
    Signal(Signal),
    /// The guest broke the channel's format.
    Malformed,
    /// QEMU gave the guest up, but doesn't end by itself.
    Stuck,
}

/// How the run went.
#[derive(Debug)]
pub struct Ended {
    /// QEMU's status.
    pub exit: ExitStatus,
    /// Set when the launcher ended it.
    pub killed: Option<Killed>,
    /// The first signal that was passed on.
    pub signal: Option<Signal>,
    /// An output of the caller that failed, otherwise than by its reader going away.
    pub lost: Option<(u8, Errno)>,
    /// What QEMU itself had to say.
    pub said: Vec<u8>,
}

/// A running VM and the caller's streams.
pub struct Pump {
    qemu: Child,
    pidfd: OwnedFd,
    channel: OwnedFd,
    /// Kernel messages from the serial port.
    serial: Option<OwnedFd>,
    /// QEMU's standard error, and what came over it.
    voice: OwnedFd,
    said: Vec<u8>,
    signals: Signals,
    mailbox: Mailbox,
    outputs: Outputs,
    input: Input,
    outbox: Outbox,
    decoder: Decoder,
    tracer: Tracer,
    channel_open: bool,
    kill_at: Option<(Instant, Killed)>,
    exit: Option<ExitStatus>,
    killed: Option<Killed>,
    signal: Option<Signal>,
    lost: Option<(u8, Errno)>,
    give_up_at: Option<Instant>,
    /// Standard input is at its end, or can't be read.
    input_ended: Option<Option<Errno>>,
    tty: bool,
}

/// What a pump starts with.
pub struct Parts {
    /// QEMU, just started.
    pub qemu: Child,
    /// The launcher's end of the channel.
    pub channel: OwnedFd,
    /// The serial port's output; reading it doesn't block.
    pub serial: Option<OwnedFd>,
    /// QEMU's standard error; reading it doesn't block.
    pub voice: OwnedFd,
    /// Blocked since before any thread was started.
    pub signals: Signals,
    /// From QEMU's start.
    pub timeout: Option<Duration>,
    /// The job has a terminal.
    pub tty: bool,
}

impl Pump {
    /// Takes over `parts`.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn new(parts: Parts) -> io::Result<Self> {
        let mailbox = Mailbox::new()?;
        let pid = Pid::from_child(&parts.qemu);
        let limit = parts.timeout.map(|limit| {
            let at = Instant::now() + limit + TIMEOUT_GRACE;
            (at, Killed::Timeout)
        });
        Ok(Self {
            pidfd: pidfd_open(pid, PidfdFlags::empty())?,
            outputs: Outputs::start(&mailbox),
            input: Input::start(&mailbox),
            mailbox,
            qemu: parts.qemu,
            channel: parts.channel,
            serial: parts.serial,
            voice: parts.voice,
            said: Vec::new(),
            signals: parts.signals,
            outbox: Outbox::default(),
            decoder: Decoder::default(),
            tracer: Tracer::default(),
            channel_open: true,
            kill_at: limit,
            exit: None,
            killed: None,
            signal: None,
            lost: None,
            give_up_at: None,
            input_ended: None,
            tty: parts.tty,
        })
    }

    /// Runs until QEMU has ended and all output is delivered.
    ///
    /// # Errors
    /// Those of `poll` and of waiting for QEMU.
    pub fn run(mut self) -> io::Result<Ended> {
        loop {
            self.wait()?;
            self.take_events();
            self.take_signals();
            self.take_frames();
            self.take_serial();
            self.take_voice();
            self.watch_readers();
            self.keep_time();
            self.outbox.flush(self.channel.as_fd());
            if self.exit.is_none() {
                self.exit = self.qemu.try_wait()?;
                if self.exit.is_some() {
                    self.drain();
                }
            }
            if let Some(exit) = self.exit
                && (self.outputs.idle() && self.input.settled() || self.gave_up())
            {
                return Ok(Ended {
                    exit,
                    killed: self.killed,
                    signal: self.signal,
                    lost: self.lost,
                    said: self.said,
                });
            }
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&self) -> io::Result<()> {
        let mut fds = vec![
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::from_borrowed_fd(self.mailbox.fd(), PollFlags::IN),
        ];
        if self.exit.is_none() {
            fds.push(PollFd::new(&self.pidfd, PollFlags::IN));
            // Without its writer an end of a pipe is always ready: QEMU's end takes both away.
            fds.push(PollFd::new(&self.voice, PollFlags::IN));
            if let Some(serial) = &self.serial {
                fds.push(PollFd::new(serial, PollFlags::IN));
            }
        }
        if self.channel_open && self.exit.is_none() {
            let out = if self.outbox.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            fds.push(PollFd::new(&self.channel, PollFlags::IN | out));
        }
        for (_, fd) in self.outputs.watched() {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::empty()));
        }
        let timeout = [self.kill_at.map(|(at, _)| at), self.give_up_at]
            .into_iter()
            .flatten()
            .min()
            .and_then(|at| Timespec::try_from(at.saturating_duration_since(Instant::now())).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn take_events(&mut self) {
        for event in self.mailbox.take() {
            match event {
                Event::Taken(stream, bytes) => {
                    self.outputs.taken(stream, bytes);
                    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                    self.outbox
                        .frame(Kind::Credit, stream, &bytes.to_le_bytes());
                }
                Event::Closed(stream, why) => self.close(stream, why),
                Event::Input(bytes) => {
                    self.input.answered();
                    self.outbox.frame(Kind::Data, 0, &bytes);
                }
                Event::InputClosed => self.input.closed(),
                Event::InputEnd(why) => {
                    self.input.answered();
                    self.input_ended = Some(why);
                    self.end_input(why);
                }
            }
        }
    }

    fn close(&mut self, stream: u8, why: Option<Errno>) {
        if let (None, Some(errno)) = (self.lost, why) {
            self.lost = Some((stream, errno));
        }
        if self.outputs.closed(stream) {
            self.outbox.frame(Kind::End, stream, &[]);
        }
    }

    /// Tells the job of a reader that went away before the job writes to it, as far as can be.
    fn watch_readers(&mut self) {
        for (stream, fd) in self.outputs.watched() {
            let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
            let gone = poll(&mut fds, Some(&Timespec::default()));
            if gone.is_ok_and(|count| count > 0) {
                self.close(stream, None);
            }
        }
    }

    fn take_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            if signal == Signal::SIGWINCH {
                self.send_window();
            } else if self.signal.is_some() || self.exit.is_some() {
                self.kill(Killed::Signal(self.signal.unwrap_or(signal)));
            } else {
                self.signal = Some(signal);
                let number = u8::try_from(signal as i32).unwrap_or(15);
                self.outbox.frame(Kind::Signal, 0, &[number]);
                let at = Instant::now() + SIGNAL_GRACE;
                if self.kill_at.is_none_or(|(limit, _)| at < limit) {
                    self.kill_at = Some((at, Killed::Signal(signal)));
                }
            }
        }
    }

    fn send_window(&mut self) {
        if self.tty
            && let Some((rows, columns)) = crate::terminal::window()
        {
            let [a, b] = rows.to_le_bytes();
            let [c, d] = columns.to_le_bytes();
            self.outbox.frame(Kind::Window, 0, &[a, b, c, d]);
        }
    }

    fn keep_time(&mut self) {
        if let Some((at, why)) = self.kill_at
            && Instant::now() >= at
        {
            self.kill(why);
        }
    }

    fn kill(&mut self, why: Killed) {
        self.kill_at = None;
        if self.exit.is_none() {
            self.killed.get_or_insert(why);
            // It can only have ended by itself meanwhile.
            let _ = self.qemu.kill();
        }
        self.give_up_at
            .get_or_insert(Instant::now() + DELIVERY_GRACE);
    }

    fn gave_up(&self) -> bool {
        self.give_up_at.is_some_and(|at| Instant::now() >= at)
    }

    /// Takes what the guest has sent so far.
    fn take_frames(&mut self) {
        let mut buffer = vec![0; 256 * 1024];
        while self.channel_open {
            match rustix::net::recv(&self.channel, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.channel_open = false,
                Ok((count, _)) => self.feed(buffer.get(..count).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.channel_open = false,
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut decoder = std::mem::take(&mut self.decoder);
        let result = decoder.feed(bytes, |header, payload| self.take_frame(header, payload));
        self.decoder = decoder;
        if result.is_err() {
            self.channel_open = false;
            self.kill(Killed::Malformed);
        }
    }

    fn take_frame(&mut self, header: Header, payload: &[u8]) {
        match (header.kind, header.stream) {
            (Kind::Data, 1 | 2) => self.outputs.write(header.stream, payload),
            (Kind::Read, 0) => self.request_input(payload),
            (Kind::Log, _) => self.outputs.note(payload),
            (Kind::Trace, more) => match self.tracer.take(more == 1, payload) {
                Some(line) => self.outputs.note(line.as_bytes()),
                None => self.kill(Killed::Malformed),
            },
            (Kind::End, 0) => match payload.try_into() {
                Ok(taken) => self.input.close(u64::from_le_bytes(taken)),
                Err(_) => self.kill(Killed::Malformed),
            },
            (Kind::End, 1) => self.outputs.close_output(),
            // The job has closed its standard error: nothing to do.
            (Kind::End | Kind::Settings, _) => {}
            _ => self.kill(Killed::Malformed),
        }
    }

    fn request_input(&mut self, payload: &[u8]) {
        let ([wanted, room], []) = payload.as_chunks::<4>() else {
            return self.kill(Killed::Malformed);
        };
        match self.input_ended {
            Some(why) if !self.tty => self.end_input(why),
            _ => {
                let [wanted, room] = [wanted, room]
                    .map(|word| kiln_core::num::usize_of32(u32::from_le_bytes(*word)));
                self.input.request(wanted, room);
            }
        }
    }

    /// Tells the job that there is no more input; `why`: it can't be read.
    fn end_input(&mut self, why: Option<Errno>) {
        let number = why.and_then(|errno| u8::try_from(errno.raw_os_error()).ok());
        self.outbox.frame(Kind::End, 0, number.as_slice());
    }

    fn take_serial(&mut self) {
        let Some(serial) = &self.serial else { return };
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = rustix::io::read(serial, &mut buffer) {
            self.outputs.note(buffer.get(..count).unwrap_or_default());
        }
    }

    /// QEMU reports a guest that KVM can't run, pauses it, and waits for orders.
    fn take_voice(&mut self) {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = rustix::io::read(&self.voice, &mut buffer) {
            if self.said.len() < MOST_SAID {
                self.said.extend(buffer.get(..count).unwrap_or_default());
            }
            let text = String::from_utf8_lossy(&self.said);
            if text.contains("KVM internal error") || text.contains("kvm run failed") {
                self.kill(Killed::Stuck);
            }
        }
    }

    /// Takes what is left after QEMU has ended.
    fn drain(&mut self) {
        self.take_frames();
        self.take_voice();
        self.take_serial();
        // Without a word of the guest's everything sent counts as read.
        self.input.close(u64::MAX);
        self.outputs.close_output();
        self.channel_open = false;
        self.kill_at = None;
    }
}
