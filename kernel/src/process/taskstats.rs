//! `struct taskstats` (linux/taskstats.h): what a task has used, or a process. What isn't counted, delays but for
//! those on the way to a CPU, and bytes read and written, is 0.

use alloc::sync::Arc;

use kiln_core::net::netlink::generic::{STATS_WORDS, TaskStats};

use super::group::Process;
use super::task::Task;
use super::{table, usage};
use crate::arch::time::now_ns;
use crate::fs::clock;

/// The version whose layout it has.
const VERSION: u64 = 13;
/// `ac_flag` of a task that hasn't run another program since it was made (`AFORK`).
const FORKED: u64 = 1;
/// Where the name begins, in words.
const NAME: usize = 10;

/// What a task has used, by its number, or a process (`whole`).
pub(crate) fn stats_of(id: u32, whole: bool) -> Option<TaskStats> {
    let mut stats = [0; STATS_WORDS];
    put(&mut stats, &[(0, VERSION)]);
    if whole {
        of_process(&table::process_of(id)?, &mut stats);
    } else {
        let task = table::task(id)?;
        of_task(&task, &mut stats);
    }
    Some(stats)
}

/// Puts words in their places.
fn put(stats: &mut TaskStats, words: &[(usize, u64)]) {
    for (at, word) in words {
        if let Some(to) = stats.get_mut(*at) {
            *to = *word;
        }
    }
}

const fn us(ns: u64) -> u64 {
    ns / 1000
}

/// Processor time and switches: what a process is told of as well.
fn put_usage(stats: &mut TaskStats, used: &usage::Usage, elapsed: u64) {
    let words = [
        (8, used.total_ns()),
        (9, used.total_ns()),
        (18, us(elapsed)),
        (19, us(used.user_ns)),
        (20, us(used.system_ns)),
        (34, used.voluntary),
        (35, used.involuntary),
        (36, us(used.user_ns)),
        (37, us(used.system_ns)),
        (38, used.total_ns()),
    ];
    put(stats, &words);
}

fn of_process(process: &Arc<Process>, stats: &mut TaskStats) {
    let elapsed = now_ns() - process.started;
    put_usage(stats, &usage::of_process(process), elapsed);
}

fn of_task(task: &Task, stats: &mut TaskStats) {
    let process = task.process();
    let creds = task.creds();
    let elapsed = now_ns() - process.started;
    let began = (clock::boot_time() + process.started) / 1_000_000_000;
    put_usage(stats, &usage::of_task(task), elapsed);
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let words = [
        (14, u64::from(task.policy().policy)),
        (15, pair(creds.uids.real, creds.gids.real)),
        (16, pair(task.tid(), process.parent())),
        (17, began & u64::from(u32::MAX)),
        (43, began),
        (46, u64::from(process.pid())),
        (47, us(elapsed)),
    ];
    put(stats, &words);
    if let Some(thread) = task.thread() {
        let (waited, turns) = thread.turns();
        let nice = u64::from(thread.nice().cast_unsigned());
        let flag = FORKED * u64::from(!table::tree().lock().has_executed(process.pid()));
        put(stats, &[(1, flag | nice << 8), (2, turns), (3, waited)]);
    }
    if let Ok(space) = task.space() {
        let (minor, major) = space.fault_counts();
        let sizes = space.sizes();
        let (most, peak) = (sizes.most_resident / 1024, sizes.peak / 1024);
        put(stats, &[(21, minor), (22, major), (25, most), (26, peak)]);
    }
    if let Some(exe) = process.exe() {
        let inode = exe.inode();
        put(stats, &[(48, inode.sb().dev().encode()), (49, inode.ino())]);
    }
    for (at, part) in (NAME..).zip(task.comm().as_chunks::<8>().0) {
        put(stats, &[(at, u64::from_le_bytes(*part))]);
    }
}
