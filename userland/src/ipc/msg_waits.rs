//! Message queues: receivers and senders that wait, a full queue, removal and signals.
use crate::out::{say, show};
use crate::sys::event::kill;
use crate::sys::ipc::{id_or_say, msgctl, msgget, msgrcv, msgsnd};
use crate::sys::{child, signal, task, time};
use std::ffi::CStr;

extern "C" fn handler(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let id = id_or_say("msgget", msgget(libc::IPC_PRIVATE, 0o600));
    let receiver = child::start(|| {
        say!("received {:?}", msgrcv(id, 100, 5, 0));
        0
    });
    let _ = time::sleep_ms(20);
    let _ = msgsnd(id, 4, b"not this", 0);
    let _ = msgsnd(id, 5, b"this", 0);
    say!("{}", child::end_of(receiver));
    say!("{:?}", msgrcv(id, 100, 0, 0));
    let mut sent = 0;
    while msgsnd(id, 1, &[b'x'; 1000], libc::IPC_NOWAIT).is_ok() {
        sent += 1;
    }
    say!("{sent} fit");
    show("full", msgsnd(id, 1, &[0; 1000], libc::IPC_NOWAIT));
    show("a small one", msgsnd(id, 1, &[0; 100], libc::IPC_NOWAIT));
    let sender = child::start(|| {
        show("sent", msgsnd(id, 7, b"late", 0));
        show("sent", msgsnd(id, 7, &[b'y'; 1000], 0));
        0
    });
    let _ = time::sleep_ms(20);
    let first = msgrcv(id, 1000, 1, 0).map(|(kind, text)| (kind, text.len()));
    say!("{} {first:?}", child::end_of(sender));
    let waiter = child::start(|| {
        let _ = signal::handle(libc::SIGUSR1, handler, libc::SA_RESTART, 0);
        say!("interrupted {:?}", msgrcv(id, 100, 99, 0));
        show("interrupted", msgsnd(id, 1, &[0; 8000], 0));
        say!("removed {:?}", msgrcv(id, 100, 99, 0));
        0
    });
    for _ in 0..2 {
        task::until_asleep(waiter);
        let _ = kill(waiter, libc::SIGUSR1);
    }
    task::until_asleep(waiter);
    let _ = msgctl(id, libc::IPC_RMID, None);
    say!("{}", child::end_of(waiter));
    0
}
