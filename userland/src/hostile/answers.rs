//! The answers to hostile calls, as an ordinary user: for each number what they are by groups of
//! calls, and a digest of what a seeded mix of arguments answers.
use super::arena::{self, CLOSED, HERE, OPEN, PAGE, PATH, UNMAPPED, VALUES};
use super::worker::{self, Call};
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys;
use std::ffi::CStr;

/// Numbers from which on there are no calls.
const LAST: usize = 471;

pub(crate) fn run(args: &[&CStr]) -> i32 {
    let wanted = args.first().and_then(|arg| arg.to_str().ok()?.parse::<usize>().ok());
    let dir = Scratch::enter();
    // What the calls make of System V's objects goes away with the namespace, where there is one.
    // SAFETY: touches no memory.
    let _ = unsafe { sys::call(libc::SYS_unshare, [libc::CLONE_NEWIPC as usize, 0, 0, 0, 0, 0]) };
    if let Err(errno) = arena::map() {
        say!("arena: {errno}");
        return 1;
    }
    for number in (0..1024).filter(|number| wanted.is_none_or(|wanted| wanted == *number)) {
        if is_left_out(number) {
            continue;
        }
        for (group, calls) in groups(number) {
            fresh(&dir);
            let answers = worker::run(&calls, false);
            say!("{number} {group}: {}", answers.join(" "));
        }
    }
    0
}

/// Calls that end the caller or take their arguments from its stack: other behaviours have them.
fn is_left_out(number: usize) -> bool {
    let out = [libc::SYS_rt_sigreturn, libc::SYS_vfork, libc::SYS_exit, libc::SYS_exit_group];
    out.contains(&(number as i64))
}

/// An empty directory that the worker may write to.
fn fresh(dir: &Scratch) {
    let path = dir.path();
    let _ = sys::file::chdir(c"/");
    let _ = std::fs::remove_dir_all(path);
    let name = std::ffi::CString::new(path).unwrap_or_default();
    let _ = sys::file::mkdir(&name, 0o755);
    let _ = sys::file::chown(&name, worker::user(), worker::user());
    let _ = sys::file::chdir(&name);
}

fn groups(number: usize) -> Vec<(&'static str, Vec<Call>)> {
    let call = |args| Call { number, args };
    let same = VALUES.map(|v| call([v; 6])).to_vec();
    if number >= LAST {
        return vec![("same", same)];
    }
    let few = [0, 1, UNMAPPED, usize::MAX, PAGE];
    let mut descriptors = Vec::new();
    for fd in OPEN.chain([CLOSED]) {
        descriptors.extend(few.map(|v| call([fd, v, v, v, v, v])));
    }
    let mut paths = Vec::new();
    for v in few {
        paths.push(call([PATH, v, v, v, v, v]));
        paths.push(call([HERE, PATH, v, v, v, v]));
        paths.push(call([HERE, PATH, HERE, v, v, v]));
        paths.push(call([v, PATH, v, v, v, v]));
    }
    let mut commands = Vec::new();
    for command in 0..18 {
        // F_SETOWN's argument is a PID: the lower half of the address, which is there or not.
        let is_pid = number as i64 == libc::SYS_fcntl && command as i32 == libc::F_SETOWN;
        let value = if is_pid { 0 } else { UNMAPPED };
        commands.extend([0, value, PAGE].map(|v| call([0, command, v, v, 0, 0])));
        commands.extend([0, UNMAPPED, PAGE].map(|v| call([command, v, v, 0, 0, 0])));
    }
    let all = [
        ("same", same),
        ("descriptors", descriptors),
        ("paths", paths),
        ("commands", commands),
    ];
    let told = |group: &str| !UNTOLD.iter().any(|(n, g)| *n as usize == number && g.contains(&group));
    all.into_iter().filter(|(group, _)| told(group)).collect()
}

const SMALL: &[&str] = &["descriptors", "commands"];
const ALL: &[&str] = &["same", "descriptors", "paths", "commands"];
/// Groups whose answers are the machine's or the version's own.
const UNTOLD: &[(i64, &[&str])] = &[
    // Arguments are PIDs here (addresses by their lower halves), and which of them there are is
    // each machine's own.
    (libc::SYS_kill, ALL),
    (libc::SYS_setpgid, ALL),
    (libc::SYS_getpgid, ALL),
    (libc::SYS_getsid, ALL),
    (libc::SYS_getpriority, ALL),
    (libc::SYS_setpriority, ALL),
    (libc::SYS_sched_setparam, ALL),
    (libc::SYS_sched_getparam, ALL),
    (libc::SYS_sched_setscheduler, ALL),
    (libc::SYS_sched_getscheduler, ALL),
    (libc::SYS_sched_rr_get_interval, ALL),
    (libc::SYS_sched_setattr, ALL),
    (libc::SYS_sched_getattr, ALL),
    (libc::SYS_rt_sigqueueinfo, ALL),
    (libc::SYS_rt_tgsigqueueinfo, ALL),
    (libc::SYS_tkill, ALL),
    (libc::SYS_tgkill, ALL),
    (libc::SYS_ptrace, ALL),
    (libc::SYS_ioprio_set, ALL),
    (libc::SYS_ioprio_get, ALL),
    (libc::SYS_get_robust_list, ALL),
    (libc::SYS_migrate_pages, ALL),
    (libc::SYS_move_pages, ALL),
    (libc::SYS_prlimit64, ALL),
    (libc::SYS_process_vm_readv, ALL),
    (libc::SYS_process_vm_writev, ALL),
    (libc::SYS_kcmp, ALL),
    (libc::SYS_pidfd_open, ALL),
    // The directory's name has another length.
    (libc::SYS_getcwd, &["commands"]),
    // Commands of fsconfig, SCHED_EXT, pidfd_send_signal's scopes and descriptors of the current directory came after Linux 6.1.
    (libc::SYS_sched_get_priority_max, SMALL),
    (libc::SYS_sched_get_priority_min, SMALL),
    (libc::SYS_pidfd_send_signal, ALL),
    (libc::SYS_fsconfig, &["commands"]),
    (libc::SYS_fsetxattr, &["paths"]),
    (libc::SYS_fgetxattr, &["paths"]),
    (libc::SYS_flistxattr, &["paths"]),
    (libc::SYS_fremovexattr, &["paths"]),
    // A limit of processor time ends whoever set it, sooner or later.
    (libc::SYS_setrlimit, SMALL),
    // How much is copied, how large a file may be, who is asked first: each file system's own.
    (libc::SYS_sendfile, ALL),
    (libc::SYS_fallocate, ALL),
    (libc::SYS_lseek, ALL),
    (libc::SYS_mount, ALL),
    (libc::SYS_select, &["same"]),
    // How much memory there is, and how many processors.
    (libc::SYS_io_uring_setup, ALL),
    (libc::SYS_sched_getaffinity, ALL),
    (libc::SYS_sched_setaffinity, ALL),
    // Which file systems and devices there are, which of them have quotas, and whether the kernel was built with LDTs.
    (libc::SYS_ustat, ALL),
    (libc::SYS_quotactl_fd, ALL),
    (libc::SYS_sysfs, ALL),
    (libc::SYS_modify_ldt, ALL),
    // Whether the processor has protection keys.
    (libc::SYS_pkey_alloc, ALL),
    (libc::SYS_pkey_mprotect, ALL),
    (libc::SYS_pkey_free, ALL),
    // The alarm clocks need a real-time clock, which not every machine has.
    (libc::SYS_clock_gettime, &["commands"]),
    (libc::SYS_clock_getres, &["commands"]),
    (libc::SYS_clock_nanosleep, &["commands"]),
    // Words that are not there: Linux faults before it knows that nobody waits on them.
    (libc::SYS_futex, SMALL),
    // Its end sends the parent whatever signal the flags say, at some time.
    (libc::SYS_clone, ALL),
];
