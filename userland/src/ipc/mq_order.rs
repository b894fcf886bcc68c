//! POSIX message queues: priorities, what a queue holds, its attributes, poll.
use crate::out::{say, show, show_ok};
use crate::sys::{event::fd_or_say, file, mq, tty};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let name = c"behave_order";
    let _ = mq::mq_unlink(name);
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_NONBLOCK;
    let queue = fd_or_say("mq_open", mq::mq_open(name, flags, 0o600, Some(&mq::shape(4, 16))));
    say!("{:?}", mq::told(queue));
    say!("flags {:o} close on exec {:?}", file::fcntl(queue, libc::F_GETFL, 0).unwrap_or(0), file::fcntl(queue, libc::F_GETFD, 0));
    say!("empty {}", tty::state(queue));
    show_ok("receive", mq::receive(queue, 16, None));
    for (text, priority) in [("low", 1), ("high", 9), ("low too", 1), ("highest", 32767)] {
        show("send", mq::send(queue, text.as_bytes(), priority, None));
    }
    show("a fifth", mq::send(queue, b"x", 0, None));
    say!("full {} {:?}", tty::state(queue), mq::told(queue));
    let mut text = [0; 100];
    let len = file::read(queue, &mut text).unwrap_or(0);
    say!("status \"{}\"", text[..len].escape_ascii());
    show("room too small", mq::receive(queue, 15, None).map(|_| 0));
    while let Ok(message) = mq::receive(queue, 16, None) {
        say!("{message:?} {}", tty::state(queue));
    }
    show("too long", mq::send(queue, &[b'x'; 17], 0, None));
    show("no such priority", mq::send(queue, b"x", 32768, None));
    show("empty message", mq::send(queue, b"", 0, None));
    say!("{:?}", mq::receive(queue, 16, None));
    let mut old = [0; 8];
    show("wrong flags", mq::mq_getsetattr(queue, Some(&[1, 0, 0, 0, 0, 0, 0, 0]), None));
    show("blocking", mq::mq_getsetattr(queue, Some(&[0; 8]), Some(&mut old)));
    say!("before {old:?} now {:?}", mq::told(queue));
    show("write", file::write(queue, b"x"));
    show_ok("exclusive", mq::mq_open(name, flags, 0o600, None));
    show("unlink", mq::mq_unlink(name));
    show("unlink", mq::mq_unlink(name));
    show("open", mq::mq_open(name, libc::O_RDWR, 0, None));
    show("still there", mq::send(queue, b"x", 0, None));
    0
}
