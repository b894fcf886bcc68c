//! Message queues: keys, sizes, and errors.
use crate::out::{say, show};
use crate::sys::ipc::{id_or_say, msgctl, msgget, msgrcv, msgsnd};
use std::ffi::CStr;

const KEY: i32 = 0x4b69_6c70;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("missing", msgget(KEY, 0));
    let id = id_or_say("made", msgget(KEY, libc::IPC_CREAT | 0o600));
    say!("found {:?}", msgget(KEY, 0).map(|got| got as i32 == id));
    show("exclusive", msgget(KEY, libc::IPC_CREAT | libc::IPC_EXCL));
    show("type 0", msgsnd(id, 0, b"x", 0));
    show("negative type", msgsnd(id, -1, b"x", 0));
    show("too long", msgsnd(id, 1, &[0; 8193], 0));
    show("longest", msgsnd(id, 1, &[0; 8192], 0));
    show("no such queue", msgsnd(id + 1000, 1, b"x", 0));
    show("negative queue", msgsnd(-1, 1, b"x", 0));
    say!("{:?}", msgrcv(-1, 1, 0, 0));
    say!("{:?}", msgrcv(id + 1000, 1, 0, 0));
    say!("{:?}", msgrcv(id, 8191, 0, 0).map(|_| ()));
    show("stat nowhere", msgctl(id, libc::IPC_STAT, None));
    show("oddly", msgctl(id, 99, None));
    let mut stat = [0u64; 16];
    show("stat", msgctl(id, libc::IPC_STAT, Some(&mut stat)));
    say!("key {:#x} mode {:o} sent {} received {} bytes {} messages {} most {}", stat[0] as u32, stat[2] >> 32, stat[6] != 0, stat[7], stat[9], stat[10], stat[11]);
    stat[11] = 100;
    show("smaller", msgctl(id, libc::IPC_SET, Some(&mut stat)));
    show("no room", msgsnd(id, 1, b"x", libc::IPC_NOWAIT));
    let mut info = [0u64; 16];
    say!("{}", msgctl(0, libc::IPC_INFO, Some(&mut info)).is_ok());
    say!("{:?}", &info[..4]);
    show("remove", msgctl(id, libc::IPC_RMID, None));
    show("gone", msgctl(id, libc::IPC_RMID, None));
    0
}
