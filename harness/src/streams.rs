//! The caller's standard streams: threads that block in `read` and `write`, so that the event loop
//! (`pump`) never does. [`Outputs`] writes, [`Input`] reads, both answer with [`Event`]s.
//!
//! Standard output and error share one thread when they are the same file, which keeps the order
//! of `2>&1`; otherwise each has its own, so that a stalled reader of one never holds up the other.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};

/// What a stream's thread has to tell.
#[derive(Debug)]
pub enum Event {
    /// So many bytes of this output stream are written.
    Taken(u8, usize),
    /// This output stream takes no more; `None` when its reader has gone away.
    Closed(u8, Option<Errno>),
    /// Bytes of standard input.
    Input(Vec<u8>),
    /// The end of standard input, or why it can't be read.
    InputEnd(Option<Errno>),
    /// What the job left of standard input is the caller's again.
    InputClosed,
}

/// Where the threads put their events; the loop polls [`Mailbox::fd`].
pub struct Mailbox {
    events: Receiver<Event>,
    sender: Sender<Event>,
    bell: Arc<OwnedFd>,
}

/// A thread's way to the mailbox.
#[derive(Clone)]
pub(crate) struct Post {
    sender: Sender<Event>,
    bell: Arc<OwnedFd>,
}

impl Post {
    pub(crate) fn send(&self, event: Event) {
        // Neither fails while the loop lives, and nobody listens after it.
        let _ = self.sender.send(event);
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
    }
}

impl Mailbox {
    /// An empty mailbox.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn new() -> rustix::io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (sender, events) = mpsc::channel();
        Ok(Self {
            events,
            sender,
            bell: Arc::new(bell),
        })
    }

    /// Readable when there are events.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The events so far.
    pub fn take(&self) -> Vec<Event> {
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        self.events.try_iter().collect()
    }

    pub(crate) fn post(&self) -> Post {
        Post {
            sender: self.sender.clone(),
            bell: Arc::clone(&self.bell),
        }
    }
}

/// Something to write.
enum Chunk {
    /// Bytes for a stream.
    Bytes {
        stream: u8,
        bytes: Vec<u8>,
        /// The job waits for an answer; kernel messages don't.
        counted: bool,
    },
    /// Nothing more comes for standard output: whoever reads it needn't wait for the launcher's
    /// end. (Standard error stays open, for the launcher's own last words.)
    CloseOutput,
}

/// The caller's standard output and error.
pub struct Outputs {
    out: Sender<Chunk>,
    err: Sender<Chunk>,
    pending: [usize; 2],
    open: [bool; 2],
}

impl Outputs {
    /// Starts the threads.
    #[must_use]
    pub fn start(mailbox: &Mailbox) -> Self {
        let spawn = || {
            let (sender, chunks) = mpsc::channel();
            let post = mailbox.post();
            thread::spawn(move || write_chunks(&chunks, &post));
            sender
        };
        let out = spawn();
        let err = if same_file() { out.clone() } else { spawn() };
        Self {
            out,
            err,
            pending: [0; 2],
            open: [true; 2],
        }
    }

    /// Queues bytes of the job's; an [`Event::Taken`] answers.
    pub fn write(&mut self, stream: u8, bytes: &[u8]) {
        if let Some(pending) = self.pending.get_mut(usize::from(stream == 2)) {
            *pending += bytes.len();
        }
        self.send(stream, bytes, true);
    }

    /// Queues a message for standard error that nothing waits for.
    pub fn note(&mut self, bytes: &[u8]) {
        self.send(2, bytes, false);
    }

    fn send(&mut self, stream: u8, bytes: &[u8], counted: bool) {
        let chunk = Chunk::Bytes {
            stream,
            bytes: bytes.to_vec(),
            counted,
        };
        let sender = if stream == 2 { &self.err } else { &self.out };
        // The thread lives as long as its sender.
        let _ = sender.send(chunk);
    }

    /// Closes standard output once all that was queued is written. It isn't watched any more: a
    /// file that somebody polls stays open until they return.
    pub fn close_output(&mut self) {
        let [out, _] = &mut self.open;
        *out = false;
        // The thread lives as long as its sender.
        let _ = self.out.send(Chunk::CloseOutput);
    }

    /// Accounts for an [`Event::Taken`].
    pub fn taken(&mut self, stream: u8, bytes: usize) {
        if let Some(pending) = self.pending.get_mut(usize::from(stream == 2)) {
            *pending = pending.saturating_sub(bytes);
        }
    }

    /// Accounts for an [`Event::Closed`]; true the first time.
    pub fn closed(&mut self, stream: u8) -> bool {
        let open = self.open.get_mut(usize::from(stream == 2));
        open.is_some_and(|open| std::mem::replace(open, false))
    }

    /// Everything the job wrote has arrived.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.pending == [0; 2]
    }

    /// The streams that are pipes or sockets with a reader, so far as is known: their going away
    /// shows as an error condition in `poll`.
    #[must_use]
    pub fn watched(&self) -> Vec<(u8, BorrowedFd<'static>)> {
        let streams = [(1, stdout()), (2, stderr())];
        streams
            .into_iter()
            .zip(self.open)
            .filter(|((_, fd), open)| *open && has_reader(*fd))
            .map(|(stream, _)| stream)
            .collect()
    }
}

/// Whether this is the kind of file that has somebody at its other end.
fn has_reader(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| {
        matches!(
            FileType::from_raw_mode(stat.st_mode),
            FileType::Fifo | FileType::Socket
        )
    })
}

fn same_file() -> bool {
    match (rustix::fs::fstat(stdout()), rustix::fs::fstat(stderr())) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino, a.st_rdev) == (b.st_dev, b.st_ino, b.st_rdev),
        _ => false,
    }
}

fn write_chunks(chunks: &Receiver<Chunk>, post: &Post) {
    let mut dead = [false; 2];
    for chunk in chunks {
        let Chunk::Bytes {
            stream,
            bytes,
            counted,
        } = chunk
        else {
            close_stdout();
            continue;
        };
        let [dead_out, dead_err] = &mut dead;
        let (fd, dead) = match stream {
            2 => (stderr(), dead_err),
            _ => (stdout(), dead_out),
        };
        if !*dead && let Err(error) = write_all(fd, &bytes) {
            *dead = true;
            let why = Some(error).filter(|error| *error != Errno::PIPE);
            post.send(Event::Closed(stream, why));
        }
        if counted {
            post.send(Event::Taken(stream, bytes.len()));
        }
    }
}

/// Puts `/dev/null` in the place of standard output: descriptor 1 itself stays in use.
fn close_stdout() {
    use rustix::fs::{Mode, OFlags, open};
    // When this can't be done, the reader waits a little longer.
    if let Ok(null) = open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // The caller's file may be in non-blocking mode.
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::OUT),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags) {
    let _ = poll(&mut [PollFd::new(&fd, flags)], None);
}

/// Bytes on their way to the guest.
#[derive(Default)]
pub struct Outbox {
    bytes: VecDeque<u8>,
    /// Nobody reads it any more: what is queued is dropped.
    closed: bool,
}

impl Outbox {
    /// Queues a frame.
    pub fn frame(&mut self, kind: kiln_core::channel::Kind, stream: u8, payload: &[u8]) {
        if self.closed {
            return;
        }
        let header = kiln_core::channel::Header {
            kind,
            stream,
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        };
        self.bytes.extend(header.encode());
        self.bytes.extend(payload);
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sends as much as the socket takes at once. A peer that went away takes no more; what it
    /// sent before is still to be read.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) {
        while !self.bytes.is_empty() {
            let (front, _) = self.bytes.as_slices();
            match rustix::net::send(
                socket,
                front,
                rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT,
            ) {
                Ok(count) => drop(self.bytes.drain(..count)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.closed = true;
                    self.bytes.clear();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_core::channel::Kind;
    use std::os::fd::AsFd;

    #[test]
    fn what_a_peer_sent_before_it_left_can_still_be_read() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut &theirs, b"last words").unwrap();
        drop(theirs);
        let mut outbox = Outbox::default();
        outbox.frame(Kind::Credit, 1, &[0; 4]);
        outbox.flush(ours.as_fd());
        outbox.frame(Kind::Credit, 1, &[0; 4]);
        assert!(outbox.is_empty());
        let mut text = String::new();
        std::io::Read::read_to_string(&mut &ours, &mut text).unwrap();
        assert_eq!(text, "last words");
    }
}
