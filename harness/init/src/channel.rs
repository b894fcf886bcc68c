//! The job's streams over the launcher's channel (`kiln_core::channel`): pipes at the job's side, frames
//! at the other. A thread serves each direction of each stream.

use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kiln_core::channel::{Decoder, Header, INITIAL_CREDIT, Kind, MAX_PAYLOAD};

/// The port with the channel.
pub(crate) const CHANNEL: u32 = 1;
/// The port that takes the record.
pub(crate) const RECORD: u32 = 2;
/// How often a port is looked for.
const PATIENCE: u32 = 500;

/// A port of the console device, whose own number depends on the order in which drivers came. Ports
/// appear a little after their driver, so this is patient.
pub(crate) fn port(number: u32) -> Result<File> {
    let suffix = format!("p{number}");
    for _ in 0..PATIENCE {
        for entry in fs::read_dir("/dev")? {
            let name = entry?.file_name();
            let is_port = |name: &str| name.starts_with("vport") && name.ends_with(&suffix);
            if name.to_str().is_some_and(is_port) {
                let path = Path::new("/dev").join(&name);
                let opened = File::options().read(true).write(true).open(&path);
                return opened.with_context(|| path.display().to_string());
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    bail!("port {number} of the console isn't there")
}

/// What both directions share.
struct Shared {
    port: Mutex<File>,
    /// Of standard output and error.
    outputs: Mutex<[Output; 2]>,
    changed: Condvar,
}

#[derive(Clone, Copy)]
struct Output {
    credit: usize,
    reader_gone: bool,
}

/// The running channel.
pub(crate) struct Channel {
    writers: Vec<JoinHandle<()>>,
}

/// The job's ends.
pub(crate) struct Streams {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

impl Channel {
    /// Starts the threads; `signal` is called with each signal for the job.
    pub(crate) fn start(
        stdin: bool,
        signal: impl Fn(i32) + Send + 'static,
    ) -> Result<(Self, Streams)> {
        let output = Output {
            credit: usize::try_from(INITIAL_CREDIT)?,
            reader_gone: false,
        };
        let port = port(CHANNEL)?;
        let shared = Arc::new(Shared {
            port: Mutex::new(port.try_clone()?),
            outputs: Mutex::new([output; 2]),
            changed: Condvar::new(),
        });
        let (job_in, feed) = io::pipe()?;
        let (out, job_out) = io::pipe()?;
        let (err, job_err) = io::pipe()?;
        let (sender, receiver) = channel();
        let listener = Arc::clone(&shared);
        thread::spawn(move || listen(port, &listener, &sender, signal));
        let asker = Arc::clone(&shared);
        if stdin {
            thread::spawn(move || feed_input(feed, &asker, &receiver));
        }
        let writers = [(1, out), (2, err)].map(|(stream, pipe)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || send_output(stream, pipe, &shared))
        });
        let streams = Streams {
            stdin: job_in.into(),
            stdout: job_out.into(),
            stderr: job_err.into(),
        };
        Ok((
            Self {
                writers: writers.into(),
            },
            streams,
        ))
    }

    /// Waits until all that the job wrote is on its way: all its processes have ended.
    pub(crate) fn drain(self) {
        for writer in self.writers {
            let _ = writer.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn send(&self, kind: Kind, stream: u8, payload: &[u8]) {
        let len = u32::try_from(payload.len()).unwrap_or(0);
        let mut frame = Header { kind, stream, len }.encode().to_vec();
        frame.extend_from_slice(payload);
        // A launcher that is gone takes the machine with it.
        let _ = lock(&self.port).write_all(&frame);
    }

    fn change(&self, stream: u8, change: impl Fn(&mut Output)) {
        if let Some(output) = lock(&self.outputs).get_mut(usize::from(stream) - 1) {
            change(output);
        }
        self.changed.notify_all();
    }

    /// Waits for leave to send up to `wanted` bytes; `None`: nobody reads them any more.
    fn admit(&self, stream: u8, wanted: usize) -> Option<usize> {
        let mut outputs = lock(&self.outputs);
        loop {
            let output = outputs.get_mut(usize::from(stream) - 1)?;
            if output.reader_gone {
                return None;
            }
            if output.credit > 0 {
                let now = wanted.min(output.credit);
                output.credit -= now;
                return Some(now);
            }
            outputs = self
                .changed
                .wait(outputs)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn send_output(stream: u8, mut pipe: PipeReader, shared: &Shared) {
    let mut buffer = vec![0; MAX_PAYLOAD];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            let Some(now) = shared.admit(stream, rest.len()) else {
                // The pipe's end goes with this thread, and the job's next write gets SIGPIPE.
                return;
            };
            let (head, tail) = rest.split_at(now);
            shared.send(Kind::Data, stream, head);
            rest = tail;
        }
    }
    shared.send(Kind::End, stream, &[]);
}

/// Linux doesn't tell when a pipe's reader waits, so input is asked for as soon as there is room.
fn feed_input(mut feed: PipeWriter, shared: &Shared, answers: &Receiver<Vec<u8>>) {
    let room = u32::try_from(MAX_PAYLOAD).unwrap_or(0).to_le_bytes();
    let mut taken = 0u64;
    loop {
        shared.send(Kind::Read, 0, &[room, room].concat());
        match answers.recv() {
            Ok(bytes) if !bytes.is_empty() && feed.write_all(&bytes).is_ok() => {
                taken += bytes.len() as u64
            }
            _ => break,
        }
    }
    shared.send(Kind::End, 0, &taken.to_le_bytes());
}

/// Takes in the launcher's frames. `input` gets standard input; an empty piece is its end.
fn listen(mut port: File, shared: &Shared, input: &Sender<Vec<u8>>, signal: impl Fn(i32)) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; MAX_PAYLOAD];
    while let Ok(count) = port.read(&mut buffer) {
        let fed = decoder.feed(
            buffer.get(..count).unwrap_or_default(),
            |header, payload| match (header.kind, header.stream, payload) {
                (Kind::Data | Kind::End, 0, bytes) => drop(input.send(bytes.to_vec())),
                (Kind::Credit, stream @ 1..=2, [a, b, c, d]) => {
                    let more = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(0);
                    shared.change(stream, |output| output.credit += more);
                }
                (Kind::End, stream @ 1..=2, _) => {
                    shared.change(stream, |output| output.reader_gone = true)
                }
                (Kind::Signal, _, [number]) => signal(i32::from(*number)),
                _ => {}
            },
        );
        // Nothing comes where the launcher is gone or breaks the format.
        if count == 0 || fed.is_err() {
            return;
        }
    }
}
