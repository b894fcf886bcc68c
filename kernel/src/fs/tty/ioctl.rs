//! The terminal's requests (ioctl_tty(2)). Those of a pseudo terminal's master that aren't its own
//! come here too, and mean the slave.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{low8, low32};
use kiln_core::tty::{TERMIO_LEN, TERMIOS_LEN, TERMIOS2_LEN, Termios, WINDOW_SIZE_LEN, WindowSize};

use super::super::file::{File, Ioctl};
use super::{Notice, Terminal, control};

/// `N_TTY`, the only line discipline (linux/tty.h).
const N_TTY: u32 = 0;
/// Requests of serial lines that the bindings lack, or call otherwise (asm-generic/ioctls.h).
const TIOCGSOFTCAR: u32 = 0x5419;

/// Which side of a terminal a request comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// Programs that read what is typed.
    Slave,
    /// Whoever types, on a pseudo terminal.
    Master,
}

/// Carries a request out; ENOTTY for those a terminal of this kind hasn't.
pub(super) fn serve(
    terminal: &Arc<Terminal>,
    side: Side,
    file: &File,
    request: &Ioctl<'_>,
) -> Result<u64, Errno> {
    match request.command {
        abi::ioctl::TCGETS => put(request, &terminal.termios().encode()),
        abi::ioctl::TCGETS2 => put(request, &terminal.termios().encode2()),
        abi::ioctl::TCSETS | abi::ioctl::TCSETSW => set_termios(terminal, request, false),
        abi::ioctl::TCSETSF => set_termios(terminal, request, true),
        abi::ioctl::TCSETS2 | abi::ioctl::TCSETSW2 => set_termios2(terminal, request, false),
        abi::ioctl::TCSETSF2 => set_termios2(terminal, request, true),
        abi::ioctl::TCGETA => put(request, &terminal.termios().encode_old()),
        abi::ioctl::TCSETA | abi::ioctl::TCSETAW => set_termio(terminal, request, false),
        abi::ioctl::TCSETAF => set_termio(terminal, request, true),
        abi::ioctl::TIOCGWINSZ => put(request, &terminal.window().encode()),
        abi::ioctl::TIOCSWINSZ => set_window(terminal, request),
        abi::ioctl::FIONREAD => put_int(request, terminal.line.lock().readable_len()),
        abi::ioctl::TIOCOUTQ => put_int(request, 0),
        abi::ioctl::TCFLSH => flush(terminal, request),
        abi::ioctl::TCXONC => flow(terminal, request),
        // Everything is sent at once and there is no line to break.
        abi::ioctl::TCSBRK | abi::ioctl::TCSBRKP | abi::ioctl::TIOCSBRK => {
            terminal.check_change().map(|()| 0)
        }
        abi::ioctl::TIOCCBRK => terminal.check_change().map(|()| 0),
        abi::ioctl::TIOCSTI => insert(terminal, request),
        abi::ioctl::TIOCGSID
        | abi::ioctl::TIOCGPGRP
        | abi::ioctl::TIOCSPGRP
        | abi::ioctl::TIOCSCTTY
        | abi::ioctl::TIOCNOTTY => job_control(terminal, side, file, request),
        _ => about_terminal(terminal, request),
    }
}

fn job_control(
    terminal: &Arc<Terminal>,
    side: Side,
    file: &File,
    request: &Ioctl<'_>,
) -> Result<u64, Errno> {
    let by_master = side == Side::Master;
    match request.command {
        abi::ioctl::TIOCGPGRP => {
            let group = terminal.foreground_for_caller(by_master)?;
            put(request, &group.to_le_bytes())
        }
        abi::ioctl::TIOCGSID => {
            let session = terminal.session_for_caller(by_master)?;
            put(request, &session.to_le_bytes())
        }
        abi::ioctl::TIOCSPGRP => {
            terminal.check_foreground_change()?;
            let group = i32::from_le_bytes(get(request)?);
            terminal.set_foreground(group).map(|()| 0)
        }
        abi::ioctl::TIOCSCTTY => {
            let taken = terminal.take_by_caller(request.arg == 1, file.readable());
            taken.map(|()| 0)
        }
        _ if by_master => Err(Errno::ENOTTY),
        _ => terminal.leave_by_caller().map(|()| 0),
    }
}

/// What concerns the terminal as a device.
fn about_terminal(terminal: &Arc<Terminal>, request: &Ioctl<'_>) -> Result<u64, Errno> {
    match request.command {
        abi::ioctl::TIOCEXCL | abi::ioctl::TIOCNXCL => {
            let exclusive = request.command == abi::ioctl::TIOCEXCL;
            terminal.exclusive.store(exclusive, Ordering::Relaxed);
            Ok(0)
        }
        abi::ioctl::TIOCGEXCL => {
            let exclusive = terminal.exclusive.load(Ordering::Relaxed);
            put_int(request, exclusive.into())
        }
        abi::ioctl::TIOCGETD => put(request, &N_TTY.to_le_bytes()),
        abi::ioctl::TIOCSETD => {
            terminal.check_change()?;
            match u32::from_le_bytes(get(request)?) {
                N_TTY => Ok(0),
                _ => Err(Errno::EINVAL),
            }
        }
        abi::ioctl::TIOCGDEV => {
            let device = low32(terminal.device().encode());
            put(request, &device.to_le_bytes())
        }
        abi::ioctl::TIOCVHANGUP => {
            if !control::is_privileged() {
                return Err(Errno::EPERM);
            }
            terminal.hang_up();
            Ok(0)
        }
        TIOCGSOFTCAR => {
            let local = terminal.termios().control & abi::CLOCAL != 0;
            put_int(request, local.into())
        }
        // A master's is opened elsewhere; the slave's other side can't be.
        abi::ioctl::TIOCGPTPEER => Err(Errno::EIO),
        _ => Err(Errno::ENOTTY),
    }
}

impl Terminal {
    fn termios(&self) -> Termios {
        *self.line.lock().termios()
    }
}

fn set_termios(terminal: &Terminal, request: &Ioctl<'_>, flush: bool) -> Result<u64, Errno> {
    terminal.check_change()?;
    let bytes: [u8; TERMIOS_LEN] = get(request)?;
    let speeds = terminal.termios().speeds;
    let termios = Termios::decode(&bytes).with_named_speed(speeds);
    apply(terminal, termios, flush)
}

fn set_termio(terminal: &Terminal, request: &Ioctl<'_>, flush: bool) -> Result<u64, Errno> {
    terminal.check_change()?;
    let bytes: [u8; TERMIO_LEN] = get(request)?;
    let termios = terminal.termios().with_old(&bytes);
    apply(terminal, termios, flush)
}

fn set_termios2(terminal: &Terminal, request: &Ioctl<'_>, flush: bool) -> Result<u64, Errno> {
    terminal.check_change()?;
    let bytes: [u8; TERMIOS2_LEN] = get(request)?;
    apply(terminal, Termios::decode2(&bytes), flush)
}

fn apply(terminal: &Terminal, mut termios: Termios, flush: bool) -> Result<u64, Errno> {
    if terminal.is_pty() {
        // Bytes go through it whole, whatever is asked for.
        termios.control = termios.control & !(abi::CSIZE | abi::PARENB) | abi::CS8 | abi::CREAD;
    }
    let (before, readable, goes_on) = {
        let mut line = terminal.line.lock();
        if flush {
            line.flush_input();
        }
        let before = *line.termios();
        line.set_termios(termios);
        // Without `^Q` output stopped by `^S` would never go on.
        let unlocked = before.input(abi::IXON) && !termios.input(abi::IXON);
        let goes_on = unlocked && line.set_stopped(false);
        (before, line.is_readable(), goes_on)
    };
    if flush {
        terminal.wire.tell(Notice::Flushed {
            typed: true,
            written: false,
        });
    }
    if goes_on {
        terminal.wire.tell(Notice::Flow(false));
        terminal.flow.wake_all();
    }
    terminal.wire.tell(Notice::Settings(&before, &termios));
    terminal.made_room();
    if readable {
        terminal.typed.wake_all();
    }
    Ok(0)
}

fn set_window(terminal: &Terminal, request: &Ioctl<'_>) -> Result<u64, Errno> {
    let bytes: [u8; WINDOW_SIZE_LEN] = get(request)?;
    terminal.set_window(WindowSize::decode(bytes));
    Ok(0)
}

/// tcflush(3): what was typed goes, and what was written and hasn't arrived.
fn flush(terminal: &Terminal, request: &Ioctl<'_>) -> Result<u64, Errno> {
    terminal.check_change()?;
    let which = u32::try_from(request.arg).map_err(|_| Errno::EINVAL)?;
    let typed = matches!(which, abi::TCIFLUSH | abi::TCIOFLUSH);
    let written = matches!(which, abi::TCOFLUSH | abi::TCIOFLUSH);
    if !typed && !written {
        return Err(Errno::EINVAL);
    }
    if typed {
        terminal.line.lock().flush_input();
        terminal.backlog.lock().clear();
    }
    if written {
        terminal.wire.discard();
    }
    terminal.wire.tell(Notice::Flushed { typed, written });
    terminal.made_room();
    Ok(0)
}

/// tcflow(3).
fn flow(terminal: &Terminal, request: &Ioctl<'_>) -> Result<u64, Errno> {
    terminal.check_change()?;
    let key = match u32::try_from(request.arg).map_err(|_| Errno::EINVAL)? {
        action @ (abi::TCOOFF | abi::TCOON) => {
            hold(terminal, action == abi::TCOOFF);
            return Ok(0);
        }
        abi::TCIOFF => terminal.termios().character(abi::VSTOP),
        abi::TCION => terminal.termios().character(abi::VSTART),
        _ => return Err(Errno::EINVAL),
    };
    // The other end is asked to stop sending, as it asks this one.
    if key != 0 && terminal.is_pty() {
        terminal.wire.send(&[key])?;
    }
    Ok(0)
}

fn hold(terminal: &Terminal, held: bool) {
    let changed = terminal.line.lock().hold(held);
    if changed {
        terminal.wire.tell(Notice::Flow(held));
        terminal.flow.wake_all();
    }
}

/// `TIOCSTI`: into one's own terminal, or with privilege.
fn insert(terminal: &Terminal, request: &Ioctl<'_>) -> Result<u64, Errno> {
    let own = control::callers_terminal();
    let own = own.is_some_and(|own| core::ptr::eq(Arc::as_ptr(&own), terminal));
    if !own && !control::is_privileged() {
        return Err(Errno::EPERM);
    }
    let [byte] = get(request)?;
    terminal.insert(byte)?;
    Ok(0)
}

/// Copies an answer out.
pub(super) fn put(request: &Ioctl<'_>, bytes: &[u8]) -> Result<u64, Errno> {
    request.space.copy_out(UserAddr::new(request.arg), bytes)?;
    Ok(0)
}

/// Copies a number out as an `int`.
pub(super) fn put_int(request: &Ioctl<'_>, value: usize) -> Result<u64, Errno> {
    let value = i32::try_from(value).unwrap_or(i32::MAX);
    put(request, &value.to_le_bytes())
}

/// Copies an argument in.
pub(super) fn get<const N: usize>(request: &Ioctl<'_>) -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    request
        .space
        .copy_in(&mut bytes, UserAddr::new(request.arg))?;
    Ok(bytes)
}

/// The argument as a signal's number.
pub(super) fn signal_arg(request: &Ioctl<'_>) -> Result<u8, Errno> {
    match low32(request.arg) {
        number @ (abi::SIGINT | abi::SIGQUIT | abi::SIGTSTP) => Ok(low8(number.into())),
        _ => Err(Errno::EINVAL),
    }
}
