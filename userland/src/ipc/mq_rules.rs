//! POSIX message queues: names, shapes, rights, limits; descriptors that aren't queues.
use crate::out::{say, show, show_ok};
use crate::sys::{Plain, child, file, mq, process};
use std::ffi::{CStr, CString};

fn attempt(label: &str, name: &CStr, flags: i32, shape: Option<&[u64; 8]>) {
    let made = mq::mq_open(name, flags, 0o600, shape);
    show_ok(label, made);
    if let Ok(fd) = made {
        let _ = file::close(fd as i32);
        let _ = mq::mq_unlink(name);
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let make = libc::O_CREAT | libc::O_RDWR;
    attempt("empty", c"", make, None);
    for name in [c"/slash", c"in/side", c".", c"..", c".hidden"] {
        attempt(&format!("{name:?}"), name, make, None);
    }
    for len in [255, 256] {
        let name = CString::new(vec![b'n'; len]).unwrap_or_default();
        attempt(&format!("{len} bytes"), &name, make, None);
    }
    attempt("missing", c"behave_none", libc::O_RDWR, None);
    for (messages, size) in [(0, 1), (1, 0), (u64::MAX, 1), (1, u64::MAX), (10, 8192), (65537, 1), (1, (16 << 20) + 1)] {
        attempt(&format!("{messages} of {size}"), c"behave_rules", make, Some(&mq::shape(messages, size)));
    }
    let queue = mq::mq_open(c"behave_rules", make, 0o640, None).unwrap_or(0) as i32;
    say!("usual {:?}", mq::told(queue));
    let mut stat = libc::stat::zeroed();
    let _ = file::fstat(queue, &mut stat);
    say!("mode {:o} size {} links {}", stat.st_mode, stat.st_size, stat.st_nlink);
    let reader = mq::mq_open(c"behave_rules", libc::O_RDONLY, 0, None).unwrap_or(0) as i32;
    let writer = mq::mq_open(c"behave_rules", libc::O_WRONLY, 0, None).unwrap_or(0) as i32;
    show("send", mq::send(reader, b"x", 0, None));
    show("receive", mq::receive(writer, 8192, None).map(|_| 0));
    show("both", mq::mq_open(c"behave_rules", libc::O_ACCMODE, 0, None));
    show("send", mq::send(writer, b"x", 0, None));
    for fd in [0, -1, 9999] {
        show("not a queue", mq::send(fd, b"x", 0, None));
        show("not a queue", mq::receive(fd, 8192, None).map(|_| 0));
        show("not a queue", mq::mq_notify(fd, None));
        show("not a queue", mq::told(fd).map(|_| 0));
    }
    let wrong = libc::timespec { tv_sec: 1, tv_nsec: 1_000_000_000 };
    show("wrong time", mq::send(queue, b"x", 0, Some(&wrong)));
    show("wrong time", mq::send(-1, b"x", 99999, Some(&wrong)));
    say!("{}", child::run(|| {
        let limit = libc::rlimit64 { rlim_cur: 9000, rlim_max: 9000 };
        show("limit", process::setrlimit(libc::RLIMIT_MSGQUEUE, &limit));
        let _ = process::setresuid(77, 77, 77);
        show("of another", mq::mq_open(c"behave_rules", libc::O_RDONLY, 0, None));
        show("unlink", mq::mq_unlink(c"behave_rules"));
        attempt("beyond the limit", c"behave_77", make, None);
        attempt("within", c"behave_77", make, Some(&mq::shape(1, 8192)));
        let first = mq::mq_open(c"behave_77", make, 0o600, Some(&mq::shape(1, 8192)));
        show_ok("first", first);
        attempt("second", c"behave_78", make, Some(&mq::shape(1, 8192)));
        show("unlink", mq::mq_unlink(c"behave_77"));
        attempt("second", c"behave_78", make, Some(&mq::shape(1, 8192)));
        let _ = file::close(first.unwrap_or(0) as i32);
        attempt("second", c"behave_78", make, Some(&mq::shape(1, 8192)));
        attempt("too many", c"behave_78", make, Some(&mq::shape(11, 10)));
        attempt("too long", c"behave_78", make, Some(&mq::shape(1, 8193)));
        0
    }));
    show("unlink", mq::mq_unlink(c"behave_rules"));
    0
}
