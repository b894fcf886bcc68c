//! System V IPC as an ordinary user: permission bits, owners.
use crate::out::{say, show, show_ok};
use crate::sys::ipc::{Op, id_or_say, msgctl, msgget, msgsnd, semctl, semget, semop, shmat, shmctl, shmget};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let shm = id_or_say("shm", shmget(libc::IPC_PRIVATE, 4096, 0o644));
    let sem = id_or_say("sem", semget(libc::IPC_PRIVATE, 1, 0o604));
    let msg = id_or_say("msg", msgget(0x4b69_6c71, libc::IPC_CREAT | 0o602));
    let end = child::run(|| {
        let _ = process::setgroups(&[]);
        let _ = process::setresgid(1000, 1000, 1000);
        let _ = process::setresuid(1000, 1000, 1000);
        show("attach", shmat(shm, 0, 0));
        show_ok("attach for reading", shmat(shm, 0, libc::SHM_RDONLY));
        show("remove", shmctl(shm, libc::IPC_RMID, None));
        show("lock", shmctl(shm, 11, None));
        show("operate", semop(sem, &[Op(0, 1, 0)]));
        show("wait for zero", semop(sem, &[Op(0, 0, 0)]));
        show("value", semctl(sem, 0, libc::GETVAL, 0));
        show("set", semctl(sem, 0, libc::SETVAL, 1));
        show("remove", semctl(sem, 0, libc::IPC_RMID, 0));
        show("send", msgsnd(msg, 1, b"x", 0));
        show("stat", msgctl(msg, libc::IPC_STAT, Some(&mut [0; 16])));
        show("find to read", msgget(0x4b69_6c71, 0o400));
        show_ok("find to write", msgget(0x4b69_6c71, 0o200));
        0
    });
    say!("{end}");
    let _ = shmctl(shm, libc::IPC_RMID, None);
    let _ = semctl(sem, 0, libc::IPC_RMID, 0);
    let _ = msgctl(msg, libc::IPC_RMID, None);
    0
}
