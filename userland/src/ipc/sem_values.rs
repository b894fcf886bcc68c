//! Semaphores: operations all or none, values set and read, who waits.
use crate::out::{say, show};
use crate::sys::ipc::{Op, id_or_say, semctl, semget, semop};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let id = id_or_say("semget", semget(libc::IPC_PRIVATE, 3, 0o600));
    let all = || {
        let mut values = [9u16; 3];
        let result = semctl(id, 0, libc::GETALL, values.as_mut_ptr() as usize);
        format!("{result:?} {values:?}")
    };
    say!("{}", all());
    show("add", semop(id, &[Op(0, 3, 0), Op(1, 1, 0)]));
    say!("{}", all());
    let nowait = libc::IPC_NOWAIT as i16;
    show("one of two", semop(id, &[Op(0, -1, 0), Op(2, -1, nowait)]));
    say!("{}", all());
    show("both", semop(id, &[Op(0, -3, 0), Op(1, -1, 0), Op(0, 0, nowait)]));
    say!("{}", all());
    show("zero, then one", semop(id, &[Op(0, 0, nowait), Op(0, 1, 0)]));
    show("not zero", semop(id, &[Op(0, 0, nowait)]));
    show("set", semctl(id, 2, libc::SETVAL, 32767));
    show("one more", semop(id, &[Op(2, 1, nowait)]));
    show("beyond", semctl(id, 2, libc::SETVAL, 32768));
    show("below", semctl(id, 2, libc::SETVAL, usize::MAX));
    say!("{}", all());
    let values = [1u16, 2, 3];
    show("set all", semctl(id, 0, libc::SETALL, values.as_ptr() as usize));
    say!("{}", all());
    let values = [1u16, 40_000, 3];
    show("set all beyond", semctl(id, 0, libc::SETALL, values.as_ptr() as usize));
    for (name, command) in [("value", libc::GETVAL), ("growing", libc::GETNCNT), ("zero", libc::GETZCNT)] {
        show(name, semctl(id, 1, command, 0));
    }
    show("remove", semctl(id, 0, libc::IPC_RMID, 0));
    show("gone", semop(id, &[Op(0, 1, 0)]));
    0
}
