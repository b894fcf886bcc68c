//! The console: the caller's own terminal, over the channel. It is there only when the job was
//! started with one; `/dev/tty` is whatever terminal controls the opener.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{DeviceNumber, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::tty::WindowSize;

use super::super::devices::{self, Driver};
use super::super::file::{File, FileOps};
use super::super::inode::Inode;
use super::super::memory::try_arc;
use super::file::TerminalFile;
use super::{CHUNK_SENT, ECHO_ROOM, Terminal, Wire, control, pty};
use crate::drivers::channel::{self, Admission, Output};
use crate::sched::{self, WaitQueue};
use crate::sync::Once;
use crate::vm::{IoDst, IoSrc};

/// The major number of `/dev/tty`, `/dev/console` and `/dev/ptmx`, and their minors.
pub(super) const MAJOR: u32 = 5;
const TTY: u32 = 0;
const CONSOLE: u32 = 1;
pub(super) const PTMX: u32 = 2;

static TERMINAL: Once<Arc<Terminal>> = Once::new();

/// Makes `/dev/tty`, `/dev/console` and `/dev/ptmx` work.
pub(crate) fn init() -> Result<(), Errno> {
    devices::register(Driver {
        kind: FileType::CharDevice,
        major: MAJOR,
        first: TTY,
        count: 3,
        open,
    })
}

/// The console, if there is one.
pub(crate) fn terminal() -> Option<&'static Arc<Terminal>> {
    TERMINAL.get()
}

/// Makes the console the caller's terminal, with a thread that takes in what is typed.
pub(crate) fn start(window: WindowSize) -> Result<(), Errno> {
    let device = DeviceNumber::new(MAJOR, CONSOLE);
    let terminal = Terminal::new(device, try_arc(ChannelWire)?, window)?;
    TERMINAL.call_once(|| Arc::clone(&terminal));
    let mut echo = Vec::new();
    echo.try_reserve_exact(ECHO_ROOM)
        .map_err(|_| Errno::ENOMEM)?;
    sched::spawn(b"console", Box::new(move || listen(&terminal, echo)))?;
    Ok(())
}

/// Takes in what is typed, for ever.
fn listen(terminal: &Arc<Terminal>, mut echo: Vec<u8>) {
    let mut piece = [0; 256];
    loop {
        let read = channel::read(piece.len(), false, &mut |bytes| {
            let pairs = piece.iter_mut().zip(bytes);
            Ok(pairs.map(|(place, byte)| *place = *byte).count())
        });
        let Ok(len @ 1..) = read else {
            break terminal.close();
        };
        for byte in piece.get(..len).unwrap_or_default() {
            terminal.type_byte(*byte, &mut echo);
        }
    }
}

fn open(inode: &Arc<Inode>, _: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
    match (inode.rdev().minor, terminal()) {
        (TTY, _) => TerminalFile::open(&control::callers_terminal().ok_or(Errno::ENXIO)?),
        (PTMX, _) => pty::open_master(),
        (_, Some(terminal)) => TerminalFile::open(terminal),
        (_, None) => Ok(try_arc(LogConsole)?),
    }
}

/// The channel's standard output as a wire.
struct ChannelWire;

impl Wire for ChannelWire {
    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let mut left = bytes;
        channel::write(Output::Stdout, bytes.len(), false, &mut |place| {
            let (now, later) = left.split_at_checked(place.len()).unwrap_or((left, &[]));
            for (to, from) in place.iter_mut().zip(now) {
                *to = *from;
            }
            left = later;
            Ok(now.len())
        })
        .map(|_| ())
    }

    fn takes(&self) -> bool {
        const { assert!(CHUNK_SENT <= 4096, "the channel's admission is for a page") };
        channel::poll_output(Output::Stdout) != Admission::Later
    }

    fn queue(&self) -> Option<&Arc<WaitQueue>> {
        channel::output_queue(Output::Stdout)
    }
}

/// `/dev/console` of a job without a terminal: what is written there is a message for the log.
struct LogConsole;

impl FileOps for LogConsole {
    fn read(&self, _: &File, _: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        Ok(0)
    }

    fn write(&self, _: &File, src: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        let mut done = 0;
        while src.remaining() > 0 {
            let mut piece = [0; 256];
            let count = src.take(&mut piece)?;
            channel::log_patiently(piece.get(..count).unwrap_or_default());
            done += count;
        }
        Ok(done)
    }

    fn is_stream(&self) -> bool {
        true
    }
}
