//! Memory that ends: whatever a program takes until there is none, the VM goes on, and all of it
//! comes back.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::userland;
use crate::testing::{Case, Job, Scratch};

/// What is taken, by the names of `behave --helper hog`.
const HOGS: [&str; 21] = [
    "touch",
    "fork",
    "pipe",
    "socket",
    "datagram",
    "tables",
    "zeroes",
    "areas",
    "inode",
    "dentry",
    "epoll",
    "eventfd",
    "timer",
    "queue",
    "descriptors",
    "tmpfs",
    "unbounded",
    "memfd",
    "lock",
    "thread",
    "stacks",
];

/// Those that take more than a few seconds where an emulator runs them.
const SLOW: [&str; 6] = ["fork", "areas", "dentry", "inode", "timer", "queue"];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("memory::rights_end_on_two_cpus", || {
            on_two_cpus(
                "memory/stale_rights",
                "one page: faults 20\nforty pages: faults 40\nforks kept apart: 20\n",
            )
        }),
        Case::new("memory::copies_appear_on_two_cpus", || {
            on_two_cpus(
                "memory/cow_threads",
                "changes seen: 5\nchildren whose page stood still: 10\n",
            )
        }),
    ];
    cases.push(Case::new("memory::promises_are_counted", promises));
    for cpus in ["1", "2"] {
        for name in ["common_tables", "table_storm"] {
            let title = format!("memory::large_pages_{name}_on_{cpus}_cpus");
            cases.push(Case::new(&title, move || large_pages(name, cpus)));
        }
    }
    cases.push(Case::new(
        "memory::large_pages_come_and_go",
        large_pages_are_used,
    ));
    cases.push(Case::new(
        "memory::a_file_twice_as_large",
        file_larger_than_memory,
    ));
    cases.push(Case::new("memory::none_is_lost", || none_is_lost(200, 40)));
    cases.push(
        Case::new("memory::none_is_lost_in_the_long_run", || {
            none_is_lost(10_000, 1000)
        })
        .long(),
    );
    cases.push(Case::new("memory::some_charges_fail", || charges_fail(29)));
    cases.push(Case::new("memory::every_charge_fails", || charges_fail(1)).long());
    for kind in HOGS {
        for memory in ["32M", "64M", "256M"] {
            let name = format!("memory::{kind}_ends_at_{memory}");
            let case = Case::new(&name, move || hog(kind, memory));
            let quick = memory == "64M" && !SLOW.contains(&kind);
            cases.push(if quick { case } else { case.long() });
        }
    }
    cases
}

/// A machine with so much memory that large areas get pages of 2 MiB.
const LARGE: &str = "768M";

/// What a program does to its memory shows the same there as on the host.
fn large_pages(name: &str, cpus: &str) -> Result<()> {
    let root = userland::root_dir()?;
    let name = format!("memory/{name}");
    let mut host = std::process::Command::new(root.join("behave"));
    host.arg(&name);
    let wanted = Job::of(host).run()?;
    let options = ["--memory", LARGE, "--cpus", cpus, "--root"].map(OsString::from);
    let words = ["--", "/behave", &name].map(OsString::from);
    let all = options
        .into_iter()
        .chain([root.into_os_string()])
        .chain(words);
    let got = Job::new(all).run()?;
    ensure!(
        got.status() == wanted.status() && got.out() == wanted.out(),
        "{}",
        got.shown()
    );
    Ok(())
}

/// Large areas have large pages, a change of a part makes small ones of one of them, and in a machine
/// with little memory there are none.
fn large_pages_are_used() -> Result<()> {
    let run = |memory: &str| -> Result<String> {
        let root = userland::root_dir()?.into_os_string();
        let options = ["--memory", memory, "--root"].map(OsString::from);
        let words = ["--", "/behave", "--helper", "large"].map(OsString::from);
        let all = options.into_iter().chain([root]).chain(words);
        Ok(Job::new(all).run()?.has_status(0)?.out())
    };
    let (large, small) = (run(LARGE)?, run("128M")?);
    let wanted = "written: 8192 kB\na page dropped: 6144 kB\nrights of another: 4096 kB\n\
                  a child's, before: 4096 kB\na child's, written: 2048 kB\nafter all: 4096 kB\n";
    ensure!(large == wanted, "{large}");
    ensure!(
        small.lines().all(|line| line.ends_with(": 0 kB")),
        "{small}"
    );
    Ok(())
}

/// A program writes more to a disk than there is memory, and reads it back.
fn file_larger_than_memory() -> Result<()> {
    let scratch = Scratch::new("larger")?;
    let out = scratch.path("out");
    // As many copies of a program as make 64 MiB, and what they sum up to on their way and on the disk.
    let script = "n=$((67108864 / $(wc -c < /bin/busybox) + 1)); i=0; \
        a=$(while [ $i -lt $n ]; do cat /bin/busybox; i=$((i+1)); done | tee /out/copies | md5sum); \
        b=$(md5sum < /out/copies); [ \"$a\" = \"$b\" ] && echo $n";
    let options = ["--memory", "32M", "--out"].map(OsString::from);
    let words = ["--", "sh", "-c", script].map(OsString::from);
    let all = options
        .into_iter()
        .chain([out.clone().into_os_string()])
        .chain(words);
    let got = Job::new(all).deadline(Duration::from_secs(120)).run()?;
    let copies: usize = got.out().trim().parse().with_context(|| got.shown())?;
    let program = std::fs::read(crate::recipe::program("busybox")?)?;
    let written = std::fs::read(out.join("copies")).context("no file")?;
    ensure!(written.len() == copies * program.len(), "{}", written.len());
    ensure!(
        written.chunks(program.len()).all(|part| part == program),
        "what was written isn't what came out"
    );
    Ok(())
}

/// What a program may ask for under each `overcommit_memory`, in a VM of 256 MiB.
fn promises() -> Result<()> {
    let script =
        "asked() { dd if=/dev/zero of=/dev/null bs=$1 count=1 2>/dev/null && echo yes || echo no; }
        cd /proc/sys/vm; asked 300M; asked 60M; echo 2 > overcommit_memory; asked 160M; asked 60M
        echo 80 > overcommit_ratio; asked 160M; cat overcommit_ratio; echo 1 > overcommit_memory
        asked 60M; echo 3 > overcommit_memory; cat overcommit_memory";
    let got = Job::sh_with(["--memory", "256M"], script).run()?;
    ensure!(
        got.out() == "no\nyes\nno\nyes\nyes\n80\nyes\n1\n",
        "{}",
        got.shown()
    );
    Ok(())
}

/// Memory is what it was before many processes, pipes and mounts, once process numbers have come round: what isn't free is
/// the heap's, which hasn't grown by what a few bytes of each round would be, or the few stacks that are kept. A frame
/// of every thirtieth round would be too much.
fn none_is_lost(forks: u32, rounds: u32) -> Result<()> {
    let script = format!(
        "free() {{ echo 3 > /proc/sys/vm/drop_caches; while read k v u; do case $k in
           MemFree:) F=$v;; Slab:) S=$v;; KernelStack:) K=$v;; esac; done < /proc/meminfo; F=$((F + S + K)); }}
         forks() {{ i=0; while [ $i -lt $1 ]; do /bin/busybox true; i=$((i+1)); done; }}
         mix() {{ i=0; while [ $i -lt $1 ]; do mount -t tmpfs t /mnt; seq 100 > /mnt/f;
           sort -rn /mnt/f | head -1 > /mnt/g; cat /mnt/f /mnt/g | wc -l > /dev/null;
           (sleep 0 & wait); umount /mnt; i=$((i+1)); done; }}
         echo 400 > /proc/sys/kernel/pid_max
         forks 150; mix 20; free; a=$F s=$S
         forks {forks}; free; b=$F
         mix {rounds}; free; echo $((a - b)) $((b - F)) $((S - s)) $K"
    );
    let got = Job::sh(&script).deadline(Duration::from_secs(1200)).run()?;
    let out = got.out();
    let numbers: Vec<i64> = out
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    ensure!(
        matches!(numbers[..], [forks, rest, heap, stacks] if forks < 32 && rest < 128 && heap < 64 && stacks < 512),
        "KiB lost by forks, by the rest, and to the heap, and those of stacks: {}",
        got.shown()
    );
    Ok(())
}

/// A job that uses a little of everything.
const JOB: &str = "echo a | cat; mkdir /tmp/x; echo hi > /tmp/x/f; ln -s f /tmp/x/g; cat /tmp/x/g; \
    mount -t tmpfs t /mnt && umount /mnt; trap 'echo usr' USR1; kill -USR1 $$; (sleep 0 & wait); \
    rm -r /tmp/x; echo end";

/// The Nth charge of kernel memory fails, for each `step`th N, until the job has no more of them:
/// it may end as it likes, but neither panic nor hang.
fn charges_fail(step: usize) -> Result<()> {
    let mut unharmed = 0;
    for nth in (1..).step_by(step) {
        let fail = format!("failcharge={nth}");
        let options = ["--append", &fail, "--timeout", "20"];
        let got = Job::sh_with(options, JOB).run()?;
        let fine = match got.status() {
            124 => false,
            125 => got.err().contains("can't run this job"),
            _ => true,
        };
        ensure!(fine, "charge {nth}: {}", got.shown());
        let whole = got.status() == 0 && got.out() == "a\nhi\nusr\nend\n";
        unharmed = if whole { unharmed + 1 } else { 0 };
        // Some charges can fail without harm, but not so many in a row.
        if unharmed > 100 / step + 3 {
            return Ok(());
        }
    }
    Ok(())
}

/// What one processor hides by changing address spaces, two show.
fn on_two_cpus(name: &str, wanted: &str) -> Result<()> {
    let root = userland::root_dir()?.into_os_string();
    let options = ["--cpus", "2", "--root"].map(OsString::from);
    let words = ["--", "/behave", name].map(OsString::from);
    let got = Job::new(options.into_iter().chain([root]).chain(words)).run()?;
    ensure!(got.status() == 0 && got.out() == wanted, "{}", got.shown());
    Ok(())
}

/// The hog runs in a child of a parent that the killer is told to spare.
fn hog(kind: &str, memory: &str) -> Result<()> {
    let scratch = Scratch::new("hog")?;
    let report = scratch.path("report");
    let options = ["--memory", memory, "--root"].map(OsString::from);
    let root = userland::root_dir()?.into_os_string();
    let words = ["--", "/behave", "--helper", "hog", kind].map(OsString::from);
    let tell = ["--report".into(), report.clone().into_os_string()];
    let all = options.into_iter().chain([root]).chain(tell).chain(words);
    let got = Job::new(all).deadline(Duration::from_secs(120)).run()?;
    ensure!(got.status() == 0, "{}", got.shown());
    ensure!(
        got.out().ends_with("all is free again\n"),
        "{}",
        got.shown()
    );
    let report = std::fs::read_to_string(&report).context("no report")?;
    let kills = !report.contains("\"oom_kills\": 0");
    // A fork bomb's processes are many: any of them may be the one.
    ensure!(
        kills || !got.out().contains("killed"),
        "killed, and not counted: {report}"
    );
    Ok(())
}
