//! `/proc/locks` and `/proc/self/fdinfo` tell which locks are held, by whom and of which bytes.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file::{self, fcntl};
use libc::{F_OFD_SETLK, F_RDLCK, F_SETLK, F_UNLCK, F_WRLCK};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", &[7; 500], 0o600);
    let open = || file::open_or_say(c"f", libc::O_RDWR, 0);
    let (a, b) = (open(), open());
    told("none", &[a, b]);
    show("ten bytes", set(a, F_SETLK, F_WRLCK, 100, 10));
    show("before them", set(a, F_SETLK, F_RDLCK, 5, 20));
    show("to the end", set(b, F_SETLK, F_RDLCK, 400, 0));
    told("records", &[a, b]);
    show("a hole", set(b, F_SETLK, F_UNLCK, 103, 2));
    told("parted", &[a]);
    show("joined", set(a, F_SETLK, F_WRLCK, 90, 30));
    told("joined", &[a]);
    show("the open file's", set(b, F_OFD_SETLK, F_RDLCK, 200, 1));
    show("whole", file::flock(a, libc::LOCK_SH | libc::LOCK_NB));
    show("whole", file::flock(b, libc::LOCK_SH | libc::LOCK_NB));
    told("all kinds", &[a, b]);
    let path = file::open_or_say(c"f", libc::O_PATH, 0);
    let _ = file::close(path);
    told("closed a path", &[a, b]);
    let _ = file::close(b);
    told("closed one", &[a]);
    let _ = file::close(a);
    told("closed", &[]);
    0
}

fn set(fd: i32, command: i32, kind: i32, start: i64, len: i64) -> crate::sys::Res {
    let mut lock = libc::flock { l_type: kind as i16, l_whence: 0, l_start: start, l_len: len, l_pid: 0 };
    fcntl(fd, command, std::ptr::from_mut(&mut lock) as usize)
}

/// What is told of `f`'s locks, without the numbers that differ from run to run.
fn told(label: &str, fds: &[i32]) {
    say!("{label}");
    let (dev, ino) = place();
    let own = crate::sys::process::getpid().unwrap_or(0).to_string();
    let short = |line: &str| {
        let words = line.split_whitespace().map(|word| match word {
            _ if word == own => "own",
            _ if word == format!("{dev}:{ino}") => "f",
            _ => word,
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let all = String::from_utf8(file::slurp(c"/proc/locks").unwrap_or_default()).unwrap_or_default();
    let here = all.lines().filter(|line| line.contains(&format!(":{ino} "))).map(short);
    // In the whole list they stand in no order to rely on.
    let mut here = here.filter_map(|line| line.split_once(' ').map(|(_, rest)| rest.to_owned())).collect::<Vec<_>>();
    here.sort();
    say!("  {}", here.join("\n  "));
    for fd in fds {
        let path = CString::new(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
        let info = String::from_utf8(file::slurp(&path).unwrap_or_default()).unwrap_or_default();
        for line in info.lines().filter(|line| line.starts_with("lock:\t")) {
            say!("  {}", short(line));
        }
        say!("  .");
    }
}

/// The file system and number of `f`, as `/proc/locks` writes them.
fn place() -> (String, u64) {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata("f").map(|meta| (meta.dev(), meta.ino())).unwrap_or_default();
    (format!("{:02x}:{:02x}", libc::major(meta.0), libc::minor(meta.0)), meta.1)
}
