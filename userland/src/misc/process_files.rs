//! What /proc tells of a process while it runs, when it has ended, and when it is gone; namespaces, and what can't be
//! made or written there.
use crate::out::{say, show, show_ok};
use crate::sys::{Errno, child, event, file, process, signal};
use std::ffi::{CStr, CString};

const FILES: [&str; 20] = [
    "cmdline", "comm", "gid_map", "io", "maps", "stat", "status", "uid_map", "oom_score", "oom_score_adj", "limits",
    "setgroups", "projid_map", "loginuid", "sessionid", "personality", "cgroup", "timerslack_ns", "statm", "cpuset",
];
const LINKS: [&str; 7] = ["exe", "cwd", "root", "ns/net", "ns/mnt", "ns/pid", "ns/user"];

fn c(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

fn tell(when: &str, dir: i32, open: &[(&str, Result<i32, Errno>)]) {
    for (name, fd) in open {
        match fd {
            Ok(fd) => show(&format!("{when} {name}"), file::pread(*fd, &mut [0], 0)),
            Err(errno) => say!("{name}: {errno}"),
        }
    }
    for name in LINKS {
        show(&format!("{when} {name}"), file::readlinkat(dir, &c(name), &mut [0]));
    }
}

fn ends_with(path: &str, flags: i32) {
    show_ok(path, file::open(&c(path), flags, 0o600));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let pid = child::start(|| {
        let _ = file::close(tx);
        let _ = file::read(rx, &mut [0]);
        0
    });
    let dir = file::open_or_say(&c(&format!("/proc/{pid}")), libc::O_DIRECTORY, 0);
    let tasks = file::open_or_say(&c(&format!("/proc/{pid}/task")), libc::O_DIRECTORY, 0);
    let open: Vec<_> = FILES
        .iter()
        .map(|name| (*name, file::fd(file::open(&c(&format!("/proc/{pid}/{name}")), libc::O_RDONLY, 0))))
        .collect();
    tell("runs", dir, &open);
    show("name of another's", file::open(&c(&format!("/proc/{pid}/comm")), libc::O_WRONLY, 0).and_then(|fd| file::write(fd as i32, b"x")));
    let _ = file::close(tx);
    let _ = process::waitid(libc::P_PID, pid, None, libc::WEXITED | libc::WNOWAIT, None);
    tell("ended", dir, &open);
    let status = file::text(&c(&format!("/proc/{pid}/status")));
    for line in status.lines().filter(|line| line.starts_with("State") || line.starts_with("Threads")) {
        say!("{line}");
    }
    let _ = child::wait(pid);
    tell("gone", dir, &open);
    show("its tasks", file::getdents64(tasks, &mut [0; 512]));
    show("its files", file::getdents64(dir, &mut [0; 512]));

    for name in ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "user", "uts"] {
        let mut link = [0; 64];
        let read = file::readlink(&c(&format!("/proc/self/ns/{name}")), &mut link).unwrap_or(0);
        let text = String::from_utf8_lossy(&link[..read]).into_owned();
        let kind = text.split('[').next().unwrap_or_default();
        let path = c(&format!("/proc/self/ns/{name}"));
        let fd = file::open_or_say(&path, libc::O_RDONLY, 0);
        let of_kind = file::ioctl(fd, 0xB703, 0);
        say!("{name}: {kind} {} {of_kind:x?}", text.ends_with(']'));
        show("read", file::read(fd, &mut [0]));
    }
    for path in ["/proc/none", "/proc/self/none", "/proc/self/task/none", "/proc/sys/none"] {
        ends_with(path, libc::O_CREAT | libc::O_RDWR);
    }
    let memory = file::open_or_say(c"/proc/self/mem", libc::O_RDONLY, 0);
    show("to an address", file::lseek(memory, 0x1234_5678, libc::SEEK_SET));
    show("from there", file::lseek(memory, 0x10, libc::SEEK_CUR));
    show("from the end", file::lseek(memory, 0, libc::SEEK_END));
    let (one, _) = file::pipe();
    for (label, fd) in [("a pipe", one), ("an event", event::fd_or_say("eventfd", event::eventfd2(0, 0)))] {
        let path = c(&format!("/proc/self/fd/{fd}"));
        show_ok(&format!("{label} again"), file::open(&path, libc::O_RDONLY | libc::O_NONBLOCK, 0));
        show_ok(&format!("{label} as a directory"), file::open(&path, libc::O_DIRECTORY, 0));
    }
    say!("{:?}", file::text(c"/proc/self/uid_map"));
    let own = process::getpid().unwrap_or(0);
    say!("children: {:?}", file::text(&c(&format!("/proc/self/task/{own}/children"))));
    let waits = child::start(|| {
        let _ = signal::pause();
        0
    });
    let children = file::text(&c(&format!("/proc/self/task/{own}/children")));
    say!("children: {}", children == format!("{waits} "));
    let _ = signal::kill(waits, libc::SIGKILL);
    let _ = child::wait(waits);
    for name in ["cap_last_cap", "overflowuid", "overflowgid", "seccomp/actions_avail", "domainname"] {
        say!("{name}: {}", !file::text(&c(&format!("/proc/sys/kernel/{name}"))).is_empty());
    }
    say!("{:?}", file::readlink(c"/proc/net", &mut [0; 20]));
    say!("{}", file::text(c"/proc/self/net/dev").contains("lo:"));
    0
}
