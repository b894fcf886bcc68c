//! QEMU and other helpers on a leash: they die with the launcher, however the launcher ends.
//!
//! `PR_SET_PDEATHSIG` has to be set between fork and exec, which safe Rust doesn't offer. So the
//! launcher starts itself anew with [`WORD`] as the first argument; that process sets the signal
//! and becomes the program ([`hold`]). Its process group is its own, so that a Ctrl-C at the
//! terminal reaches the launcher only.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// The first argument that makes the launcher a leash.
pub const WORD: &str = "--leash";
/// The launchers' file names.
const LAUNCHERS: [&str; 2] = ["kiln-run", "kiln-linux"];

/// A command that runs `program` on a leash held by the calling thread. Only the launcher can hold
/// one; in other programs (tests) the command is an ordinary one.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let launcher =
        std::env::current_exe().is_ok_and(|exe| LAUNCHERS.iter().any(|name| exe.ends_with(name)));
    let mut command = if launcher {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(WORD)
            .arg(getpid().as_raw_nonzero().to_string())
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command.process_group(0);
    command
}

/// The other end: becomes the program, or says why not. `args` follow [`WORD`].
#[must_use]
pub fn hold(args: &[OsString]) -> io::Error {
    let [holder, program, rest @ ..] = args else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    let holder = holder.to_str().and_then(|pid| pid.parse().ok());
    // The launcher may have ended before the signal was set.
    if getppid() != holder.and_then(Pid::from_raw) {
        return io::Error::other("the launcher has ended");
    }
    let error = Command::new(program).args(rest).exec();
    io::Error::new(error.kind(), format!("{}: {error}", program.display()))
}
