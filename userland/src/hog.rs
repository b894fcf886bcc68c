//! Programs that take one kind of memory until there is none: `behave --helper hog KIND`. A small
//! parent, which the out-of-memory killer spares, has a child take it, waits for the child's end,
//! and looks whether what was free before is free again.

use crate::out::{error, say};
use crate::sys::{file, memory, process, signal, time};
use std::ffi::{CStr, CString};

/// What a child does until it can't any more.
type Hog = fn();

const KINDS: &[(&str, Hog)] = &[
    ("touch", touch),
    ("fork", bomb),
    ("pipe", pipes),
    ("socket", sockets),
    ("datagram", datagrams),
    ("tables", page_tables),
    ("zeroes", zeroes),
    ("areas", areas),
    ("inode", inodes),
    ("dentry", dentries),
    ("epoll", epolls),
    ("eventfd", eventfds),
    ("timer", timers),
    ("queue", signal_queue),
    ("descriptors", descriptor_tables),
    ("tmpfs", tmpfs),
    ("unbounded", unbounded_tmpfs),
    ("memfd", memfds),
    ("lock", record_locks),
    ("thread", threads),
    ("stacks", stacks),
];

/// Those who are the largest process: nobody else is killed for them.
const LARGEST: &[&str] = &["touch", "tables", "zeroes"];

/// Slack: what the kernel keeps for the next time, such as tables and stacks.
const SLACK_KIB: u64 = 3072;

/// Runs the hog of that name in a child.
pub(crate) fn run(args: &[&CStr]) -> i32 {
    let name = args.first().and_then(|name| name.to_str().ok());
    let Some((_, hog)) = KINDS.iter().find(|(kind, _)| Some(*kind) == name) else {
        error("no such hog");
        return 2;
    };
    adjust(c"-1000");
    let bystander = LARGEST.contains(&name.unwrap_or_default()).then(bystander);
    settle();
    let before = free_kib();
    let child = process::fork().unwrap_or(0);
    if child == 0 {
        adjust(c"0");
        let _ = call(libc::SYS_setsid, [0; 6]);
        raise_limits();
        hog();
        process::exit(0);
    }
    let mut status = 0;
    // SAFETY: waits for a child; the status is written.
    let ended = unsafe { libc::waitpid(child as i32, &raw mut status, 0) };
    // What the child has left behind.
    let _ = call(libc::SYS_kill, [child.wrapping_neg(), 9, 0, 0, 0, 0]);
    clean();
    let killed = ended == child as i32 && libc::WIFSIGNALED(status);
    say!("{}", if killed { "killed" } else { "full" });
    if bystander.is_some_and(|child| !is_running(child)) {
        error("a smaller one was killed");
        return 1;
    }
    for _ in 0..100 {
        settle();
        if free_kib() + SLACK_KIB >= before {
            say!("all is free again");
            if let Some(child) = bystander {
                let _ = call(libc::SYS_kill, [child, 9, 0, 0, 0, 0]);
            }
            return 0;
        }
        let _ = time::sleep_ms(50);
    }
    say!("free before: {before} KiB, after: {} KiB", free_kib());
    1
}

/// A process with 4 MiB of its own.
fn bystander() -> usize {
    let child = process::fork().unwrap_or(0);
    if child == 0 {
        adjust(c"0");
        if let Ok(addr) = memory::mmap(0, 4 << 20, RW, ANON, -1, 0) {
            (addr..addr + (4 << 20)).step_by(4096).for_each(poke);
        }
        loop {
            let _ = time::sleep_ms(1000);
        }
    }
    let _ = time::sleep_ms(50);
    child
}

fn is_running(child: usize) -> bool {
    call(libc::SYS_wait4, [child, 0, libc::WNOHANG as usize, 0, 0, 0]) == Ok(0)
}

fn call(number: i64, args: [usize; 6]) -> crate::sys::Res {
    // SAFETY: the calls made here only read and write memory whose address they are given by
    // functions below, which own it.
    unsafe { crate::sys::call(number, args) }
}

fn write_to(path: &CStr, bytes: &[u8]) {
    if let Ok(fd) = file::fd(file::open(path, libc::O_WRONLY, 0)) {
        let _ = file::write(fd, bytes);
        let _ = file::close(fd);
    }
}

fn adjust(value: &CStr) {
    write_to(c"/proc/self/oom_score_adj", value.to_bytes());
}

fn settle() {
    write_to(c"/proc/sys/vm/drop_caches", b"3");
}

fn free_kib() -> u64 {
    let text = file::text(c"/proc/meminfo");
    let line = text.lines().find(|line| line.starts_with("MemFree:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn raise_limits() {
    for limit in [
        libc::RLIMIT_NOFILE,
        libc::RLIMIT_NPROC,
        libc::RLIMIT_SIGPENDING,
    ] {
        let all = libc::rlimit64 {
            rlim_cur: 1 << 20,
            rlim_max: 1 << 20,
        };
        let _ = process::prlimit64(0, limit, Some(&all), None);
    }
}

/// Removes what hogs leave in files.
fn clean() {
    let _ = std::fs::remove_dir_all("/tmp/hog");
    let _ = call(
        libc::SYS_umount2,
        [c"/tmp/mnt".as_ptr() as usize, 0, 0, 0, 0, 0],
    );
}

/// The same in one process after the other, each the child of the last and with descriptors of its
/// own, until one can't be made. Each waits for the next one's end.
fn in_children(hog: Hog) {
    for _ in 0..100 {
        match process::fork() {
            Ok(0) => hog(),
            Ok(child) => {
                let _ = call(libc::SYS_wait4, [child, 0, 0, 0, 0, 0]);
                process::exit(0)
            }
            Err(_) => return,
        }
    }
}

const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;

fn poke(addr: usize) {
    // SAFETY: callers pass addresses of writable memory that they mapped and nobody else uses.
    unsafe { (addr as *mut u8).write_volatile(1) };
}

fn touch() {
    while let Ok(addr) = memory::mmap(0, 1 << 20, RW, ANON, -1, 0) {
        (addr..addr + (1 << 20)).step_by(4096).for_each(poke);
    }
}

/// Every process makes more of them.
fn bomb() {
    for _ in 0..200 {
        match process::fork() {
            Ok(_) => {}
            Err(_) => {
                let _ = time::sleep_ms(20);
            }
        }
    }
}

fn pipes() {
    in_children(|| {
        let block = [0u8; 4096];
        for _ in 0..500 {
            let Ok((_, write)) = file::pipe2(libc::O_NONBLOCK) else {
                return;
            };
            while file::write(write, &block).is_ok() {}
        }
    });
}

fn sockets() {
    in_children(|| fill_sockets(libc::SOCK_STREAM, &[0; 4096]));
}

/// Many small ones, which are more than their bytes.
fn datagrams() {
    in_children(|| fill_sockets(libc::SOCK_DGRAM, b"1"));
}

fn fill_sockets(kind: i32, block: &[u8]) {
    for _ in 0..500 {
        let mut pair = [0i32; 2];
        let args = [
            libc::AF_UNIX as usize,
            (kind | libc::SOCK_NONBLOCK) as usize,
            0,
            pair.as_mut_ptr() as usize,
            0,
            0,
        ];
        if call(libc::SYS_socketpair, args).is_err() {
            return;
        }
        while file::write(pair[0], block).is_ok() {}
    }
}

/// Pages that were only read have no memory of their own, but tables.
fn zeroes() {
    while let Ok(addr) = memory::mmap(0, 1 << 30, RW, ANON, -1, 0) {
        for page in (addr..addr + (1 << 30)).step_by(1 << 21) {
            // SAFETY: mapped above, and nobody writes there.
            unsafe { (page as *const u8).read_volatile() };
        }
    }
}

fn page_tables() {
    while let Ok(addr) = memory::mmap(0, 1 << 30, RW, ANON, -1, 0) {
        (addr..addr + (1 << 30)).step_by(2 << 20).for_each(poke);
    }
}

fn areas() {
    in_children(|| {
        for round in 0..300 {
            // Neighbours differ, so that each is an area of its own.
            let prot = if round % 2 == 0 { RW } else { libc::PROT_READ };
            if memory::mmap(0, 4096, prot, ANON, -1, 0).is_err() {
                return;
            }
        }
    });
}

fn inodes() {
    let _ = file::mkdir(c"/tmp/hog", 0o755);
    for number in 0..10_000_000 {
        let Ok(path) = CString::new(format!("/tmp/hog/{number}-{}", "x".repeat(200))) else {
            return;
        };
        let Ok(fd) = file::fd(file::open(&path, libc::O_CREAT | libc::O_WRONLY, 0o644)) else {
            return;
        };
        let _ = file::close(fd);
    }
}

fn dentries() {
    for number in 0..50_000 {
        if let Ok(path) = CString::new(format!("/tmp/{number}-{}", "x".repeat(200))) {
            let _ = file::open(&path, libc::O_RDONLY, 0);
        }
    }
}

fn epolls() {
    in_children(|| {
        let Ok(event) = call(libc::SYS_eventfd2, [0; 6]) else {
            return;
        };
        while let Ok(epoll) = call(libc::SYS_epoll_create1, [0; 6]) {
            let mut what = libc::epoll_event { events: 1, u64: 0 };
            let what = &raw mut what as usize;
            if call(libc::SYS_epoll_ctl, [epoll, 1, event, what, 0, 0]).is_err() || epoll > 20_000 {
                return;
            }
        }
    });
}

fn eventfds() {
    in_children(|| while call(libc::SYS_eventfd2, [0; 6]).is_ok_and(|fd| fd < 50_000) {});
}

fn timers() {
    in_children(|| {
        for _ in 0..4000 {
            let mut id = 0i32;
            let args = [1, 0, &raw mut id as usize, 0, 0, 0];
            if call(libc::SYS_timer_create, args).is_err() {
                return;
            }
        }
    });
}

fn signal_queue() {
    in_children(|| {
        let _ = signal::block(u64::MAX);
        // SAFETY: asks for a number.
        let pid = unsafe { libc::getpid() } as usize;
        let mut info = [0i32; 32];
        info[2] = -1; // si_code: SI_QUEUE
        for _ in 0..5000 {
            let args = [pid, 40, info.as_ptr() as usize, 0, 0, 0];
            if call(libc::SYS_rt_sigqueueinfo, args).is_err() {
                return;
            }
        }
    });
}

fn descriptor_tables() {
    in_children(|| {
        let _ = call(libc::SYS_dup2, [1, (1 << 20) - 1, 0, 0, 0, 0]);
    });
}

fn fill(path: &CStr) {
    let block = vec![1u8; 65536];
    if let Ok(fd) = file::fd(file::open(path, libc::O_CREAT | libc::O_WRONLY, 0o644)) {
        while file::write(fd, &block).is_ok() {}
    }
}

fn tmpfs() {
    let _ = file::mkdir(c"/tmp/hog", 0o755);
    fill(c"/tmp/hog/file");
}

/// A tmpfs larger than memory.
fn unbounded_tmpfs() {
    let _ = file::mkdir(c"/tmp/mnt", 0o755);
    let words = [c"hog", c"/tmp/mnt", c"tmpfs"].map(|word| word.as_ptr() as usize);
    let options = c"size=100G".as_ptr() as usize;
    let args = [words[0], words[1], words[2], 0, options, 0];
    if call(libc::SYS_mount, args).is_ok() {
        fill(c"/tmp/mnt/file");
    }
}

fn memfds() {
    let block = vec![1u8; 65536];
    while let Ok(fd) = call(
        libc::SYS_memfd_create,
        [c"hog".as_ptr() as usize, 0, 0, 0, 0, 0],
    ) {
        for _ in 0..64 {
            if file::write(fd as i32, &block).is_err() {
                return;
            }
        }
    }
}

fn record_locks() {
    let _ = file::mkdir(c"/tmp/hog", 0o755);
    let flags = libc::O_CREAT | libc::O_RDWR;
    let Ok(fd) = file::fd(file::open(c"/tmp/hog/locked", flags, 0o644)) else {
        return;
    };
    for number in 0..4000 {
        // SAFETY: all zeroes is a flock.
        let mut lock: libc::flock = unsafe { core::mem::zeroed() };
        lock.l_type = libc::F_WRLCK as i16;
        lock.l_start = number * 2;
        lock.l_len = 1;
        if file::fcntl(fd, libc::F_SETLK, &raw const lock as usize).is_err() {
            return;
        }
    }
}

/// A thousand with large stacks, and a part of each used.
fn threads() {
    let mut all = Vec::new();
    for _ in 0..1000 {
        let started = std::thread::Builder::new().stack_size(8 << 20).spawn(|| {
            let room = [1u8; 100_000];
            std::hint::black_box(&room);
            let _ = time::sleep_ms(1000);
        });
        match started {
            Ok(thread) => all.push(thread),
            Err(_) => break,
        }
    }
    for thread in all {
        let _ = thread.join();
    }
}

/// As many threads as there can be, for their kernel stacks. They sleep for longer than it takes to make
/// them on any machine: those that left would make room for the next.
fn stacks() {
    let mut all = Vec::new();
    while let Ok(thread) = std::thread::Builder::new()
        .stack_size(16 << 10)
        .spawn(|| time::sleep_ms(600_000))
    {
        all.push(thread);
        if all.len() == 30_000 {
            break;
        }
    }
}
