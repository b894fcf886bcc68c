//! Shared memory: what IPC_STAT, IPC_SET, IPC_INFO and /proc tell.
use crate::out::{say, show};
use crate::sys::ipc::{id_or_say, shmat, shmctl, shmdt, shmget};
use crate::sys::process;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let id = id_or_say("shmget", shmget(libc::IPC_PRIVATE, 12_345, 0o640));
    let me = process::getpid().unwrap_or(0) as u64;
    let mut stat = [0u64; 16];
    let mut tell = |label: &str| {
        show(label, shmctl(id, libc::IPC_STAT, Some(&mut stat)));
        say!(
            "  key {:#x} owner {:#x} {:#x} mode {:o} size {} times {:?} pids {} {} attached {}",
            stat[0], stat[1], stat[2] as u32, stat[2] >> 32, stat[6],
            [stat[7] != 0, stat[8] != 0, stat[9] != 0], stat[10] as u32 == me as u32, stat[10] >> 32 == me, stat[11]
        );
        stat
    };
    tell("new");
    let at = shmat(id, 0, 0).unwrap_or(0);
    tell("attached");
    let _ = shmdt(at);
    let mut changed = tell("detached");
    (changed[0], changed[1], changed[2]) = (99, 5 | 6 << 32, 7 | 0o17777 << 32);
    show("set", shmctl(id, libc::IPC_SET, Some(&mut changed)));
    tell("changed");
    let mut info = [0u64; 16];
    say!("info {}", shmctl(0, libc::IPC_INFO, Some(&mut info)).is_ok());
    say!("  {:?}", &info[..5]);
    let text = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let row = text.lines().find(|line| line.split_whitespace().nth(1) == Some(&id.to_string()));
    say!("{}", text.lines().next().unwrap_or_default());
    let words: Vec<&str> = row.unwrap_or_default().split_whitespace().collect();
    say!("{} words: {:?} {:?}", words.len(), words.get(2..4), words.get(6..11));
    say!("remove {:?}", shmctl(id, libc::IPC_RMID, None));
    0
}
