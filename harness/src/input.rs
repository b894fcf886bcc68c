//! The caller's standard input, read when the job reads, and left to the caller's next command as
//! far as the job didn't.
//!
//! A job that reads byte by byte, as shells do, would cost a round trip for each. So more than it
//! wants is sent ahead, where that can be undone: a file's position is set back, and a pipe's bytes
//! are copied with `tee`, which leaves them in the pipe, and taken out once the job has read them.
//! From a terminal or a socket only what the job wants is read.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use kiln_core::channel::MAX_PAYLOAD;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, SeekFrom};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags};
use rustix::stdio::stdin;

use crate::streams::{Event, Mailbox, Post};

/// What the thread is asked to do.
enum Request {
    /// Read 1 to `room` bytes; more than `wanted` only if they can be given back.
    Read { wanted: usize, room: usize },
    /// The job has read so many bytes in all and reads no more.
    Close { taken: u64 },
}

/// The caller's standard input.
pub struct Input {
    requests: Sender<Request>,
    /// A read isn't answered yet.
    waiting: bool,
    /// A read may last for ever.
    may_block: bool,
    closing: bool,
    closed: bool,
}

impl Input {
    /// Starts the thread.
    #[must_use]
    pub fn start(mailbox: &Mailbox) -> Self {
        let (requests, received) = mpsc::channel();
        let post = mailbox.post();
        let source = Source::new();
        let may_block = !matches!(source.kind, Kind::File);
        thread::spawn(move || serve(source, &received, &post));
        Self {
            requests,
            waiting: false,
            may_block,
            closing: false,
            closed: false,
        }
    }

    /// Asks for 1 to `room` bytes, of which the job wants `wanted` now; [`Event::Input`] or
    /// [`Event::InputEnd`] answers.
    pub fn request(&mut self, wanted: usize, room: usize) {
        let room = room.clamp(1, MAX_PAYLOAD);
        let wanted = wanted.clamp(1, room);
        self.waiting = true;
        let _ = self.requests.send(Request::Read { wanted, room });
    }

    /// Accounts for the answer.
    pub fn answered(&mut self) {
        self.waiting = false;
    }

    /// The job has read `taken` bytes in all and reads no more: the rest is the caller's again.
    pub fn close(&mut self, taken: u64) {
        if !std::mem::replace(&mut self.closing, true) {
            let _ = self.requests.send(Request::Close { taken });
        }
    }

    /// Accounts for [`Event::InputClosed`].
    pub fn closed(&mut self) {
        self.closed = true;
    }

    /// Whether what the job left is the caller's again. While a read waits there is nothing to
    /// give back.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.closed || self.waiting && self.may_block
    }
}

/// What standard input is.
enum Kind {
    /// A regular file: its position can be set back.
    File,
    /// A pipe, and another one to copy what is in it to.
    Pipe { from: OwnedFd, to: OwnedFd },
    /// Anything else: what is read is gone.
    Other,
}

/// Standard input and what of it was sent ahead.
struct Source {
    kind: Kind,
    /// Bytes sent to the job in all.
    sent: u64,
    /// Of a pipe: bytes sent that are still in it.
    held: usize,
}

fn serve(mut source: Source, requests: &Receiver<Request>, post: &Post) {
    let mut buffer = vec![0; MAX_PAYLOAD];
    for request in requests {
        match request {
            Request::Read { wanted, room } => {
                let read = source.read(buffer.get_mut(..room).unwrap_or_default(), wanted);
                post.send(match read.map(|count| buffer.get(..count)) {
                    Ok(None | Some([])) => Event::InputEnd(None),
                    Ok(Some(bytes)) => Event::Input(bytes.to_vec()),
                    Err(why) => Event::InputEnd(Some(why)),
                });
            }
            Request::Close { taken } => {
                source.close(taken);
                post.send(Event::InputClosed);
            }
        }
    }
}

impl Source {
    fn new() -> Self {
        let file = rustix::fs::fstat(stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let kind = match file {
            Ok(FileType::RegularFile) => Kind::File,
            Ok(FileType::Fifo) => match rustix::pipe::pipe_with(PipeFlags::CLOEXEC) {
                Ok((from, to)) => Kind::Pipe { from, to },
                Err(_) => Kind::Other,
            },
            _ => Kind::Other,
        };
        Self {
            kind,
            sent: 0,
            held: 0,
        }
    }

    /// Reads what there is, at least one byte; nothing at the end of the input.
    fn read(&mut self, buffer: &mut [u8], wanted: usize) -> rustix::io::Result<usize> {
        // The job asks again only when it has read everything.
        self.consume(self.held);
        let count = match &self.kind {
            Kind::Pipe { from, to } => copy_ahead(from, to, buffer),
            Kind::File => patiently(|| rustix::io::read(stdin(), &mut *buffer)),
            Kind::Other => {
                let wanted = buffer.get_mut(..wanted).unwrap_or_default();
                patiently(|| rustix::io::read(stdin(), &mut *wanted))
            }
        }?;
        if matches!(self.kind, Kind::Pipe { .. }) {
            self.held = count;
        }
        self.sent += count as u64;
        Ok(count)
    }

    /// Takes what the job has read out of the pipe, or sets the file's position to it.
    fn close(&mut self, taken: u64) {
        let unread = self.sent.saturating_sub(taken);
        match self.kind {
            Kind::File => {
                let back = i64::try_from(unread).unwrap_or(0);
                let _ = rustix::fs::seek(stdin(), SeekFrom::Current(-back));
            }
            Kind::Pipe { .. } => {
                let unread = usize::try_from(unread).unwrap_or(usize::MAX);
                self.consume(self.held.saturating_sub(unread));
            }
            Kind::Other => {}
        }
    }

    fn consume(&mut self, count: usize) {
        let mut left = count;
        let mut buffer = vec![0; left.min(MAX_PAYLOAD)];
        while left > 0 {
            let now = buffer.get_mut(..left.min(MAX_PAYLOAD)).unwrap_or_default();
            match patiently(|| rustix::io::read(stdin(), &mut *now)) {
                Ok(0) | Err(_) => break,
                Ok(count) => left -= count.min(left),
            }
        }
        self.held = 0;
    }
}

/// Copies what is in the pipe that is standard input, without taking it out.
fn copy_ahead(from: &OwnedFd, to: &OwnedFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let room = buffer.len();
    let copied = patiently(|| rustix::pipe::tee(stdin(), to.as_fd(), room, SpliceFlags::empty()))?;
    let mut done = 0;
    while done < copied {
        let place = buffer.get_mut(done..copied).unwrap_or_default();
        match patiently(|| rustix::io::read(from, &mut *place))? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

/// Repeats a call that was interrupted, or that found nothing in a file in non-blocking mode.
fn patiently(mut call: impl FnMut() -> rustix::io::Result<usize>) -> rustix::io::Result<usize> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&stdin(), PollFlags::IN)], None);
            }
            result => return result,
        }
    }
}
