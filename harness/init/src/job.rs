//! The program: started as Kiln starts it (a session of its own, the specification's user, directory and
//! environment), waited for, and everything else ended after it.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use kiln_core::job::Spec;
use kiln_core::report::Ending;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Gid, Pid, Uid};

use crate::channel::{Channel, Streams};
use crate::scene;

/// The argument that makes this program the job's.
pub(crate) const WORD: &str = "--become-the-program";

static JOB: AtomicI32 = AtomicI32::new(0);
static TIMED_OUT: AtomicBool = AtomicBool::new(false);

/// How the job ended, or why there was none.
pub(crate) struct End {
    pub(crate) ending: Ending,
    pub(crate) code: u8,
    pub(crate) signal: u8,
    pub(crate) reason: String,
}

impl End {
    pub(crate) fn new(ending: Ending, code: u8, reason: String) -> Self {
        Self {
            ending,
            code,
            signal: 0,
            reason,
        }
    }
}

/// Runs the job to its end.
pub(crate) fn run(spec: &Spec) -> Result<End> {
    let (channel, streams) = Channel::start(spec.stdin, |number| {
        if let (Some(job), Ok(signal)) = (job(), Signal::try_from(number)) {
            let _ = kill(job, signal);
        }
    })?;
    let end = match start(streams)? {
        Some(errno) => not_started(spec, errno),
        None => {
            watch(spec.timeout_ms);
            ended(wait_for_job())
        }
    };
    end_all();
    channel.drain();
    Ok(end)
}

fn job() -> Option<Pid> {
    let pid = JOB.load(Ordering::Acquire);
    (pid > 0).then(|| Pid::from_raw(pid))
}

/// Starts the program; `Some`: it can't be, and why.
fn start(streams: Streams) -> Result<Option<Errno>> {
    let (mut answer, report) = std::io::pipe()?;
    fcntl(&report, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let child = Command::new("/proc/self/exe")
        .arg(WORD)
        .arg(report.as_raw_fd().to_string())
        .stdin(streams.stdin)
        .stdout(streams.stdout)
        .stderr(streams.stderr)
        .spawn()
        .context("starting the job")?;
    drop(report);
    JOB.store(i32::try_from(child.id())?, Ordering::Release);
    // At its end once the program has begun.
    let mut said = String::new();
    answer.read_to_string(&mut said)?;
    Ok(said.parse().ok().map(Errno::from_raw))
}

fn not_started(spec: &Spec, errno: Errno) -> End {
    let program = spec.args.first().map(Vec::as_slice).unwrap_or_default();
    let reason = format!("{}: {}", String::from_utf8_lossy(program), errno.desc());
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => End::new(Ending::NotFound, 127, reason),
        _ => End::new(Ending::NoExec, 126, reason),
    }
}

/// Ends the job at its time limit, which counts from about the start of QEMU.
fn watch(timeout_ms: u64) {
    if timeout_ms > 0 {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(timeout_ms));
            TIMED_OUT.store(true, Ordering::Release);
            if let Some(job) = job() {
                let _ = kill(job, Signal::SIGKILL);
            }
        });
    }
}

/// Reaps until it is the job's turn.
fn wait_for_job() -> Option<WaitStatus> {
    loop {
        match wait() {
            Ok(status) if status.pid() == job() => return Some(status),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

fn ended(status: Option<WaitStatus>) -> End {
    if TIMED_OUT.load(Ordering::Acquire) {
        return End::new(Ending::Timeout, 0, "the time limit has passed".to_owned());
    }
    match status {
        Some(WaitStatus::Exited(_, code)) => {
            let code = u8::try_from(code & 0xFF).unwrap_or(0);
            End::new(Ending::Exited, code, String::new())
        }
        Some(WaitStatus::Signaled(_, signal, _)) => End {
            signal: u8::try_from(signal as i32).unwrap_or(0),
            ..End::new(Ending::Signaled, 0, String::new())
        },
        _ => End::new(Ending::Panic, 0, "the job can't be waited for".to_owned()),
    }
}

/// Ends every other process and reaps it.
fn end_all() {
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while !matches!(wait(), Err(Errno::ECHILD)) {}
}

/// In the child: everything that is to be the program's, then the program. What prevents it goes to
/// the descriptor that `args` name.
pub(crate) fn become_program(args: &[OsString]) -> ! {
    let number = args.first().and_then(|word| word.to_str()?.parse().ok());
    let Some(number) = number else {
        std::process::exit(1)
    };
    // SAFETY: `start` has left this descriptor open for this process alone, and nothing else here owns it.
    let report = unsafe { OwnedFd::from_raw_fd(number) };
    let Err(errno) = execute(&report);
    let _ = write!(File::from(report), "{}", errno as i32);
    std::process::exit(1)
}

fn execute(report: &OwnedFd) -> nix::Result<Infallible> {
    fcntl(report, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let spec = scene::specification().map_err(|_| Errno::EINVAL)?;
    nix::unistd::setsid()?;
    let cwd = if spec.cwd.is_empty() {
        b"/"
    } else {
        spec.cwd.as_slice()
    };
    nix::unistd::chdir(OsStr::from_bytes(cwd))?;
    let gid = Gid::from_raw(spec.gid);
    nix::unistd::setgroups(if spec.gid == 0 && spec.uid == 0 {
        &[]
    } else {
        std::slice::from_ref(&gid)
    })?;
    nix::unistd::setgid(gid)?;
    nix::unistd::setuid(Uid::from_raw(spec.uid))?;
    // SAFETY: the default action replaces no handler that anything relies on.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    let strings = |list: &[Vec<u8>]| -> nix::Result<Vec<CString>> {
        let made = list.iter().map(|bytes| CString::new(bytes.as_slice()));
        made.collect::<Result<_, _>>().map_err(|_| Errno::EINVAL)
    };
    let (args, env) = (strings(&spec.args)?, strings(&spec.env)?);
    let program = args.first().ok_or(Errno::EINVAL)?;
    // As execvp(3): a program that may not be executed is passed over, but remembered.
    let mut why = Errno::ENOENT;
    for path in candidates(program.as_bytes(), &spec.env) {
        let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
        let Err(errno) = nix::unistd::execve(&path, &args, &env);
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => why = errno,
            _ => return Err(errno),
        }
    }
    Err(why)
}

/// Where the program may be: along PATH, unless its name has a slash.
fn candidates(program: &[u8], env: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let path = env
        .iter()
        .find_map(|variable| variable.strip_prefix(b"PATH="));
    match path {
        Some(path) if !program.contains(&b'/') => path
            .split(|byte| *byte == b':')
            .map(|dir| [dir, b"/", program].concat())
            .collect(),
        _ => vec![program.to_vec()],
    }
}
