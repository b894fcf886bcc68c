//! What /proc counts: bytes that calls move, children's time and faults, memory by pages; and the directories of what
//! has ended but wasn't waited for.
use crate::out::say;
use crate::sys::{Res, child, file, process};
use std::ffi::{CStr, CString};

fn text(path: &str) -> String {
    let bytes = file::slurp(&CString::new(path).unwrap_or_default()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The numbers of `/proc/PATH/io` before what went to disks.
fn moved(path: &str) -> [u64; 4] {
    let text = text(&format!("/proc/{path}/io"));
    let mut numbers = text.lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok());
    [(); 4].map(|()| numbers.next().unwrap_or(u64::MAX))
}

/// How much they grew by `work`, but for what reading them takes.
fn grown(name: &str, work: impl FnOnce() -> Res) {
    let [first, second] = [(); 2].map(|()| moved("self"));
    let result = work();
    let third = moved("self");
    let reading = second[2] - first[2];
    // What was read is a text of numbers, which may have become longer by some digits.
    let read = (third[0] - second[0]).saturating_sub(second[0] - first[0]);
    say!("{name}: {result:?}, {} read by {}, {} written by {}", read & !7, third[2] - second[2] - reading, third[1] - second[1], third[3] - second[3]);
}

fn names(path: &str) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(path)
        .map(|all| all.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect())
        .unwrap_or_default();
    names.sort();
    names
}

fn field(stat: &str, number: usize) -> u64 {
    let rest = stat.rsplit(')').next().unwrap_or_default();
    rest.split_whitespace().nth(number - 3).and_then(|word| word.parse().ok()).unwrap_or(u64::MAX)
}

fn ended() {
    let pid = child::start(|| 3);
    let _ = process::waitid(libc::P_PID, pid, None, libc::WEXITED | libc::WNOWAIT, None);
    let dir = format!("/proc/{pid}");
    let own = |name: &str| names(&format!("{dir}/{name}")).iter().map(|name| *name == pid.to_string()).collect::<Vec<_>>();
    say!("tasks {:?} files {:?} told {:?}", own("task"), own("fd"), own("fdinfo"));
    say!("score {:?}", text(&format!("{dir}/oom_score")));
    let _ = child::wait(pid);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    grown("nothing", || Ok(0));
    grown("write", || file::write(tx, &[0; 600]));
    grown("read", || file::read(rx, &mut [0; 80]));
    grown("vectors", || file::writev(tx, &[b"12", b"34"]));
    grown("failed", || file::write(tx, &[]).and(file::read(-1, &mut [0])));
    grown("position", || file::pread(rx, &mut [0; 9], 0));
    let busy = child::start(|| {
        let pages = vec![1u8; 1 << 20];
        let mut sum = 0u64;
        while process_ns() < 60_000_000 {
            sum = sum.wrapping_add(pages.iter().map(|byte| u64::from(*byte)).sum());
        }
        i32::from(sum == 0)
    });
    let stat = || text("/proc/self/stat");
    let before = stat();
    let _ = child::wait(busy);
    let after = stat();
    say!("of children: faults {}", field(&after, 11) - field(&before, 11) >= 256);
    say!("of children: ticks {}", field(&after, 16) + field(&after, 17) - field(&before, 16) - field(&before, 17) >= 5);
    ended();
    let vmstat = text("/proc/vmstat");
    for name in ["nr_free_pages", "nr_file_pages", "nr_dirty", "nr_shmem", "pgpgin", "pgpgout", "pswpin", "pgfault", "pgmajfault"] {
        let value = vmstat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        say!("{name} {}", value.is_some_and(|value| value.parse::<u64>().is_ok()));
    }
    let meminfo = text("/proc/meminfo");
    for name in ["MemTotal", "Active", "Inactive(file)", "AnonPages", "VmallocTotal", "HugePages_Free"] {
        let line = meminfo.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')));
        say!("{name} {}", line.is_some_and(|line| line.trim_end_matches(" kB").len() >= 24));
    }
    0
}

/// Processor time of this process.
fn process_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let _ = crate::sys::time::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
