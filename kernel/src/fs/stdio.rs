//! The job's standard streams: without a terminal, three FIFOs whose other ends are the launcher's;
//! with one, `/dev/console` three times.
//!
//! Each FIFO is an inode of its own that can be opened again (`/dev/stdout`, `/proc/self/fd/1`).
//! When the last reference to it goes, the launcher learns that the job has closed the stream.

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::perm::Identity;
use kiln_core::job::Spec;
use kiln_core::tty::WindowSize;

use super::anon::PIPES;
use super::clock;
use super::context::{FsContext, Lookup};
use super::file::{Events, File, FileOps, Ioctl, Watch};
use super::inode::{Inode, InodeOps};
use super::memory::try_arc;
use super::tty;
use super::vfs;
use crate::drivers::channel::{self, Admission, Output, Readiness};
use crate::vm::{IoDst, IoSrc};

/// What the job starts with as descriptors 0, 1 and 2; `None`: that one is closed.
pub(crate) type Stdio = [Option<Arc<File>>; 3];

/// Opens descriptors 0, 1 and 2 for the job, as its user's own.
pub(crate) fn open(fs: &FsContext, spec: &Spec) -> Result<Stdio, Errno> {
    if spec.tty {
        return open_terminal(fs, spec);
    }
    let [no_input, no_output, no_error] = spec.closed;
    let open = |closed: bool, end, flags| (!closed).then(|| fifo(spec, end, flags)).transpose();
    Ok([
        open(no_input, End::Input, abi::O_RDONLY)?,
        open(no_output, End::Output(Output::Stdout), abi::O_WRONLY)?,
        open(no_error, End::Output(Output::Stderr), abi::O_WRONLY)?,
    ])
}

fn open_terminal(fs: &FsContext, spec: &Spec) -> Result<Stdio, Errno> {
    let (rows, columns) = spec.window;
    tty::console::start(WindowSize {
        rows,
        columns,
        pixels: [0; 2],
    })?;
    let lookup = Lookup::new(fs, Identity::KERNEL);
    let flags = OpenFlags::new(abi::O_RDWR | abi::O_NOCTTY, 0)?;
    let file = vfs::open(&lookup, b"/dev/console", flags)?;
    file.inode.touch(|attr| attr.uid = spec.uid);
    Ok([Some(Arc::clone(&file)), Some(Arc::clone(&file)), Some(file)])
}

fn fifo(spec: &Spec, end: End, flags: u32) -> Result<Arc<File>, Errno> {
    let mut attr = Attr::new(FileType::Fifo, 0o600, spec.uid, spec.gid, clock::now());
    attr.nlink = 1;
    let inode = PIPES.inode(attr, None, try_arc(Stream(end))?)?;
    let path = PIPES.path(inode, b"")?;
    File::new(
        path,
        try_arc(end)?,
        OpenFlags {
            raw: flags,
            mode: 0,
        },
    )
}

/// A stream's inode. It goes with the last open file.
struct Stream(End);

impl Drop for Stream {
    fn drop(&mut self) {
        match self.0 {
            End::Input => channel::close_input(),
            End::Output(output) => channel::close_output(output),
        }
    }
}

impl InodeOps for Stream {
    fn open(&self, _: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        if flags.has(abi::O_PATH) {
            return Ok(super::file::path_ops());
        }
        Ok(try_arc(self.0)?)
    }
}

/// The job's end of a stream, as its open files have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Input,
    Output(Output),
}

impl FileOps for End {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        if *self != Self::Input {
            // Opened again for reading: nobody will ever write to this end.
            return Ok(0);
        }
        let len = dst.remaining();
        channel::read(len, file.nonblocking(), &mut |bytes| dst.put(bytes))
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        let Self::Output(output) = *self else {
            return Err(Errno::EPIPE);
        };
        let len = src.remaining();
        channel::write(output, len, file.nonblocking(), &mut |place| {
            src.take(place)
        })
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn ioctl(&self, _: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        if request.command != abi::ioctl::FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let len = match self {
            Self::Input => channel::input_len(),
            Self::Output(_) => 0,
        };
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        request
            .space
            .copy_out(UserAddr::new(request.arg), &len.to_le_bytes())?;
        Ok(0)
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        let queue = match self {
            Self::Input => channel::input_queue(),
            Self::Output(output) => channel::output_queue(*output),
        };
        if let (Some(watch), Some(queue)) = (watch, queue) {
            watch.add(queue);
        }
        match self {
            Self::Input => match channel::poll_input() {
                Readiness::Bytes(_) => Events::READABLE,
                Readiness::End => Events::HUP,
                Readiness::Nothing => Events::empty(),
            },
            Self::Output(output) => match channel::poll_output(*output) {
                Admission::Now(_) => Events::WRITABLE,
                Admission::Never => Events::WRITABLE | Events::ERR,
                Admission::Later => Events::empty(),
            },
        }
    }
}
