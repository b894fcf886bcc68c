//! Calls that hardly anybody makes: their errors, and what they tell.
use crate::out::{say, show};
use crate::sys::{self, Arg, Res, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("setns nowhere", call(libc::SYS_setns, [999, 0, 0, 0]));
    show("setns to a file", call(libc::SYS_setns, [1, 0, 0, 0]));
    show("sysfs option", call(libc::SYS_sysfs, [9, 0, 0, 0]));
    show("sysfs no such kind", call(libc::SYS_sysfs, [1, c"nosuch".arg(), 0, 0]));
    show("sysfs bad name", call(libc::SYS_sysfs, [1, 8, 0, 0]));
    let count = call(libc::SYS_sysfs, [3, 0, 0, 0]).unwrap_or(0);
    show("sysfs beyond", call(libc::SYS_sysfs, [2, count, 0, 0]));
    say!("proc is one: {}", call(libc::SYS_sysfs, [1, c"proc".arg(), 0, 0]).is_ok_and(|at| at < count));
    show("ustat of nothing", call(libc::SYS_ustat, [0xfff_ffff, 0, 0, 0]));
    show("swapon flags", call(libc::SYS_swapon, [c"/nonexistent".arg(), 1 << 30, 0, 0]));
    show("pivot_root", call(libc::SYS_pivot_root, [c"/nonexistent".arg(), c"/".arg(), 0, 0]));
    show("pivot_root to a file", call(libc::SYS_pivot_root, [c"/proc/self/stat".arg(), c"/".arg(), 0, 0]));
    times();
    priorities();
    show("modify_ldt read", call(libc::SYS_modify_ldt, [0, 0, 0, 0]));
    machine();
    quotas();
    let who = process::setuid(65534);
    show("user", who);
    show("vhangup", call(libc::SYS_vhangup, [0; 4]));
    show("swapon", call(libc::SYS_swapon, [c"/".arg(), 0, 0, 0]));
    show("swapoff", call(libc::SYS_swapoff, [c"/".arg(), 0, 0, 0]));
    show("pivot_root", call(libc::SYS_pivot_root, [c"/".arg(), c"/".arg(), 0, 0]));
    let mut timex = [0u64; 26];
    timex[0] = 2;
    show("adjtimex", call(libc::SYS_adjtimex, [timex.as_mut_ptr() as usize, 0, 0, 0]));
    show("ioprio", call(libc::SYS_ioprio_set, [1, 0, 1 << 13, 0]));
    0
}

fn call(number: i64, args: [usize; 4]) -> Res {
    // SAFETY: pointers are null, bad, or to values that outlive the call.
    unsafe { sys::call(number, [args[0], args[1], args[2], args[3], 0, 0]) }
}

/// What would end the machine, were its arguments right, and other questions about it.
fn machine() {
    show("reboot", call(libc::SYS_reboot, [0, 0, 0, 0]));
    show("reboot, half", call(libc::SYS_reboot, [0xFEE1_DEAD, 1, 0, 0]));
    show("reboot, how", call(libc::SYS_reboot, [0xFEE1_DEAD, 672_274_793, 0x1212_1212, 0]));
    show("syslog nowhere", call(libc::SYS_syslog, [3, 0, 10, 0]));
    show("syslog level", call(libc::SYS_syslog, [8, 0, 9, 0]));
    let mut header = [0x2008_0522u32, 0];
    show("capget nowhere", call(libc::SYS_capget, [header.as_mut_ptr() as usize, 0, 0, 0]));
    show("CPUID for all", call(libc::SYS_arch_prctl, [0x1011, 0, 0, 0]));
}

/// quotactl(2) where no quotas are on: `QCMD(command, type)`.
fn quotas() {
    let quotactl = |command: usize, kind: usize, on: &CStr| call(libc::SYS_quotactl, [command << 8 | kind, on.arg(), 0, 8]);
    show("quota of a file", quotactl(0x80_0007, 0, c"/proc/self/stat"));
    show("quota of a character device", quotactl(0x80_0007, 0, c"/dev/null"));
    show("quota of nothing", quotactl(0x80_0007, 0, c"/nonexistent"));
    show("quota of whom", quotactl(0x80_0007, 3, c"/dev/null"));
    show("quota nowhere", call(libc::SYS_quotactl, [0x80_0007 << 8, 0, 0, 8]));
    show("sync of all quotas", call(libc::SYS_quotactl, [0x80_0001 << 8, 0, 0, 0]));
}

fn times() {
    let mut timex = [0u64; 26];
    let at = timex.as_mut_ptr() as usize;
    let state = call(libc::SYS_adjtimex, [at, 0, 0, 0]);
    say!("adjtimex {} tick {} tolerance {}", state.is_ok(), timex[11], timex[8]);
    show("adjtimex nowhere", call(libc::SYS_adjtimex, [8, 0, 0, 0]));
    let mut wrong = [0u64; 26];
    wrong[0] = 0x4000;
    wrong[11] = 8_999;
    show("adjtimex tick", call(libc::SYS_adjtimex, [wrong.as_mut_ptr() as usize, 0, 0, 0]));
    show("clock_adjtime monotonic", call(libc::SYS_clock_adjtime, [1, at, 0, 0]));
    show("clock_adjtime no clock", call(libc::SYS_clock_adjtime, [77, at, 0, 0]));
}

fn priorities() {
    show("set", call(libc::SYS_ioprio_set, [1, 0, 2 << 13 | 6, 0]));
    show("get", call(libc::SYS_ioprio_get, [1, 0, 0, 0]));
    show("class", call(libc::SYS_ioprio_set, [1, 0, 6 << 13, 0]));
    show("best effort with a hint", call(libc::SYS_ioprio_set, [1, 0, 2 << 13 | 8, 0]));
    show("none with a level", call(libc::SYS_ioprio_set, [1, 0, 3, 0]));
    show("whose", call(libc::SYS_ioprio_set, [9, 0, 2 << 13, 0]));
    show("whose?", call(libc::SYS_ioprio_get, [9, 0, 0, 0]));
    show("nobody's", call(libc::SYS_ioprio_get, [1, 1 << 21, 0, 0]));
    show("no group's", call(libc::SYS_ioprio_get, [2, 1 << 21, 0, 0]));
    show("set no group's", call(libc::SYS_ioprio_set, [2, 1 << 21, 2 << 13, 0]));
    show("no user's", call(libc::SYS_ioprio_set, [3, 54321, 2 << 13, 0]));
    show("own group's", call(libc::SYS_ioprio_set, [2, 0, 2 << 13 | 5, 0]));
    show("get", call(libc::SYS_ioprio_get, [1, 0, 0, 0]));
    show("quotas of nothing", call(libc::SYS_quotactl_fd, [99, 0x8000_0700, 0, 0]));
}
