//! How threads share the CPUs.

use super::calls;

calls! {
    fn sched_getaffinity(pid: i32, len: usize, set: &mut [u64; 128]) = SYS_sched_getaffinity;
    fn sched_setaffinity(pid: i32, len: usize, set: &[u64; 128]) = SYS_sched_setaffinity;
    fn getcpu(cpu: &mut u32, node: Option<&mut u32>, cache: usize) = SYS_getcpu;
    fn sched_get_priority_max(policy: i32) = SYS_sched_get_priority_max;
    fn sched_get_priority_min(policy: i32) = SYS_sched_get_priority_min;
    fn sched_setscheduler(pid: i32, policy: i32, priority: Option<&i32>) = SYS_sched_setscheduler;
    fn sched_getscheduler(pid: i32) = SYS_sched_getscheduler;
    fn sched_setparam(pid: i32, priority: Option<&i32>) = SYS_sched_setparam;
    fn sched_getparam(pid: i32, priority: Option<&mut i32>) = SYS_sched_getparam;
    fn sched_getattr(pid: i32, attr: &mut [u32; 14], size: u32, flags: u32) = SYS_sched_getattr;
    fn sched_setattr(pid: i32, attr: &[u32; 14], flags: u32) = SYS_sched_setattr;
}
