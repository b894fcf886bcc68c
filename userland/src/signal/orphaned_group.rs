//! In an orphaned process group the terminal's stop signals do nothing by default, SIGSTOP does
//! (setpgid(2), POSIX on orphaned groups); a stopped group that becomes orphaned gets SIGHUP and
//! SIGCONT.
use crate::out::say;
use crate::sys::{child, file, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let _ = process::setsid();
        for sig in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            let _ = signal::raise(sig);
            say!("{} did nothing", signal::name(sig));
        }
        0
    }));
    let (rx, tx) = file::pipe();
    let session = child::start(|| {
        let _ = process::setsid();
        let middle = child::start(|| {
            let _ = process::setpgid(0, 0);
            let inner = child::start(|| {
                let _ = signal::raise(libc::SIGSTOP);
                let _ = file::write(tx, b"went on without SIGHUP");
                0
            });
            let _ = process::wait4(inner, None, libc::WUNTRACED, None);
            0
        });
        let _ = child::wait(middle);
        0
    });
    let _ = file::close(tx);
    let _ = child::wait(session);
    say!("stopped orphan: {:?}", file::read_all(rx).map(|b| String::from_utf8_lossy(&b).into_owned()));
    0
}
