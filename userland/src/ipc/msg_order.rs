//! Message queues: which message a receiver gets.
use crate::out::{say, show};
use crate::sys::ipc::{id_or_say, msgctl, msgget, msgrcv, msgsnd};
use std::ffi::CStr;

const EXCEPT: i32 = 0o20000;
const NOERROR: i32 = 0o10000;
const COPY: i32 = 0o40000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let id = id_or_say("msgget", msgget(libc::IPC_PRIVATE, 0o600));
    for (kind, text) in [(3, "three"), (1, "one"), (2, "two"), (1, "uno"), (9, "nine"), (4, "")] {
        show(text, msgsnd(id, kind, text.as_bytes(), 0));
    }
    let nowait = libc::IPC_NOWAIT;
    say!("{:?}", msgrcv(id, 100, 1, COPY | nowait));
    say!("{:?}", msgrcv(id, 100, 6, COPY | nowait));
    say!("{:?}", msgrcv(id, 100, 1, COPY));
    say!("{:?}", msgrcv(id, 100, 1, COPY | EXCEPT | nowait));
    say!("{:?}", msgrcv(id, 100, -3, 0));
    say!("{:?}", msgrcv(id, 100, 3, EXCEPT));
    say!("{:?}", msgrcv(id, 100, 2, nowait));
    say!("{:?}", msgrcv(id, 2, 0, nowait));
    say!("{:?}", msgrcv(id, 2, 0, nowait | NOERROR));
    say!("{:?}", msgrcv(id, 100, 9, 0));
    say!("{:?}", msgrcv(id, 100, i64::MIN, 0));
    let mut stat = [0u64; 16];
    show("stat", msgctl(id, libc::IPC_STAT, Some(&mut stat)));
    say!("bytes {} messages {} most {}", stat[9], stat[10], stat[11]);
    say!("{:?}", msgrcv(id, 0, 0, 0));
    say!("{:?}", msgrcv(id, 0, 0, nowait));
    show("remove", msgctl(id, libc::IPC_RMID, None));
    say!("{:?}", msgrcv(id, 0, 0, nowait));
    0
}
