//! Shared memory: keys, sizes, addresses, flags, and errors.
use crate::out::{say, show, show_ok};
use crate::sys::ipc::{id_or_say, shmat, shmctl, shmdt, shmget};
use std::ffi::CStr;

const KEY: i32 = 0x4b69_6c6e;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("missing", shmget(KEY, 4096, 0o600));
    show("no size", shmget(KEY, 0, libc::IPC_CREAT | 0o600));
    show("too large", shmget(KEY, usize::MAX, libc::IPC_CREAT | 0o600));
    let id = id_or_say("made", shmget(KEY, 5000, libc::IPC_CREAT | 0o600));
    let same = |result: crate::sys::Res| result.map(|got| got as i32 == id);
    say!("found {:?}", same(shmget(KEY, 0, 0)));
    say!("found smaller {:?}", same(shmget(KEY, 5000, libc::IPC_CREAT)));
    show("larger", shmget(KEY, 5001, 0));
    show("exclusive", shmget(KEY, 1, libc::IPC_CREAT | libc::IPC_EXCL));
    say!("exclusive alone {:?}", same(shmget(KEY, 1, libc::IPC_EXCL)));
    let at = shmat(id, 0, 0).unwrap_or(0);
    show("odd address", shmat(id, at + 1, 0));
    show("taken", shmat(id, at, 0));
    show("taken, rounded", shmat(id, at + 1, libc::SHM_RND));
    say!("over it {:?}", shmat(id, at, libc::SHM_REMAP).map(|got| got == at));
    show("remap anywhere", shmat(id, 0, libc::SHM_REMAP));
    show("rounded to nothing", shmat(id, 1, libc::SHM_RND | libc::SHM_REMAP));
    show_ok("executable", shmat(id, 0, libc::SHM_EXEC));
    show("no such id", shmat(id + 1000, 0, 0));
    show("negative id", shmat(-1, 0, 0));
    show("detach nothing", shmdt(0x1000));
    show("detach inside", shmdt(at + 4096));
    show("detach odd", shmdt(at + 1));
    show("detach", shmdt(at));
    show("detach again", shmdt(at));
    show("control nothing", shmctl(id + 1000, libc::IPC_STAT, Some(&mut [0; 16])));
    show("control negative", shmctl(-1, libc::IPC_RMID, None));
    show("control oddly", shmctl(id, 99, None));
    show("stat nowhere", shmctl(id, libc::IPC_STAT, None));
    show("set from nowhere", shmctl(id, libc::IPC_SET, None));
    show("lock", shmctl(id, 11, None));
    let mut stat = [0u64; 16];
    let _ = shmctl(id, libc::IPC_STAT, Some(&mut stat));
    say!("mode {:o}", stat[2] >> 32);
    show("unlock", shmctl(id, 12, None));
    show("remove", shmctl(id, libc::IPC_RMID, None));
    show("missing", shmget(KEY, 0, 0));
    0
}
