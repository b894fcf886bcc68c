//! Limits that count for a user: what all processes of a user have queued (`RLIMIT_SIGPENDING`), and shared memory that a
//! user has locked (`RLIMIT_MEMLOCK`).
use crate::out::{say, show};
use crate::sys::ipc::{id_or_say, shmctl, shmget};
use crate::sys::signal::{self, SET, bit};
use crate::sys::{Res, child, process, time};
use std::ffi::CStr;

const USER: u32 = 4242;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("signals {}", child::run(signals));
    say!("memory {}", child::run(memory));
    0
}

fn limit(resource: u32, most: u64) {
    show("limit", process::setrlimit(resource, &libc::rlimit64 { rlim_cur: most, rlim_max: most }));
}

fn send(pid: i32, sig: i32) -> Res {
    let mut words = [0u64; 16];
    (words[1], words[3]) = (u64::from(-1i32 as u32), 7);
    // SAFETY: siginfo_t is 128 bytes of plain data: signo, errno, code, pad, pid, uid, value.
    let info = unsafe { std::mem::transmute::<[u64; 16], libc::siginfo_t>(words) };
    signal::rt_sigqueueinfo(pid, sig, &info)
}

fn signals() -> i32 {
    let set = bit(40) | bit(41) | bit(libc::SIGUSR1);
    let _ = signal::block(set);
    limit(libc::RLIMIT_SIGPENDING, 3);
    show("user", process::setuid(USER));
    let other = child::start(|| {
        let _ = signal::pause();
        0
    });
    let own = process::getpid().unwrap_or(0) as i32;
    for (what, pid) in [("another", other), ("another", other), ("own", own), ("own", own)] {
        show(what, send(pid, 40));
    }
    let mut id = 0;
    show("timer", time::timer_create(libc::CLOCK_MONOTONIC, None, &mut id));
    show("a standard one", send(own, libc::SIGUSR1));
    show("by kill", signal::kill(own, 41));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    say!("{:?}", status.lines().find(|line| line.starts_with("SigQ")));
    show("end", signal::kill(other, libc::SIGKILL));
    say!("{}", child::end_of(other));
    show("own", send(own, 40));
    show("timer", time::timer_create(libc::CLOCK_MONOTONIC, None, &mut id));
    show("own", send(own, 40));
    let none = time::spec(0, 0);
    loop {
        let mut info = signal::info();
        match signal::rt_sigtimedwait(&set, Some(&mut info), Some(&none), SET) {
            Ok(sig) => say!("{sig}: code {}", info.si_code),
            Err(errno) => {
                say!("{errno}");
                return 0;
            }
        }
    }
}

fn memory() -> i32 {
    const LOCK: i32 = 11;
    const UNLOCK: i32 = 12;
    let ids = [0, 1].map(|_| {
        let id = id_or_say("segment", shmget(libc::IPC_PRIVATE, 8192, 0o600));
        let mut stat = [0u64; 16];
        let _ = shmctl(id, libc::IPC_STAT, Some(&mut stat));
        // The owner's id is the word's second half.
        stat[0] = stat[0] & 0xFFFF_FFFF | u64::from(USER) << 32;
        show("owner", shmctl(id, libc::IPC_SET, Some(&mut stat)));
        id
    });
    limit(libc::RLIMIT_MEMLOCK, 3 * 4096);
    show("root's", shmctl(ids[1], LOCK, None));
    show("group", process::setresgid(USER, USER, USER));
    show("groups", process::setgroups(&[]));
    show("user", process::setuid(USER));
    show("locked already", shmctl(ids[1], LOCK, None));
    show("one", shmctl(ids[0], LOCK, None));
    show("free the other", shmctl(ids[1], UNLOCK, None));
    show("both", shmctl(ids[1], LOCK, None));
    show("the same again", shmctl(ids[0], LOCK, None));
    show("free", shmctl(ids[0], UNLOCK, None));
    show("the other alone", shmctl(ids[1], LOCK, None));
    limit(libc::RLIMIT_MEMLOCK, 0);
    show("none", shmctl(ids[1], LOCK, None));
    show("free", shmctl(ids[1], UNLOCK, None));
    for id in ids {
        show("remove", shmctl(id, libc::IPC_RMID, None));
    }
    show("huge pages", shmget(libc::IPC_PRIVATE, 2 << 20, libc::IPC_CREAT | 0o600 | libc::SHM_HUGETLB));
    show("of no size", shmget(libc::IPC_PRIVATE, 2 << 20, libc::IPC_CREAT | 0o600 | libc::SHM_HUGETLB | 13 << 26));
    0
}
