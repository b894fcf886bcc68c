//! Processes, identities, limits, waiting.

use super::{Arg, Res, call, calls};
use std::ffi::CStr;

calls! {
    fn getpid() = SYS_getpid;
    fn gettid() = SYS_gettid;
    fn getppid() = SYS_getppid;
    fn getpgid(pid: i32) = SYS_getpgid;
    fn getpgrp() = SYS_getpgrp;
    fn setpgid(pid: i32, group: i32) = SYS_setpgid;
    fn getsid(pid: i32) = SYS_getsid;
    fn setsid() = SYS_setsid;
    fn unshare(flags: i32) = SYS_unshare;
    fn getuid() = SYS_getuid;
    fn geteuid() = SYS_geteuid;
    fn getgid() = SYS_getgid;
    fn getegid() = SYS_getegid;
    fn setuid(user: u32) = SYS_setuid;
    fn setgid(group: u32) = SYS_setgid;
    fn setreuid(real: u32, effective: u32) = SYS_setreuid;
    fn setresuid(real: u32, effective: u32, saved: u32) = SYS_setresuid;
    fn setresgid(real: u32, effective: u32, saved: u32) = SYS_setresgid;
    fn getresuid(real: &mut u32, effective: &mut u32, saved: &mut u32) = SYS_getresuid;
    fn getresgid(real: &mut u32, effective: &mut u32, saved: &mut u32) = SYS_getresgid;
    fn setfsuid(user: u32) = SYS_setfsuid;
    fn wait4(pid: i32, status: Option<&mut i32>, options: i32, usage: Option<&mut libc::rusage>) = SYS_wait4;
    fn waitid(kind: u32, id: i32, info: Option<&mut libc::siginfo_t>, options: i32, usage: Option<&mut libc::rusage>)
        = SYS_waitid;
    fn sched_yield() = SYS_sched_yield;
    fn getpriority(which: u32, who: i32) = SYS_getpriority;
    fn setpriority(which: u32, who: i32, value: i32) = SYS_setpriority;
    fn prlimit64(pid: i32, resource: u32, new: Option<&libc::rlimit64>, old: Option<&mut libc::rlimit64>)
        = SYS_prlimit64;
    fn getrlimit(resource: u32, out: &mut libc::rlimit64) = SYS_getrlimit;
    fn setrlimit(resource: u32, new: &libc::rlimit64) = SYS_setrlimit;
    fn getrusage(who: i32, out: &mut libc::rusage) = SYS_getrusage;
    fn times(out: &mut libc::tms) = SYS_times;
    fn uname(out: &mut libc::utsname) = SYS_uname;
    fn sysinfo(out: &mut libc::sysinfo) = SYS_sysinfo;
    fn personality(value: u32) = SYS_personality;
    fn prctl(option: i32, a: usize, b: usize, c: usize, d: usize) = SYS_prctl;
    fn set_tid_address(address: Option<&mut i32>) = SYS_set_tid_address;
}

/// Ends the process.
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: doesn't return; no memory is passed.
        let _ = unsafe { call(libc::SYS_exit_group, [code.arg(), 0, 0, 0, 0, 0]) };
    }
}

/// Ends the calling thread only.
pub(crate) fn exit_thread(code: i32) -> ! {
    loop {
        // SAFETY: doesn't return; no memory is passed.
        let _ = unsafe { call(libc::SYS_exit, [code.arg(), 0, 0, 0, 0, 0]) };
    }
}

/// `fork`. Safe in a process of one thread, as all callers are.
pub(crate) fn fork() -> Res {
    // SAFETY: the child is a copy of a single-threaded process.
    unsafe { call(libc::SYS_fork, [0; 6]) }
}

/// `execve`; returns only the error.
pub(crate) fn execve(path: &CStr, args: &[&CStr], env: &[&CStr]) -> Res {
    let argv = pointers(args);
    let envp = pointers(env);
    let regs = [
        path.arg(),
        argv.as_ptr() as usize,
        envp.as_ptr() as usize,
        0,
        0,
        0,
    ];
    // SAFETY: both vectors end with null and point to strings that outlive the call.
    unsafe { call(libc::SYS_execve, regs) }
}

/// `execveat`; returns only the error.
pub(crate) fn execveat(dir: i32, path: &CStr, args: &[&CStr], env: &[&CStr], flags: i32) -> Res {
    let (argv, envp) = (pointers(args), pointers(env));
    let regs = [
        dir.arg(),
        path.arg(),
        argv.as_ptr() as usize,
        envp.as_ptr() as usize,
        flags.arg(),
        0,
    ];
    // SAFETY: as for `execve`.
    unsafe { call(libc::SYS_execveat, regs) }
}

fn pointers(strings: &[&CStr]) -> Vec<usize> {
    strings
        .iter()
        .map(|s| s.as_ptr() as usize)
        .chain([0])
        .collect()
}

/// `getrandom` into a buffer.
pub(crate) fn getrandom(buf: &mut [u8], flags: u32) -> Res {
    let args = [buf.as_mut_ptr() as usize, buf.len(), flags.arg(), 0, 0, 0];
    // SAFETY: the kernel writes at most `buf.len()` bytes.
    unsafe { call(libc::SYS_getrandom, args) }
}

/// `getgroups` into a list; the count alone when it is empty.
pub(crate) fn getgroups(list: &mut [u32]) -> Res {
    let args = [list.len(), list.as_mut_ptr() as usize, 0, 0, 0, 0];
    // SAFETY: the kernel writes at most `list.len()` entries.
    unsafe { call(libc::SYS_getgroups, args) }
}

pub(crate) fn setgroups(list: &[u32]) -> Res {
    let args = [list.len(), list.as_ptr() as usize, 0, 0, 0, 0];
    // SAFETY: the kernel reads `list.len()` entries.
    unsafe { call(libc::SYS_setgroups, args) }
}

/// `struct clone_args` of clone3(2), as of Linux 5.7.
#[repr(C)]
#[derive(Default, Clone, Copy)]
pub(crate) struct CloneArgs {
    pub(crate) flags: u64,
    pub(crate) pidfd: u64,
    pub(crate) child_tid: u64,
    pub(crate) parent_tid: u64,
    pub(crate) exit_signal: u64,
    pub(crate) stack: u64,
    pub(crate) stack_size: u64,
    pub(crate) tls: u64,
    pub(crate) set_tid: u64,
    pub(crate) set_tid_size: u64,
    pub(crate) cgroup: u64,
}
