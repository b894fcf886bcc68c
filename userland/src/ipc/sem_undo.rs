//! Semaphores: SEM_UNDO when a process ends, is killed, and after SETVAL.
use crate::out::{say, show};
use crate::sys::ipc::{Op, id_or_say, semctl, semget, semop};
use crate::sys::{child, process, signal};
use std::ffi::CStr;

const UNDO: i16 = libc::SEM_UNDO as i16;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let id = id_or_say("semget", semget(libc::IPC_PRIVATE, 2, 0o600));
    let value = |number: i32| semctl(id, number, libc::GETVAL, 0);
    let _ = semctl(id, 0, libc::SETVAL, 5);
    let end = child::run(|| {
        show("take", semop(id, &[Op(0, -2, UNDO), Op(1, 1, 0)]));
        say!("{:?} {:?}", value(0), value(1));
        0
    });
    say!("{end} {:?} {:?}", value(0), value(1));
    let end = child::run(|| {
        let _ = semop(id, &[Op(0, -4, UNDO)]);
        let _ = signal::raise(libc::SIGKILL);
        0
    });
    say!("{end} {:?}", value(0));
    let end = child::run(|| {
        let _ = semop(id, &[Op(0, -4, UNDO)]);
        let _ = semctl(id, 0, libc::SETVAL, 2);
        0
    });
    say!("{end} {:?}", value(0));
    let end = child::run(|| {
        let _ = semop(id, &[Op(1, 9, UNDO)]);
        let _ = semop(id, &[Op(1, -10, 0)]);
        0
    });
    say!("not below zero: {end} {:?}", value(1));
    let end = child::run(|| {
        let _ = semop(id, &[Op(0, -1, UNDO)]);
        say!("inner {}", child::run(|| 0));
        say!("the child had none {:?}", value(0));
        0
    });
    say!("{end} {:?}", value(0));
    let mine = process::getpid();
    let _ = semop(id, &[Op(0, 1, 0)]);
    say!("last by me {}", semctl(id, 0, libc::GETPID, 0) == mine);
    let _ = semctl(id, 0, libc::IPC_RMID, 0);
    0
}
