//! What /proc/self/fdinfo tells of timers, counters and signal files; what the links say.
use crate::out::{say, show};
use crate::sys::event::{eventfd2, fd_or_say, setting, signalfd4, timerfd_create, timerfd_settime};
use crate::sys::file;
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let timer = fd_or_say("timer", timerfd_create(libc::CLOCK_BOOTTIME, 0));
    show("arm", timerfd_settime(timer, 1, Some(&setting(1, 0)), None));
    let _ = file::read(timer, &mut [0; 8]);
    let event = fd_or_say("eventfd", eventfd2(255, libc::EFD_SEMAPHORE));
    let signal = fd_or_say("signalfd", signalfd4(-1, Some(&0x0301), 8, 0));
    for fd in [timer, event, signal] {
        let mut link = [0; 64];
        let name = CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        let len = file::readlink(&name, &mut link).unwrap_or(0);
        say!("{}", String::from_utf8_lossy(&link[..len]));
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
        let known = |line: &&str| !["pos:", "flags:", "mnt_id:", "ino:", "eventfd-id:"].iter().any(|name| line.starts_with(name));
        for line in text.lines().filter(known) {
            say!("  {line}");
        }
    }
    0
}
