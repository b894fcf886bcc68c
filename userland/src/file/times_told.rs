//! How fine the times of files are: they move by the tick of the coarse clock, but a change shows in them to whoever
//! has looked before.
use crate::out::line;
use crate::scratch::Scratch;
use crate::sys::{Plain, file, time};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};

const ROUNDS: usize = 200;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_CREAT | libc::O_RDWR, 0o600);
    let write = || file::pwrite(fd, b"x", 0) == Ok(1);
    let all = |fine: bool| if fine { "always" } else { "not always" };

    let mut last = modified(c"f");
    let later = (0..ROUNDS).all(|_| {
        let fine = write();
        let now = modified(c"f");
        fine && now > core::mem::replace(&mut last, now)
    });
    line(&format!("written and looked at, a later time: {}", all(later)));

    let later = (0..ROUNDS).all(|round| {
        let before = modified(c".");
        let name = CString::new(format!("g{round}")).unwrap_or_default();
        file::make(&name, b"", 0o600);
        modified(c".") > before
    });
    line(&format!("a name more in a directory looked at: {}", all(later)));

    let between = (0..ROUNDS).all(|_| {
        let before = time::now(libc::CLOCK_REALTIME_COARSE);
        let fine = write();
        let after = time::now(libc::CLOCK_REALTIME);
        fine && (before..=after).contains(&modified(c"f"))
    });
    line(&format!("from the coarse clock's before to the fine one's after: {}", all(between)));

    let names: Vec<_> = (0..ROUNDS)
        .filter_map(|round| CString::new(format!("h{round}")).ok())
        .collect();
    for name in &names {
        file::make(name, b"", 0o600);
    }
    let stamps: BTreeSet<_> = names.iter().map(|name| modified(name)).collect();
    line(&format!("many files made in a row share times: {}", stamps.len() < ROUNDS));

    let mut stat = libc::stat::zeroed();
    let _ = write();
    let first = modified(c"f");
    let _ = write();
    let _ = file::utimensat(libc::AT_FDCWD, Some(c"f"), None, 0);
    let _ = file::stat(c"f", &mut stat);
    let now = (stat.st_atime, stat.st_atime_nsec) == (stat.st_mtime, stat.st_mtime_nsec);
    line(&format!("set to now: later {}, both the same {now}", modified(c"f") > first));
    0
}

/// When the file's contents changed last, in nanoseconds since the epoch.
fn modified(path: &CStr) -> i64 {
    let mut stat = libc::stat::zeroed();
    let _ = file::stat(path, &mut stat);
    stat.st_mtime * 1_000_000_000 + stat.st_mtime_nsec
}
