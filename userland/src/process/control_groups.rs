//! Control groups: making and removing them, who is in which, births in another, freezing, killing, and waiting for
//! `cgroup.events`. What else the host's kernel has in a group's directory isn't looked at.
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::process::CloneArgs;
use crate::sys::{self, Res, child, event, file, process, signal, task};
use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = process::unshare(libc::CLONE_NEWNS);
    let _ = file::mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, None);
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"c", 0o755);
    show("options", file::mount(c"none", c"c", c"cgroup2", 0, Some(c"size=1")));
    show("mount", file::mount(c"none", c"c", c"cgroup2", 0, None));
    let top = format!("c/behave.{}", std::process::id());
    show("make", file::mkdir(&path(&top), 0o755));
    show("make below", file::mkdir(&path(&format!("{top}/below")), 0o700));
    let result = std::env::set_current_dir(&top);
    say!("enter {}", result.is_ok());
    shape();
    members();
    births();
    freezing();
    waiting();
    runaway();
    let _ = file::rmdir(c"below");
    show("remove the current", file::rmdir(&path(&format!("../../{top}"))));
    show("make in a removed one", file::mkdir(c"late", 0o755));
    0
}

fn path(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

fn put(name: &CStr, text: &str) -> Res {
    let fd = file::open(name, libc::O_WRONLY, 0)?;
    let result = file::write(fd as i32, text.as_bytes());
    let _ = file::close(fd as i32);
    result
}

fn tell(name: &CStr) {
    let text = file::slurp(name).unwrap_or_default();
    say!("{}: {:?}", name.to_string_lossy(), String::from_utf8_lossy(&text));
}

/// Files, names, limits of the tree, and what they don't take.
fn shape() {
    for name in [c"cgroup.type", c"cgroup.events", c"cgroup.procs", c"cgroup.freeze", c"cgroup.max.depth", c"cgroup.subtree_control", c"below/cgroup.controllers"] {
        tell(name);
    }
    for (name, text) in [
        (c"cgroup.max.depth", "0"),
        (c"cgroup.max.depth", "-1"),
        (c"cgroup.max.depth", "many"),
        (c"cgroup.type", "domain"),
        (c"cgroup.subtree_control", "+nothing"),
        (c"cgroup.subtree_control", "nothing"),
        (c"cgroup.freeze", "2"),
        (c"cgroup.kill", "0"),
        (c"cgroup.events", "1"),
        (c"cgroup.procs", "x"),
        (c"cgroup.procs", "-1"),
        (c"cgroup.procs", "4000000"),
    ] {
        show(&format!("{} {text}", name.to_string_lossy()), put(name, text));
    }
    show("too deep", file::mkdir(c"below/deeper", 0o755));
    show("again", file::mkdir(c"below", 0o755));
    show("limit", put(c"cgroup.max.descendants", "1\n"));
    show("depth", put(c"cgroup.max.depth", "max\n"));
    show("too many", file::mkdir(c"more", 0o755));
    show("limit", put(c"cgroup.max.descendants", "max"));
    show("line", file::mkdir(c"two\nlines", 0o755));
    show("file", file::open(c"new", libc::O_CREAT | libc::O_WRONLY, 0o644));
    show("link", file::symlink(c"below", c"link"));
    show("rename", file::rename(c"below", c"other"));
    show("unlink", file::unlink(c"cgroup.procs"));
    show("remove a file", file::rmdir(c"cgroup.procs"));
    show("mode", file::chmod(c"below/cgroup.procs", 0o600));
    let mut s = <libc::stat as sys::Plain>::zeroed();
    for name in [c".", c"below", c"below/cgroup.procs", c"cgroup.kill"] {
        show_ok(&name.to_string_lossy(), file::stat(name, &mut s));
        say!("  {:o} {} {}", s.st_mode, s.st_nlink, s.st_size);
    }
    let text = file::slurp(c"cgroup.stat").unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    for line in text.lines().filter(|line| line.ends_with("descendants 1") || line.ends_with("descendants 0")) {
        say!("{line}");
    }
}

/// Where a process is, from our group on.
fn place(pid: i32) -> String {
    static OURS: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let ours = OURS.get_or_init(std::process::id);
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.unwrap_or("?").replace(&format!("behave.{ours}"), "T");
    own.split("/T").nth(1).map_or("elsewhere".into(), str::to_owned)
}

fn sleeper() -> i32 {
    let pid = child::start(|| {
        let _ = crate::sys::time::sleep_ms(100_000);
        0
    });
    task::until_asleep(pid);
    pid
}

/// A file's numbers, as how many are ours.
fn count(name: &CStr, pid: i32) -> usize {
    let text = file::slurp(name).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().filter(|line| *line == pid.to_string()).count()
}

fn members() {
    let pid = sleeper();
    show("move", put(c"below/cgroup.procs", &format!("{pid}\n")).map(|_| 0));
    say!("{} {} {}", place(pid), count(c"below/cgroup.procs", pid), count(c"below/cgroup.threads", pid));
    say!("{} {}", count(c"cgroup.procs", pid), count(c"../cgroup.procs", pid));
    tell(c"cgroup.events");
    show("in use", file::rmdir(c"below"));
    show("thread there", put(c"below/cgroup.threads", &pid.to_string()).map(|_| 0));
    show("thread elsewhere", put(c"cgroup.threads", &pid.to_string()).map(|_| 0));
    let _ = signal::kill(pid, libc::SIGKILL);
    while file::slurp(c"below/cgroup.procs").is_ok_and(|text| !text.is_empty()) {
        let _ = crate::sys::time::sleep_ms(1);
    }
    show("remove beside a zombie", file::rmdir(c"below"));
    say!("{}", place(pid));
    say!("{}", child::end_of(pid));
    show("make", file::mkdir(c"below", 0o755));
}

fn clone3(flags: u64, fd: i32) -> Res {
    let args = CloneArgs { flags, exit_signal: libc::SIGCHLD as u64, cgroup: fd as u64, ..CloneArgs::default() };
    // SAFETY: the child is a copy, as with fork.
    unsafe { sys::call(libc::SYS_clone3, [std::ptr::from_ref(&args) as usize, 88, 0, 0, 0, 0]) }
}

/// `CLONE_INTO_CGROUP`.
fn births() {
    const INTO: u64 = 1 << 33;
    let dir = file::open(c"below", libc::O_RDONLY | libc::O_DIRECTORY, 0).unwrap_or(0) as i32;
    match clone3(INTO, dir) {
        Ok(0) => {
            let own = place(process::getpid().unwrap_or(0) as i32);
            process::exit(if own.ends_with("/below") { 3 } else { 4 });
        }
        Ok(pid) => say!("child {}", child::end_of(pid as i32)),
        Err(errno) => say!("clone3: {errno}"),
    }
    show("no descriptor", clone3(INTO, 999));
    let other = file::open(c"below/cgroup.procs", libc::O_RDONLY, 0).unwrap_or(0) as i32;
    show("a file", clone3(INTO, other));
    show("remove", file::rmdir(c"below"));
    show("removed", clone3(INTO, dir));
    show("its files", file::read(other, &mut [0; 8]));
    let _ = file::close(dir);
    let _ = file::close(other);
    show("make", file::mkdir(c"below", 0o755));
}

/// Waits until a file has this line, for ten seconds at most.
fn until(name: &CStr, line: &str) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        let text = file::slurp(name).unwrap_or_default();
        if String::from_utf8_lossy(&text).lines().any(|own| own == line) {
            say!("{}: {line}", name.to_string_lossy());
            return;
        }
        let _ = crate::sys::time::sleep_ms(1);
    }
    tell(name);
}

fn freezing() {
    let pid = sleeper();
    let busy = child::start(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    for pid in [pid, busy] {
        show("move", put(c"below/cgroup.procs", &pid.to_string()).map(|_| 0));
    }
    show("freeze", put(c"cgroup.freeze", "1"));
    until(c"cgroup.events", "frozen 1");
    tell(c"below/cgroup.events");
    tell(c"below/cgroup.freeze");
    say!("{:?}", task::stat(busy, 3));
    let late = sleeper();
    show("move a third", put(c"cgroup.procs", &late.to_string()).map(|_| 0));
    until(c"cgroup.events", "frozen 1");
    show("stop", signal::kill(busy, libc::SIGSTOP));
    show("continue", signal::kill(busy, libc::SIGCONT));
    tell(c"below/cgroup.events");
    let _ = signal::kill(late, libc::SIGKILL);
    say!("{}", child::end_of(late));
    show("thaw", put(c"cgroup.freeze", "0"));
    until(c"below/cgroup.events", "frozen 0");
    show("kill", put(c"cgroup.kill", "1"));
    say!("{} {}", child::end_of(pid), child::end_of(busy));
    show("freeze without members", put(c"below/cgroup.freeze", "1"));
    tell(c"below/cgroup.events");
    show("thaw", put(c"below/cgroup.freeze", "0"));
}

/// Changes of `cgroup.events` wake poll and are inotify's.
fn waiting() {
    let fd = file::open(c"below/cgroup.events", libc::O_RDONLY, 0).unwrap_or(0) as i32;
    let notify = event::inotify_init1(libc::IN_NONBLOCK).unwrap_or(0) as i32;
    show("watch", event::inotify_add_watch(notify, c"below/cgroup.events", libc::IN_MODIFY));
    let mut text = [0; 64];
    let _ = file::read(fd, &mut text);
    let mut polled = [libc::pollfd { fd, events: libc::POLLPRI, revents: 0 }];
    show("nothing new", file::poll(&mut polled, 0));
    let pid = sleeper();
    show("move", put(c"below/cgroup.procs", &pid.to_string()).map(|_| 0));
    show("poll", file::poll(&mut polled, 10_000));
    say!("{:#x}", polled[0].revents);
    let _ = file::pread(fd, &mut text, 0);
    let mut buffer = [0; 4096];
    let started = Instant::now();
    let mut got = file::read(notify, &mut buffer);
    while got.is_err() && started.elapsed() < Duration::from_secs(10) {
        let _ = crate::sys::time::sleep_ms(1);
        got = file::read(notify, &mut buffer);
    }
    say!("inotify {} mask {:#x}", got.is_ok(), u32::from_ne_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]));
    let _ = signal::kill(pid, libc::SIGKILL);
    show("poll", file::poll(&mut polled, 10_000));
    say!("{:#x}", polled[0].revents);
    say!("{}", child::end_of(pid));
    tell(c"below/cgroup.events");
    let _ = file::close(fd);
    let _ = file::close(notify);
}

/// A process that is always another: each forks the next and ends. Neither freezing nor killing may miss it.
fn runaway() {
    let first = child::start(|| {
        if put(c"below/cgroup.procs", "0").is_err() {
            return 1;
        }
        loop {
            match process::fork() {
                Ok(0) => {}
                _ => process::exit(0),
            }
        }
    });
    say!("{}", child::end_of(first));
    show("freeze", put(c"cgroup.freeze", "1"));
    until(c"cgroup.events", "frozen 1");
    let before = file::slurp(c"below/cgroup.procs");
    let _ = crate::sys::time::sleep_ms(30);
    say!("the same: {}", before == file::slurp(c"below/cgroup.procs"));
    show("thaw", put(c"cgroup.freeze", "0"));
    until(c"cgroup.events", "frozen 0");
    let _ = crate::sys::time::sleep_ms(5);
    show("kill", put(c"cgroup.kill", "1"));
    until(c"cgroup.events", "populated 0");
}
