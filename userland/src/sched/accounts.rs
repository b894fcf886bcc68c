//! What `/proc` tells of the CPUs' time: forms, and that it grows.
use crate::out::say;
use crate::sys::{process, task, time};
use std::ffi::CStr;
use std::fs::read_to_string;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let numbers = |path: &str| -> Vec<u64> {
        let text = read_to_string(path).unwrap_or_default();
        text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let before = numbers("/proc/self/schedstat");
    let start = time::now(libc::CLOCK_THREAD_CPUTIME_ID);
    while time::now(libc::CLOCK_THREAD_CPUTIME_ID) < start + 30_000_000 {}
    let mut after = before.clone();
    // A sleep may be over before it began, where the machine itself stands still now and then.
    for _ in 0..100 {
        let _ = time::sleep_ms(5);
        after = numbers("/proc/self/schedstat");
        if after[2] > before[2] {
            break;
        }
    }
    say!("schedstat: {} numbers", after.len());
    say!("it ran: {}", after[0] >= before[0] + 30_000_000);
    say!("it was switched to: {}", after[2] > before[2]);
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let words: Vec<&str> = load.split_whitespace().collect();
    let averages = words.iter().take(3).all(|word| word.len() >= 4 && word.parse::<f32>().is_ok());
    let threads = words.get(3).and_then(|word| word.split_once('/'));
    let counts = threads.map(|(run, all)| (run.parse::<u32>(), all.parse::<u32>()));
    let sound = matches!(counts, Some((Ok(run), Ok(all))) if run >= 1 && run <= all);
    say!("loadavg: {} words, averages {averages}, counts {sound}", words.len());
    let stat = read_to_string("/proc/stat").unwrap_or_default();
    let mut kinds: Vec<&str> = stat.lines().filter_map(|line| line.split_whitespace().next()).collect();
    kinds.retain(|kind| *kind == "cpu" || !kind.starts_with("cpu"));
    kinds.truncate(7);
    say!("stat: {kinds:?}");
    let value = |name: &str| -> u64 {
        let line = stat.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    };
    say!("switches {}, interrupts {}, running {}", value("ctxt") > 0, value("intr") > 0, value("procs_running") >= 1);
    let sched = read_to_string("/proc/self/sched").unwrap_or_default();
    let named = |name: &str| sched.lines().any(|line| line.trim_start().starts_with(name));
    let names = ["se.sum_exec_runtime", "nr_switches", "nr_voluntary_switches", "policy", "prio"];
    say!("sched: {:?}", names.map(named));
    let me = process::getpid().unwrap_or(0) as i32;
    say!("priority {:?} nice {:?} policy {:?}", task::stat(me, 18), task::stat(me, 19), task::stat(me, 41));
    0
}
