//! The caller's terminal, for `-t`: [`Raw`] takes it out of line mode and always gives it back.

use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// Whether standard input is a terminal.
#[must_use]
pub fn present() -> bool {
    isatty(stdin())
}

/// Its rows and columns.
#[must_use]
pub fn window() -> Option<(u16, u16)> {
    let size = tcgetwinsize(stdin()).ok()?;
    Some((size.ws_row, size.ws_col))
}

/// The terminal is in raw mode while this lives.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Switches it over: the guest's terminal does echo, lines and signal characters.
    ///
    /// # Errors
    /// When it isn't a terminal.
    pub fn enter() -> rustix::io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing is left to try when the terminal has gone away.
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.before);
    }
}
