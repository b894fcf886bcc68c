//! What [`super::storm`] calls: each call with the kinds of its arguments, the memory and the descriptors that they are
//! taken from, and a generator of numbers.

use super::arena::HERE;
use crate::sys::{self, Errno};

/// Two pages that hold structures and paths, random words most of the time.
const PAGES: usize = 0x2000_0001_0000;
/// Memory that calls map, protect and take away.
const AREA: usize = 0x2000_1000_0000;
const AREA_PAGES: usize = 64;
/// Descriptors are below.
const DESCRIPTORS: usize = 40;

/// Paths that exist, once they are made, and some that don't; the first are the directories' own.
const PATHS: [&str; 16] = [
    ".",
    "f",
    "d",
    "d/f",
    "d/d",
    "l",
    "e",
    "d/l",
    "/proc/self/fd/3",
    "/proc/self/maps",
    "/proc/self",
    "/dev/null",
    "/dev/zero",
    "/tmp",
    "..",
    "/dev/ptmx",
];

/// Each call's number and its arguments' kinds: `f` a descriptor, `d` a directory's descriptor, `s` a path, `p` a
/// pointer to a structure, `a` an address in the area, `l` a length in it, `m` protection or mode bits, `n` a small number, `b` a count
/// of bytes, `o` an offset, `g` flags, `t` a process, `S` a signal, `w` any number, `z` zero.
const CALLS: &[(i64, &str)] = &[
    (libc::SYS_read, "fpb"),
    (libc::SYS_write, "fpb"),
    (libc::SYS_pread64, "fpbo"),
    (libc::SYS_pwrite64, "fpbo"),
    (libc::SYS_readv, "fpn"),
    (libc::SYS_writev, "fpn"),
    (libc::SYS_preadv2, "fpnozg"),
    (libc::SYS_pwritev2, "fpnozg"),
    (libc::SYS_openat, "dsgm"),
    (libc::SYS_openat, "dsgm"),
    (libc::SYS_openat2, "dspn"),
    (libc::SYS_close, "f"),
    (libc::SYS_close_range, "ffg"),
    (libc::SYS_dup, "f"),
    (libc::SYS_dup3, "ffg"),
    (libc::SYS_fcntl, "fnw"),
    (libc::SYS_fcntl, "fnp"),
    (libc::SYS_ioctl, "fip"),
    (libc::SYS_lseek, "fon"),
    (libc::SYS_fstat, "fp"),
    (libc::SYS_newfstatat, "dspg"),
    (libc::SYS_statx, "dsgwp"),
    (libc::SYS_statfs, "sp"),
    (libc::SYS_getdents64, "fpb"),
    (libc::SYS_ftruncate, "fo"),
    (libc::SYS_truncate, "so"),
    (libc::SYS_fallocate, "fgoo"),
    (libc::SYS_fsync, "f"),
    (libc::SYS_fadvise64, "foon"),
    (libc::SYS_sync_file_range, "foog"),
    (libc::SYS_flock, "fn"),
    (libc::SYS_mkdirat, "dsm"),
    (libc::SYS_mknodat, "dsmn"),
    (libc::SYS_unlinkat, "dsg"),
    (libc::SYS_renameat2, "dsdsg"),
    (libc::SYS_linkat, "dsdsg"),
    (libc::SYS_symlinkat, "sds"),
    (libc::SYS_readlinkat, "dspb"),
    (libc::SYS_fchmodat, "dsm"),
    (libc::SYS_fchownat, "dsnng"),
    (libc::SYS_utimensat, "dspg"),
    (libc::SYS_faccessat2, "dsmg"),
    (libc::SYS_setxattr, "sspbg"),
    (libc::SYS_getxattr, "sspb"),
    (libc::SYS_listxattr, "spb"),
    (libc::SYS_copy_file_range, "fpfpbz"),
    (libc::SYS_sendfile, "ffpb"),
    (libc::SYS_splice, "fzfzbg"),
    (libc::SYS_tee, "ffbg"),
    (libc::SYS_vmsplice, "fpng"),
    (libc::SYS_chdir, "s"),
    (libc::SYS_fchdir, "f"),
    (libc::SYS_getcwd, "pb"),
    (libc::SYS_umask, "m"),
    (libc::SYS_mmap, "almMfo"),
    (libc::SYS_mmap, "almMfz"),
    (libc::SYS_munmap, "al"),
    (libc::SYS_mprotect, "alm"),
    (libc::SYS_mremap, "allna"),
    (libc::SYS_madvise, "aln"),
    (libc::SYS_mlock2, "aln"),
    (libc::SYS_munlock, "al"),
    (libc::SYS_mlockall, "n"),
    (libc::SYS_munlockall, ""),
    (libc::SYS_msync, "aln"),
    (libc::SYS_mincore, "alp"),
    (libc::SYS_brk, "w"),
    (libc::SYS_mbind, "alnpnn"),
    (libc::SYS_process_vm_readv, "tpnpnz"),
    (libc::SYS_process_vm_writev, "tpnpnz"),
    (libc::SYS_pipe2, "pg"),
    (libc::SYS_eventfd2, "ng"),
    (libc::SYS_epoll_create1, "z"),
    (libc::SYS_epoll_ctl, "fnfp"),
    (libc::SYS_epoll_pwait, "fpnnz"),
    (libc::SYS_poll, "pnn"),
    (libc::SYS_ppoll, "pnpz"),
    (libc::SYS_pselect6, "npppp"),
    (libc::SYS_timerfd_create, "ng"),
    (libc::SYS_timerfd_settime, "fnpp"),
    (libc::SYS_signalfd4, "fpng"),
    (libc::SYS_inotify_init1, "g"),
    (libc::SYS_inotify_add_watch, "fsw"),
    (libc::SYS_inotify_rm_watch, "fn"),
    (libc::SYS_memfd_create, "sn"),
    (libc::SYS_socket, "nnz"),
    (libc::SYS_socketpair, "nnzp"),
    (libc::SYS_bind, "fpb"),
    (libc::SYS_connect, "fpb"),
    (libc::SYS_listen, "fn"),
    (libc::SYS_accept4, "fppg"),
    (libc::SYS_sendto, "fpbgpb"),
    (libc::SYS_recvfrom, "fpbgpp"),
    (libc::SYS_sendmsg, "fpg"),
    (libc::SYS_recvmsg, "fpg"),
    (libc::SYS_sendmmsg, "fpng"),
    (libc::SYS_recvmmsg, "fpngp"),
    (libc::SYS_shutdown, "fn"),
    (libc::SYS_getsockopt, "fnnpp"),
    (libc::SYS_setsockopt, "fnnpb"),
    (libc::SYS_getsockname, "fpp"),
    (libc::SYS_futex, "pnnppn"),
    (libc::SYS_futex, "annpan"),
    (libc::SYS_clone, "czppz"),
    (libc::SYS_fork, ""),
    (libc::SYS_clone3, "pb"),
    (libc::SYS_wait4, "tpnp"),
    (libc::SYS_waitid, "ntpnp"),
    (libc::SYS_kill, "tS"),
    (libc::SYS_tgkill, "ttS"),
    (libc::SYS_rt_sigprocmask, "nppe"),
    (libc::SYS_rt_sigtimedwait, "pppe"),
    (libc::SYS_sigaltstack, "pp"),
    (libc::SYS_timer_create, "npp"),
    (libc::SYS_timer_settime, "nnpp"),
    (libc::SYS_timer_delete, "n"),
    (libc::SYS_setitimer, "npp"),
    (libc::SYS_nanosleep, "pp"),
    (libc::SYS_sched_yield, ""),
    (libc::SYS_sched_setaffinity, "tnp"),
    (libc::SYS_sched_setscheduler, "tnp"),
    (libc::SYS_sched_setattr, "tpz"),
    (libc::SYS_setpriority, "ntn"),
    (libc::SYS_getrusage, "np"),
    (libc::SYS_prlimit64, "tnpp"),
    (libc::SYS_prctl, "nwwww"),
    (libc::SYS_setpgid, "tt"),
    (libc::SYS_setsid, ""),
    (libc::SYS_ptrace, "nttw"),
    (libc::SYS_ptrace, "ntpp"),
    (libc::SYS_ptrace, "PtwS"),
    (libc::SYS_shmget, "nlM"),
    (libc::SYS_shmat, "nan"),
    (libc::SYS_shmdt, "a"),
    (libc::SYS_shmctl, "nnp"),
    (libc::SYS_msgget, "nM"),
    (libc::SYS_msgsnd, "npbg"),
    (libc::SYS_msgrcv, "npbng"),
    (libc::SYS_semget, "nnM"),
    (libc::SYS_semop, "npn"),
    (libc::SYS_semctl, "nnnp"),
    (libc::SYS_mq_open, "sgmp"),
    (libc::SYS_mq_timedsend, "fpbnz"),
    (libc::SYS_mq_timedreceive, "fpbpz"),
    (libc::SYS_mq_notify, "fp"),
    (libc::SYS_io_setup, "np"),
    (libc::SYS_io_submit, "wnp"),
    (libc::SYS_unshare, "c"),
    (libc::SYS_pidfd_open, "tz"),
    (libc::SYS_pidfd_send_signal, "fSpz"),
    (libc::SYS_pidfd_getfd, "ffz"),
    (libc::SYS_membarrier, "gzz"),
    (libc::SYS_rseq, "pbgw"),
    (libc::SYS_set_robust_list, "pb"),
    (libc::SYS_kcmp, "ttnff"),
    (libc::SYS_execveat, "dsppg"),
    (libc::SYS_mount, "ssspp"),
    (libc::SYS_umount2, "sn"),
    (libc::SYS_chroot, "s"),
    (libc::SYS_open_tree, "dsg"),
    (libc::SYS_move_mount, "dsdsg"),
    (libc::SYS_fsopen, "sn"),
    (libc::SYS_setns, "fg"),
    (libc::SYS_seccomp, "nnp"),
    (libc::SYS_modify_ldt, "npb"),
];

/// ioctl(2) requests whose argument is a pointer or nothing: of terminals, files, sockets and block devices.
const REQUESTS: [usize; 16] = [
    0x5401, 0x5402, 0x5413, 0x5414, 0x540E, 0x5410, 0x541B, 0x5421, 0x5430, 0x5431, 0x5422, 0x8912,
    0x8913, 0x1260, 0x6601, 0x660B,
];

/// Maps the pages and the area.
pub(super) fn map() -> Result<(), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    for (addr, len) in [(PAGES, 2 * 4096), (AREA, AREA_PAGES * 4096)] {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: nothing of this program's is there: it chose these addresses because they are free.
        unsafe {
            sys::call(
                libc::SYS_mmap,
                [addr, len, prot as usize, flags as usize, usize::MAX, 0],
            )
        }?;
    }
    Ok(())
}

/// One descriptor of each of many kinds, beside those that a worker has.
pub(super) fn open_more() {
    let calls: [(i64, [usize; 6]); 12] = [
        (libc::SYS_timerfd_create, [1, 0, 0, 0, 0, 0]),
        (libc::SYS_inotify_init1, [0; 6]),
        (
            libc::SYS_memfd_create,
            [c"m".as_ptr() as usize, 2, 0, 0, 0, 0],
        ),
        (libc::SYS_socket, [1, 1, 0, 0, 0, 0]),
        (libc::SYS_socket, [2, 1, 0, 0, 0, 0]),
        (libc::SYS_socket, [10, 2, 0, 0, 0, 0]),
        (libc::SYS_socketpair, [1, 5, 0, PAGES, 0, 0]),
        (
            libc::SYS_openat,
            [HERE, c"/dev/ptmx".as_ptr() as usize, 2, 0, 0, 0],
        ),
        (
            libc::SYS_openat,
            [HERE, c"/dev/zero".as_ptr() as usize, 2, 0, 0, 0],
        ),
        (
            libc::SYS_openat,
            [HERE, c"/proc/self/mem".as_ptr() as usize, 2, 0, 0, 0],
        ),
        (
            libc::SYS_pidfd_open,
            [std::process::id() as usize, 0, 0, 0, 0, 0],
        ),
        (libc::SYS_socket, [16, 3, 0, 0, 0, 0]),
    ];
    for (number, args) in calls {
        // SAFETY: makes descriptors, and writes at most two numbers to the page.
        let _ = unsafe { sys::call(number, args) };
    }
}

/// xorshift64*.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) as usize
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.next() % bound
    }

    /// A call and its arguments. With rights nothing is sent to everybody.
    pub(super) fn call(&mut self, privileged: bool) -> (i64, [usize; 6]) {
        if self.below(4) == 0 {
            self.fill();
        }
        let (number, kinds) = CALLS[self.below(CALLS.len())];
        let mut args = [0; 6];
        for (arg, kind) in args.iter_mut().zip(kinds.bytes()) {
            *arg = self.argument(kind, privileged);
        }
        (number, args)
    }

    /// Random words in the structures, and a path in the second page.
    fn fill(&mut self) {
        for at in 0..16 {
            let place = PAGES + (self.below(64) + 8 * at) * 8 % 4096;
            let kind = b"aapflnzwo"[self.below(9)];
            let word = self.argument(kind, true);
            // SAFETY: in this process's own page; when a call took it away it dies of it, as it may.
            unsafe { (place as *mut usize).write_volatile(word) };
        }
    }

    fn path(&mut self) -> usize {
        let path = PATHS[self.below(PATHS.len())];
        let place = PAGES + 4096 + self.below(64) * 32;
        for (at, byte) in path.bytes().chain([0]).enumerate() {
            // SAFETY: as in `fill`.
            unsafe { ((place + at) as *mut u8).write_volatile(byte) };
        }
        place
    }

    fn argument(&mut self, kind: u8, privileged: bool) -> usize {
        match kind {
            b'f' => self.below(DESCRIPTORS),
            b'd' => [HERE, 2, self.below(DESCRIPTORS)][self.below(3)],
            b's' => self.path(),
            b'p' => [
                0,
                PAGES + self.below(512) * 8,
                PAGES + self.below(128) * 8,
                AREA + self.below(AREA_PAGES * 4096),
            ][self.below(4)],
            b'a' => AREA + self.below(AREA_PAGES) * 4096,
            b'l' => (1 + self.below(16)) * 4096,
            b'm' => self.below(8) * [1, 8, 64, 73][self.below(4)],
            b'M' => [0x22, 0x32, 0x12, 0x11, 0x21, 0x8022, 0x8032, 0x4032, 0x3A4][self.below(9)],
            b'b' => [0, 1, self.below(64), self.below(8192), 1 << 20][self.below(5)],
            b'o' => [
                self.below(1 << 16),
                self.below(16) * 4096,
                1 << self.below(40),
            ][self.below(3)],
            b'g' => [
                0,
                1 << self.below(24),
                (1 << self.below(24)) | self.below(4),
            ][self.below(3)],
            b'c' => (1 << self.below(32)) | (1 << self.below(32)) | 17,
            b't' if privileged => std::process::id() as usize + self.below(4),
            b't' => [0, usize::MAX, std::process::id() as usize + self.below(4)][self.below(3)],
            b'S' => [0, 10, 17, 18, 19, 20, 34, 23][self.below(8)],
            b'P' => [16, 0x4206, 0x4207, 17, 7, 24][self.below(6)],
            b'i' => REQUESTS[self.below(REQUESTS.len())],
            b'e' => 8,
            b'n' => self.below(40),
            b'w' => self.next(),
            _ => 0,
        }
    }
}
