//! sched_setscheduler(2) and its kin: what they keep, what they refuse, and in which order.
use crate::out::{say, show};
use crate::sys::sched::{
    sched_get_priority_max, sched_get_priority_min, sched_getattr, sched_getparam, sched_getscheduler,
    sched_setattr, sched_setparam, sched_setscheduler,
};
use crate::sys::{child, process};
use std::ffi::CStr;

const RESET: i32 = 0x4000_0000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(policies));
    say!("{}", child::run(attributes));
    say!("{}", child::run(an_ordinary_user));
    0
}

fn policies() -> i32 {
    let mut now = 0;
    for policy in 0..7 {
        show("most", sched_get_priority_max(policy));
        show("least", sched_get_priority_min(policy));
        for priority in [0, 1, 99, 100] {
            show(&format!("{policy} at {priority}"), sched_setscheduler(0, policy, Some(&priority)));
        }
        show("is", sched_getscheduler(0));
        show("at", sched_getparam(0, Some(&mut now)));
        say!("{now}");
    }
    show("negative", sched_setscheduler(0, -1, Some(&0)));
    show("nothing", sched_setscheduler(0, 0, None));
    show("nobody", sched_setscheduler(-1, 0, Some(&0)));
    show("nobody", sched_setscheduler(0x3fff_fff0, 77, Some(&0)));
    show("nobody", sched_getscheduler(-5));
    show("nothing", sched_getparam(0, None));
    show("round robin", sched_setscheduler(0, 2 | RESET, Some(&7)));
    show("is", sched_getscheduler(0));
    show("more", sched_setparam(0, Some(&9)));
    show("none", sched_setparam(0, Some(&0)));
    say!("{}", child::run(|| {
        show("a child's", sched_getscheduler(0));
        0
    }));
    show("kept", sched_setscheduler(0, 2, Some(&9)));
    say!("{}", child::run(|| {
        show("a child's", sched_getscheduler(0));
        0
    }));
    show("back", sched_setscheduler(0, 0, Some(&0)));
    0
}

fn attributes() -> i32 {
    let mut attr = [0u32; 14];
    show("short", sched_getattr(0, &mut attr, 40, 0));
    show("flags", sched_getattr(0, &mut attr, 48, 1));
    show("first", sched_getattr(0, &mut attr, 48, 0));
    say!("{} {} {} {}", attr[0], attr[1], attr[4], attr[5]);
    let set = |words: &[(usize, u32)]| {
        let mut attr = [0u32; 14];
        words.iter().for_each(|(at, word)| attr[*at] = *word);
        sched_setattr(0, &attr, 0)
    };
    show("batch", set(&[(0, 48), (1, 3), (4, 5)]));
    show("is", sched_getscheduler(0));
    show("nice", process::getpriority(libc::PRIO_PROCESS, 0));
    show("fifo", set(&[(0, 48), (1, 1), (5, 3)]));
    show("a negative policy", set(&[(0, 48), (1, u32::MAX)]));
    show("too short", set(&[(0, 24)]));
    show("odd flags", set(&[(0, 48), (2, 0x1000)]));
    show("priority kept", set(&[(0, 48), (1, 1), (2, 0x10)]));
    show("now", sched_getattr(0, &mut attr, 56, 0));
    say!("{} {} {}", attr[0], attr[1], attr[5]);
    show("idle", set(&[(0, 48), (1, 5)]));
    show("is", sched_getscheduler(0));
    0
}

fn an_ordinary_user() -> i32 {
    show("user", process::setuid(1234));
    show("fifo", sched_setscheduler(0, 1, Some(&1)));
    show("a bad one", sched_setscheduler(0, 1, Some(&0)));
    show("batch", sched_setscheduler(0, 3, Some(&0)));
    show("init", sched_setscheduler(1, 0, Some(&0)));
    show("idle", sched_setscheduler(0, 5 | RESET, Some(&0)));
    show("without", sched_setscheduler(0, 5, Some(&0)));
    show("is", sched_getscheduler(0));
    0
}
