//! The terminal's requests (ioctl_tty(2)).

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::int_arg;
use kiln_core::tty::{TERMIOS_LEN, TERMIOS2_LEN, Termios, WINDOW_SIZE_LEN, WindowSize};

use super::super::file::Ioctl;
use super::{Effect, Terminal, control};

/// Carries a request out; ENOTTY for those a terminal of this kind hasn't.
pub(super) fn serve(terminal: &Terminal, request: &Ioctl<'_>) -> Result<u64, Errno> {
    match request.command {
        abi::ioctl::TCGETS => put(request, &terminal.termios().encode()),
        abi::ioctl::TCGETS2 => put(request, &terminal.termios().encode2()),
        abi::ioctl::TCSETS | abi::ioctl::TCSETSW => set_termios(terminal, request, false),
        abi::ioctl::TCSETSF => set_termios(terminal, request, true),
        abi::ioctl::TCSETS2 | abi::ioctl::TCSETSW2 => set_termios2(terminal, request, false),
        abi::ioctl::TCSETSF2 => set_termios2(terminal, request, true),
        abi::ioctl::TIOCGWINSZ => put(request, &terminal.window().encode()),
        abi::ioctl::TIOCSWINSZ => set_window(terminal, request),
        abi::ioctl::FIONREAD => put_int(request, terminal.line.lock().readable_len()),
        abi::ioctl::TIOCOUTQ | abi::ioctl::TIOCGETD => put_int(request, 0),
        abi::ioctl::TCFLSH => flush(terminal, request),
        abi::ioctl::TCXONC => flow(terminal, request),
        // Everything is sent at once and there is no line to break.
        abi::ioctl::TCSBRK | abi::ioctl::TCSBRKP | abi::ioctl::TIOCEXCL | abi::ioctl::TIOCNXCL => {
            Ok(0)
        }
        // Typing for others is an attack more often than not: as Linux without legacy_tiocsti.
        abi::ioctl::TIOCSTI => Err(Errno::EIO),
        _ => job_control(terminal, request),
    }
}

fn job_control(terminal: &Terminal, request: &Ioctl<'_>) -> Result<u64, Errno> {
    let control = terminal.control();
    match request.command {
        abi::ioctl::TIOCGPGRP => put(request, &control.foreground_for_caller()?.to_le_bytes()),
        abi::ioctl::TIOCGSID => put(request, &control.session_for_caller()?.to_le_bytes()),
        abi::ioctl::TIOCSPGRP => {
            let group: [u8; 4] = get(request)?;
            control
                .set_foreground(i32::from_le_bytes(group))
                .map(|()| 0)
        }
        abi::ioctl::TIOCSCTTY => {
            let has = |session| control::terminal_of(session).is_some();
            control.take_by_caller(has).map(|()| 0)
        }
        abi::ioctl::TIOCNOTTY => control.leave_by_caller().map(|()| 0),
        _ => Err(Errno::ENOTTY),
    }
}

impl Terminal {
    fn termios(&self) -> Termios {
        *self.line.lock().termios()
    }
}

fn set_termios(terminal: &Terminal, request: &Ioctl<'_>, flush: bool) -> Result<u64, Errno> {
    terminal.control().check_change()?;
    let bytes: [u8; TERMIOS_LEN] = get(request)?;
    apply(terminal, Termios::decode(&bytes), flush)
}

fn set_termios2(terminal: &Terminal, request: &Ioctl<'_>, flush: bool) -> Result<u64, Errno> {
    terminal.control().check_change()?;
    let bytes: [u8; TERMIOS2_LEN] = get(request)?;
    apply(terminal, Termios::decode2(&bytes), flush)
}

fn apply(terminal: &Terminal, termios: Termios, flush: bool) -> Result<u64, Errno> {
    let readable = {
        let mut line = terminal.line.lock();
        if flush {
            line.flush_input();
        }
        line.set_termios(termios);
        line.is_readable()
    };
    terminal.room.wake_all();
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

/// tcflush(3): what was typed goes, what was written is gone already.
fn flush(terminal: &Terminal, request: &Ioctl<'_>) -> Result<u64, Errno> {
    terminal.control().check_change()?;
    match u32::try_from(request.arg).map_err(|_| Errno::EINVAL)? {
        abi::TCIFLUSH | abi::TCIOFLUSH => {
            terminal.line.lock().flush_input();
            terminal.room.wake_all();
            Ok(0)
        }
        abi::TCOFLUSH => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// tcflow(3).
fn flow(terminal: &Terminal, request: &Ioctl<'_>) -> Result<u64, Errno> {
    terminal.control().check_change()?;
    let stop = match u32::try_from(request.arg).map_err(|_| Errno::EINVAL)? {
        abi::TCOOFF => true,
        abi::TCOON => false,
        // There is nobody at the other end who would stop sending.
        abi::TCIOFF | abi::TCION => return Ok(0),
        _ => return Err(Errno::EINVAL),
    };
    terminal
        .line
        .lock()
        .set_stopped(stop, &mut |_: Effect<'_>| {});
    terminal.flow.wake_all();
    Ok(0)
}

fn put(request: &Ioctl<'_>, bytes: &[u8]) -> Result<u64, Errno> {
    request.space.copy_out(UserAddr::new(request.arg), bytes)?;
    Ok(0)
}

fn put_int(request: &Ioctl<'_>, value: usize) -> Result<u64, Errno> {
    let value = i32::try_from(value).unwrap_or(i32::MAX);
    put(request, &value.to_le_bytes())
}

fn get<const N: usize>(request: &Ioctl<'_>) -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    request
        .space
        .copy_in(&mut bytes, UserAddr::new(request.arg))?;
    Ok(bytes)
}
