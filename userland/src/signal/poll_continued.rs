//! poll(2) goes on after a stop and a continuation; and what /proc tells of a zombie.
use crate::out::say;
use crate::sys::{child, file, process, signal, time};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (read, _write) = file::pipe();
    let pid = child::start(|| {
        let mut polls = [libc::pollfd { fd: read, events: libc::POLLIN, revents: 0 }];
        let result = file::poll(&mut polls, 800);
        say!("poll: {result:?}");
        7
    });
    let _ = time::sleep_ms(200);
    let _ = signal::kill(pid, libc::SIGSTOP);
    let _ = time::sleep_ms(100);
    let _ = signal::kill(pid, libc::SIGCONT);
    let mut info = signal::info();
    let options = libc::WEXITED | libc::WNOWAIT;
    let _ = process::waitid(libc::P_PID, pid, Some(&mut info), options, None);
    let status = CString::new(format!("/proc/{pid}/status")).unwrap_or_default();
    let text = file::slurp(&status).unwrap_or_default();
    for line in String::from_utf8_lossy(&text).lines() {
        if line.starts_with("State:") || line.starts_with("Name:") || line.starts_with("Umask") {
            say!("{line}");
        }
    }
    let stat = CString::new(format!("/proc/{pid}/stat")).unwrap_or_default();
    let text = file::text(&stat);
    say!("{:?}", text.split(' ').skip(1).take(2).collect::<Vec<_>>());
    say!("{}", child::end_of(pid));
    0
}
