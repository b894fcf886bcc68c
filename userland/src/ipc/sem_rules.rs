//! Semaphores: keys, counts, and errors.
use crate::out::{say, show};
use crate::sys::ipc::{Op, id_or_say, semctl, semget, semop};
use std::ffi::CStr;

const KEY: i32 = 0x4b69_6c6f;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("missing", semget(KEY, 1, 0));
    show("none", semget(KEY, 0, libc::IPC_CREAT | 0o600));
    show("negative", semget(KEY, -1, libc::IPC_CREAT | 0o600));
    show("too many", semget(KEY, 32001, libc::IPC_CREAT | 0o600));
    let id = id_or_say("made", semget(KEY, 2, libc::IPC_CREAT | 0o600));
    say!("found {:?}", semget(KEY, 0, 0).map(|got| got as i32 == id));
    show("more", semget(KEY, 3, 0));
    show("exclusive", semget(KEY, 1, libc::IPC_CREAT | libc::IPC_EXCL));
    show("no operations", semop(id, &[]));
    show("too many operations", semop(id, &vec![Op(0, 1, 0); 501]));
    show("beyond the set", semop(id, &[Op(2, 1, 0)]));
    show("no such set", semop(id + 1000, &[Op(0, 1, 0)]));
    show("negative set", semop(-1, &[Op(0, 1, 0)]));
    show("value beyond", semctl(id, 2, libc::GETVAL, 0));
    show("set beyond", semctl(id, 2, libc::SETVAL, 0));
    show("negative number", semctl(id, -1, libc::GETVAL, 0));
    show("all nowhere", semctl(id, 0, libc::GETALL, 0));
    show("set all from nowhere", semctl(id, 0, libc::SETALL, 0));
    show("stat nowhere", semctl(id, 0, libc::IPC_STAT, 0));
    show("oddly", semctl(id, 0, 99, 0));
    let mut stat = [0u64; 16];
    show("stat", semctl(id, 0, libc::IPC_STAT, stat.as_mut_ptr() as usize));
    say!("key {:#x} mode {:o} operated {} count {}", stat[0] as u32, stat[2] >> 32, stat[6], stat[10]);
    let mut info = [0i32; 10];
    say!("{}", semctl(0, 0, libc::IPC_INFO, info.as_mut_ptr() as usize).is_ok());
    say!("{info:?}");
    show("remove", semctl(id, 0, libc::IPC_RMID, 0));
    show("again", semctl(id, 0, libc::IPC_RMID, 0));
    0
}
