//! POSIX message queues: who waits to send or receive, time limits, signals.
use crate::out::{say, show};
use crate::sys::{child, event::kill, mq, signal, task, time};
use std::ffi::CStr;

extern "C" fn nothing(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let name = c"behave_waits";
    let _ = mq::mq_unlink(name);
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    let queue = mq::mq_open(name, flags, 0o600, Some(&mq::shape(2, 16))).unwrap_or(0) as i32;
    let _ = mq::mq_unlink(name);
    show("past", mq::receive(queue, 16, Some(&mq::soon(-1000))).map(|_| 0));
    show("soon", mq::receive(queue, 16, Some(&mq::soon(30))).map(|_| 0));
    let receivers: Vec<i32> = (0..2)
        .map(|number| {
            let pid = child::start(|| {
                say!("receiver {number} {:?}", mq::receive(queue, 16, None));
                0
            });
            let _ = time::sleep_ms(20);
            task::until_asleep(pid);
            pid
        })
        .collect();
    for (number, pid) in receivers.into_iter().enumerate() {
        let _ = mq::send(queue, format!("to {number}").as_bytes(), 0, None);
        say!("{}", child::end_of(pid));
    }
    for text in [b"a", b"b"] {
        let _ = mq::send(queue, text, 0, None);
    }
    show("full", mq::send(queue, b"c", 0, Some(&mq::soon(30))));
    let sender = child::start(|| {
        let sent = mq::send(queue, b"urgent", 5, None);
        let _ = time::sleep_ms(60);
        show("urgent", sent);
        0
    });
    let _ = time::sleep_ms(30);
    task::until_asleep(sender);
    say!("{:?}", mq::receive(queue, 16, None));
    say!("{}", child::end_of(sender));
    for _ in 0..2 {
        say!("{:?}", mq::receive(queue, 16, None));
    }
    let waiter = child::start(|| {
        let _ = signal::handle(libc::SIGUSR1, nothing, 0, 0);
        show("interrupted", mq::receive(queue, 16, None).map(|_| 0));
        let _ = signal::handle(libc::SIGUSR1, nothing, libc::SA_RESTART, 0);
        say!("restarted {:?}", mq::receive(queue, 16, None));
        0
    });
    for _ in 0..2 {
        let _ = time::sleep_ms(40);
        task::until_asleep(waiter);
        let _ = kill(waiter, libc::SIGUSR1);
    }
    let _ = time::sleep_ms(40);
    task::until_asleep(waiter);
    let _ = mq::send(queue, b"at last", 0, None);
    say!("{}", child::end_of(waiter));
    0
}
