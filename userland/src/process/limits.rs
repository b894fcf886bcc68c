//! getrlimit(2), setrlimit(2), prlimit(2): lowering, raising, errors, inheritance.
use crate::out::{say, show};
use crate::sys::{Plain, child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let res = libc::RLIMIT_NOFILE;
        show("set 100/200", process::setrlimit(res, &limit(100, 200)));
        tell("set");
        show("soft above hard", process::setrlimit(res, &limit(300, 200)));
        show("raise soft", process::setrlimit(res, &limit(200, 200)));
        let mut old = libc::rlimit64::zeroed();
        let new = limit(50, 150);
        show("prlimit", process::prlimit64(0, res, Some(&new), Some(&mut old)));
        say!("old {} {}", old.rlim_cur, old.rlim_max);
        tell("new");
        say!("child {}", child::run(|| { tell("inherited"); 0 }));
        show("bad resource", process::setrlimit(16, &limit(1, 1)));
        show("bad pid", process::prlimit64(0x3fff_fff0, res, None, Some(&mut old)));
        show("beyond nr_open", process::setrlimit(res, &limit(1 << 40, 1 << 40)));
        show("stack", process::setrlimit(libc::RLIMIT_STACK, &limit(1 << 20, u64::MAX)).or(Ok(0)));
        let end = child::run(|| {
            let _ = process::setresuid(1000, 1000, 1000);
            show("raise hard as a user", process::setrlimit(res, &limit(50, 151)));
            show("lower as a user", process::setrlimit(res, &limit(40, 149)));
            tell("user");
            0
        });
        say!("user {end}");
        0
    }));
    0
}

fn limit(cur: u64, max: u64) -> libc::rlimit64 {
    libc::rlimit64 { rlim_cur: cur, rlim_max: max }
}

fn tell(label: &str) {
    let mut now = libc::rlimit64::zeroed();
    let _ = process::getrlimit(libc::RLIMIT_NOFILE, &mut now);
    say!("{label}: {} {}", now.rlim_cur, now.rlim_max);
}
