//! The controller `pids` of control groups, which the host's kernel may have given away: what it counts and refuses is
//! compared with what cgroups(7) says.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{child, file, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"c", 0o755);
    let result = limits();
    match result {
        Ok(()) => say!("still here"),
        Err(what) => say!("{what}"),
    }
    0
}

/// What a file must say.
fn expect(name: &CStr, text: &str) -> Result<(), String> {
    let own = file::slurp(name).unwrap_or_default();
    if own == text.as_bytes() {
        return Ok(());
    }
    Err(format!("{name:?} says {:?}, not {text:?}", String::from_utf8_lossy(&own)))
}

fn put(name: &CStr, text: &str) -> Result<usize, i32> {
    let fd = file::open(name, libc::O_WRONLY, 0).map_err(|errno| errno.0)? as i32;
    let result = file::write(fd, text.as_bytes());
    let _ = file::close(fd);
    result.map_err(|errno| errno.0)
}

fn must<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|errno| format!("{what}: {errno:?}"))
}

/// The error that something must end with.
fn refused<T>(what: &str, result: Result<T, i32>, errno: i32) -> Result<(), String> {
    match result {
        Err(own) if own == errno => Ok(()),
        Err(own) => Err(format!("{what}: error {own}, not {errno}")),
        Ok(_) => Err(format!("{what}: no error")),
    }
}

fn limits() -> Result<(), String> {
    must("mount", file::mount(c"none", c"c", c"cgroup2", 0, None))?;
    must("make", file::mkdir(c"c/a", 0o755))?;
    expect(c"c/a/cgroup.controllers", "")?;
    refused("no file yet", put(c"c/a/pids.max", "1"), libc::ENOENT)?;
    refused("not given", put(c"c/a/cgroup.subtree_control", "+pids"), libc::ENOENT)?;
    must("give", put(c"c/cgroup.subtree_control", "+pids"))?;
    expect(c"c/cgroup.subtree_control", "pids\n")?;
    expect(c"c/a/cgroup.controllers", "pids\n")?;
    expect(c"c/a/pids.max", "max\n")?;
    refused("bad limit", put(c"c/a/pids.max", "-2"), libc::EINVAL)?;
    must("limit", put(c"c/a/pids.max", "3\n"))?;
    let inside = child::run(|| match inside() {
        Ok(()) => 0,
        Err(what) => {
            say!("{what}");
            1
        }
    });
    if inside != "exited 0" {
        return Err(inside);
    }
    expect(c"c/a/pids.current", "0\n")?;
    expect(c"c/a/pids.peak", "3\n")?;
    expect(c"c/a/pids.events", "max 2\n")?;
    must("take", put(c"c/cgroup.subtree_control", "-pids"))?;
    refused("no file any more", put(c"c/a/pids.max", "1"), libc::ENOENT)?;
    must("remove", file::rmdir(c"c/a"))?;
    Ok(())
}

/// In the group of three: two more may be, processes or threads.
fn inside() -> Result<(), String> {
    must("enter", put(c"c/a/cgroup.procs", "0"))?;
    expect(c"c/a/pids.current", "1\n")?;
    let pause = || {
        let _ = crate::sys::time::sleep_ms(100_000);
        0
    };
    let (first, second) = (child::start(pause), child::start(pause));
    expect(c"c/a/pids.current", "3\n")?;
    refused("fork", process::fork().map_err(|errno| errno.0), libc::EAGAIN)?;
    let thread = std::thread::Builder::new().spawn(|| ());
    refused("thread", thread.map_err(|error| error.raw_os_error().unwrap_or(0)), libc::EAGAIN)?;
    must("below", file::mkdir(c"c/a/b", 0o755))?;
    // The limit counts for a whole branch.
    must("move down", put(c"c/a/b/cgroup.procs", &second.to_string()))?;
    expect(c"c/a/pids.current", "3\n")?;
    for pid in [first, second] {
        let _ = signal::kill(pid, libc::SIGKILL);
        must("wait", child::wait(pid).map_err(|errno| errno.0))?;
    }
    expect(c"c/a/pids.current", "1\n")?;
    must("remove", file::rmdir(c"c/a/b"))?;
    Ok(())
}
