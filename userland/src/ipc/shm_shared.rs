//! Shared memory: seen by parent and child, attached twice, read-only, kept after removal until the last detaches.
use crate::out::{say, show, show_ok};
use crate::sys::ipc::{id_or_say, shmat, shmctl, shmdt, shmget};
use crate::sys::{child, memory};
use std::ffi::CStr;

fn word(addr: usize) -> *mut u32 {
    addr as *mut u32
}

fn get(addr: usize) -> u32 {
    // SAFETY: the address is of an attached segment.
    unsafe { word(addr).read_volatile() }
}

fn put(addr: usize, value: u32) {
    // SAFETY: the address is of an attached segment.
    unsafe { word(addr).write_volatile(value) }
}

fn attached(id: i32) -> Result<u64, crate::sys::Errno> {
    let mut stat = [0u64; 16];
    shmctl(id, libc::IPC_STAT, Some(&mut stat)).map(|_| stat[11])
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let id = id_or_say("shmget", shmget(libc::IPC_PRIVATE, 10_000, 0o600));
    let a = shmat(id, 0, 0).unwrap_or(0);
    let b = shmat(id, 0, libc::SHM_RDONLY).unwrap_or(0);
    say!("zero {} two places {} attached {:?}", get(a) == 0, a != b, attached(id));
    put(a, 7);
    say!("seen in both {}", get(b));
    let end = child::run(|| {
        say!("child sees {} attached {:?}", get(b), attached(id));
        put(a + 9_996, 8);
        0
    });
    say!("{end}, parent sees {} attached {:?}", get(b + 9_996), attached(id));
    say!("written read-only: {}", child::run(|| {
        put(b, 1);
        0
    }));
    show("made writable", memory::mprotect(b, 4096, libc::PROT_READ | libc::PROT_WRITE));
    show("detach", shmdt(b));
    say!("attached {:?}", attached(id));
    say!("after detaching: {}", child::run(|| {
        put(b, 1);
        0
    }));
    show("remove", shmctl(id, libc::IPC_RMID, None));
    let mut stat = [0u64; 16];
    show("stat", shmctl(id, libc::IPC_STAT, Some(&mut stat)));
    say!("mode {:o} key {}", stat[2] >> 32, stat[0] as u32);
    let again = shmat(id, 0, 0);
    show_ok("attach a removed one", again);
    say!("still {}", again.map_or(0, get));
    let _ = shmdt(again.unwrap_or(0));
    show("detach the last", shmdt(a));
    show("stat", shmctl(id, libc::IPC_STAT, Some(&mut stat)));
    show_ok("attach", shmat(id, 0, 0));
    0
}
