//! Events as files: timerfd, signalfd, eventfd, epoll, inotify.

use super::{Res, calls};
use std::ffi::CStr;

calls! {
    fn timerfd_create(clock: i32, flags: i32) = SYS_timerfd_create;
    fn timerfd_settime(fd: i32, flags: i32, new: Option<&[i64; 4]>, old: Option<&mut [i64; 4]>) = SYS_timerfd_settime;
    fn timerfd_gettime(fd: i32, out: Option<&mut [i64; 4]>) = SYS_timerfd_gettime;
    fn signalfd4(fd: i32, mask: Option<&u64>, size: usize, flags: i32) = SYS_signalfd4;
    fn eventfd2(value: u32, flags: i32) = SYS_eventfd2;
    fn epoll_create1(flags: i32) = SYS_epoll_create1;
    fn epoll_ctl(epoll: i32, operation: i32, fd: i32, event: Option<&mut libc::epoll_event>) = SYS_epoll_ctl;
    fn epoll_wait(epoll: i32, event: &mut libc::epoll_event, count: i32, timeout: i32) = SYS_epoll_wait;
    fn inotify_init1(flags: i32) = SYS_inotify_init1;
    fn inotify_add_watch(fd: i32, path: &CStr, mask: u32) = SYS_inotify_add_watch;
    fn inotify_rm_watch(fd: i32, watch: i32) = SYS_inotify_rm_watch;
    fn rt_sigqueueinfo(pid: i32, signal: i32, info: &libc::siginfo_t) = SYS_rt_sigqueueinfo;
    fn kill(pid: i32, signal: i32) = SYS_kill;
}

/// An `itimerspec`: first expiry and period, in nanoseconds.
pub(crate) fn setting(value: i64, interval: i64) -> [i64; 4] {
    const SECOND: i64 = 1_000_000_000;
    [
        interval / SECOND,
        interval % SECOND,
        value / SECOND,
        value % SECOND,
    ]
}

/// A descriptor, or -1 with the error printed.
pub(crate) fn fd_or_say(label: &str, result: Res) -> i32 {
    match result {
        Ok(fd) => fd as i32,
        Err(errno) => {
            crate::out::line(&format!("{label}: {errno}"));
            -1
        }
    }
}

/// Reads a number of eight bytes.
pub(crate) fn number(fd: i32) -> Result<u64, super::Errno> {
    let mut bytes = [0; 8];
    super::file::read(fd, &mut bytes).map(|_| u64::from_ne_bytes(bytes))
}

/// The events waiting in a nonblocking inotify file, a line each: the watch by its name in
/// `names`, the mask, whether there is a cookie, the name.
pub(crate) fn tell(label: &str, fd: i32, names: &[(usize, &str)]) {
    crate::out::line(label);
    let mut buf = [0u8; 4096];
    let mut cookies: Vec<u32> = Vec::new();
    while let Ok(len) = super::file::read(fd, &mut buf) {
        let mut rest = &buf[..len];
        while rest.len() >= 16 {
            let word =
                |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap_or_default());
            let (watch, mask, cookie, size) = (word(0) as i32, word(4), word(8), word(12) as usize);
            let name = CStr::from_bytes_until_nul(&rest[16..16 + size]).unwrap_or_default();
            let who = names
                .iter()
                .find(|(number, _)| *number as i32 == watch)
                .map_or_else(|| watch.to_string(), |(_, name)| (*name).to_owned());
            let pair = if cookie == 0 {
                String::new()
            } else {
                let known = cookies.iter().position(|c| *c == cookie);
                let at = known.unwrap_or_else(|| {
                    cookies.push(cookie);
                    cookies.len() - 1
                });
                format!(" cookie {at}")
            };
            crate::out::line(&format!(
                "  {who}: {}{pair} {name:?} {size}",
                mask_text(mask)
            ));
            rest = &rest[16 + size..];
        }
    }
}

fn mask_text(mask: u32) -> String {
    const NAMES: [(u32, &str); 17] = [
        (libc::IN_ACCESS, "ACCESS"),
        (libc::IN_MODIFY, "MODIFY"),
        (libc::IN_ATTRIB, "ATTRIB"),
        (libc::IN_CLOSE_WRITE, "CLOSE_WRITE"),
        (libc::IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"),
        (libc::IN_OPEN, "OPEN"),
        (libc::IN_MOVED_FROM, "MOVED_FROM"),
        (libc::IN_MOVED_TO, "MOVED_TO"),
        (libc::IN_CREATE, "CREATE"),
        (libc::IN_DELETE, "DELETE"),
        (libc::IN_DELETE_SELF, "DELETE_SELF"),
        (libc::IN_MOVE_SELF, "MOVE_SELF"),
        (libc::IN_UNMOUNT, "UNMOUNT"),
        (libc::IN_Q_OVERFLOW, "Q_OVERFLOW"),
        (libc::IN_IGNORED, "IGNORED"),
        (libc::IN_ISDIR, "ISDIR"),
        (libc::IN_ONESHOT, "ONESHOT"),
    ];
    let known: Vec<&str> = NAMES
        .iter()
        .filter(|(bit, _)| mask & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    known.join("|")
}
