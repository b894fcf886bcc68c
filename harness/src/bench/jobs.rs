//! `bench.sh jobs`: whole runs, boot included, on Kiln and on Linux turn by turn, by the launchers that people
//! use. One pass each under the counting plugin says how many instructions the kernel and the programs took; the
//! others give wall time. What each job prints, and how it ends, must be the same on both.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::guest::Counts;
use super::micro::Peer;
use super::stats::{median, median_ratio, spread};

/// What a run of the bench needs to find.
pub struct Inputs {
    /// Kiln's ELF.
    pub kernel: PathBuf,
    /// The launchers.
    pub programs: PathBuf,
    /// The counting plugin.
    pub plugin: PathBuf,
    /// The ext4 image that is the root of both.
    pub root: PathBuf,
    /// Which Linux.
    pub peer: Peer,
    /// Passes for wall time.
    pub rounds: usize,
    /// Only jobs whose names contain one of these.
    pub names: Vec<String>,
}

/// One job.
struct Job {
    name: &'static str,
    /// Programs that it runs.
    needs: &'static str,
    cpus: u32,
    script: &'static str,
}

const fn job(name: &'static str, needs: &'static str, script: &'static str) -> Job {
    let cpus = 1;
    Job {
        name,
        needs,
        cpus,
        script,
    }
}

/// What is compiled.
const SOURCE: &str = "cat >/tmp/a.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int main(void) {
    int list[500]; long sum = 0;
    for (int i = 0; i < 500; i++) list[i] = i * 7919 % 1009;
    qsort(list, 500, sizeof *list, order);
    for (int i = 0; i < 500; i++) sum += (long)i * list[i];
    printf(\"%ld\\n\", sum);
    return 0;
}
END
";

static JOBS: [Job; 20] = [
    job("true", "true", "exec true"),
    job("hello", "echo", "echo hello"),
    job("shell-short", "tr cat", "for i in 1 2 3 4 5; do echo $i | tr 1-5 a-e | cat; done"),
    job(
        "shell-pipes",
        "tr cat wc",
        "i=0; while [ $i -lt 100 ]; do echo line $i | tr 0-9 a-j | cat; i=$((i + 1)); done | wc -c",
    ),
    job("tcc", "tcc", "for i in 1 2 3 4 5; do tcc -o /tmp/a /tmp/a.c && /tmp/a; done"),
    job("gcc", "gcc", "gcc -O2 -o /tmp/a /tmp/a.c && /tmp/a"),
    job("python-start", "python3", "for i in 1 2 3; do python3 -c 'print(1)'; done"),
    job(
        "python-json",
        "python3",
        "python3 -c 'import json
rows = [{\"id\": i, \"name\": str(i) * 3, \"tags\": [i, i + 1]} for i in range(20000)]
open(\"/tmp/j\", \"w\").write(json.dumps(rows))
print(sum(row[\"tags\"][1] for row in json.load(open(\"/tmp/j\"))))'",
    ),
    job(
        "sqlite-memory",
        "sqlite3",
        "sqlite3 :memory: 'create table t(a integer primary key, b text);
with recursive c(n) as (select 1 union all select n + 1 from c where n < 20000) insert into t select n, hex(n * 7919) from c;
create index i on t(b); select count(*), sum(a) from t where b like \"%7\";'",
    ),
    job(
        "sqlite-disk",
        "sqlite3",
        "sqlite3 /var/tmp/d.db 'create table t(a integer primary key, b text);
with recursive c(n) as (select 1 union all select n + 1 from c where n < 5000) insert into t select n, hex(n * 7919) from c;'
i=0; while [ $i -lt 10 ]; do echo \"insert into t(b) values($i);\"; i=$((i + 1)); done | sqlite3 /var/tmp/d.db
sqlite3 /var/tmp/d.db 'select count(*), sum(a) from t'",
    ),
    job(
        "sort",
        "sort seq sha256sum",
        "seq 100000 | sort -R --random-source=/bin/sh >/tmp/s; sort -n /tmp/s | sha256sum; sort /tmp/s | sha256sum",
    ),
    job(
        "tar-gzip",
        "tar gzip",
        "tar -C /usr/lib -cf - python3.11/json python3.11/email python3.11/asyncio | gzip -1 >/tmp/t.gz
gzip -dc /tmp/t.gz | tar -tf - | sort | wc -l",
    ),
    job("sha256sum-64M", "sha256sum head", "head -c 64M /dev/zero >/tmp/z; sha256sum /tmp/z"),
    job(
        "cp-find",
        "cp find",
        "cp -r /usr/lib/python3.11 /tmp/tree; find /tmp/tree -type f | wc -l; find /tmp/tree -name '*.py' -size +8k | wc -l; rm -r /tmp/tree",
    ),
    job(
        "perl",
        "perl",
        "perl -e 'my %h; for my $i (1..60000) { $h{$i * 7919 % 10007} .= \"x\"; } my $n = 0; $n += length for values %h; print \"$n \", scalar(keys %h), \"\\n\"'",
    ),
    job(
        "threads-4",
        "python3",
        "python3 -c 'import threading, queue
qs = [queue.Queue() for _ in range(4)]
def work(i):
    for _ in range(500): qs[(i + 1) % 4].put(qs[i].get() + 1)
ts = [threading.Thread(target=work, args=(i,)) for i in range(4)]
[t.start() for t in ts]; qs[0].put(0); [t.join() for t in ts]; print(qs[0].get())'",
    ),
    job("grep", "grep", "grep -rc import /usr/lib/python3.11/email /usr/lib/python3.11/json | sort | tail -3"),
    job(
        "awk-sed",
        "awk sed seq",
        "seq 30000 | sed 's/7/seven/g' | awk '{ n += length($0) } END { print n, NR }'",
    ),
    job(
        "make",
        "make gcc",
        MAKE,
    ),
    Job { name: "make-j2", needs: "make gcc", cpus: 2, script: MAKE },
];

/// Four files that differ, and what links them.
const MAKE: &str = "mkdir /tmp/m && cd /tmp/m && for i in 1 2 3 4; do sed \"s/main/f$i/\" /tmp/a.c >f$i.c; done
printf 'int f1(void), f2(void), f3(void), f4(void); int main(void) { return f1() + f2() + f3() + f4(); }\\n' >main.c
printf 'all: f1.o f2.o f3.o f4.o main.o\\n\\tgcc -o all $^\\n%%.o: %%.c\\n\\tgcc -O1 -c $<\\n' >Makefile
make -s -j2 && ./all";

/// One pass of one job on one kernel.
struct Pass {
    status: Option<i32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    wall: Duration,
    counts: Option<Counts>,
}

/// What a job took on one kernel.
#[derive(Default)]
struct Side {
    kernel: u64,
    programs: u64,
    wall: Vec<f64>,
}

/// What came of a job on both.
struct Row {
    name: &'static str,
    kiln: Side,
    linux: Side,
    same: bool,
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    fn ratio(&self) -> f64 {
        self.kiln.kernel as f64 / self.linux.kernel.max(1) as f64
    }

    fn wall_ratio(&self) -> f64 {
        median_ratio(&self.kiln.wall, &self.linux.wall)
    }
}

/// Runs and prints; gives the figures as JSON and, for a picture, ratios of instructions in the kernel.
///
/// # Errors
/// When a kernel can't be had, or a job can't be started.
pub fn run(inputs: &Inputs) -> Result<(Value, Vec<(String, f64)>)> {
    ensure!(
        inputs.root.exists(),
        "{} isn't there: images/build.sh debian makes it",
        inputs.root.display()
    );
    let missing = missing_programs(inputs)?;
    let chosen = |job: &&Job| {
        inputs.names.is_empty()
            || inputs
                .names
                .iter()
                .any(|word| job.name.contains(word.as_str()))
    };
    print_head();
    let mut rows = Vec::new();
    for job in JOBS.iter().filter(chosen) {
        let lacking = job
            .needs
            .split(' ')
            .find(|need| missing.iter().any(|name| name == need));
        if let Some(lacking) = lacking {
            println!("{:<14} skipped: the root has no {lacking}", job.name);
            continue;
        }
        match measure(inputs, job) {
            Ok(row) => {
                print_row(&row);
                rows.push(row);
            }
            Err(error) => println!("{:<14} failed: {error:#}", job.name),
        }
    }
    ensure!(!rows.is_empty(), "no job ran");
    let ratios = rows
        .iter()
        .map(|row| (row.name.to_owned(), row.ratio()))
        .collect();
    Ok((to_json(&rows), ratios))
}

/// Those of the jobs' programs that the root lacks.
fn missing_programs(inputs: &Inputs) -> Result<Vec<String>> {
    let script = "for name in $0 $@; do command -v $name >/dev/null || echo $name; done";
    let needs: Vec<&str> = JOBS.iter().flat_map(|job| job.needs.split(' ')).collect();
    let mut command = launcher(inputs, Kernel::Kiln, 1, None);
    command.args(["--", "sh", "-c", script]).args(needs);
    let output = command.stdin(Stdio::null()).output().context("kiln-run")?;
    ensure!(
        output.status.success(),
        "the root doesn't run a shell: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect())
}

/// Whose launcher.
#[derive(Clone, Copy, PartialEq)]
enum Kernel {
    Kiln,
    Linux,
}

/// A launcher with the machine's options.
fn launcher(inputs: &Inputs, kernel: Kernel, cpus: u32, counts: Option<&Path>) -> Command {
    let name = if kernel == Kernel::Kiln {
        "kiln-run"
    } else {
        "kiln-linux"
    };
    let mut command = Command::new(inputs.programs.join(name));
    command.env("KILN_HOME", crate::root::project());
    if kernel == Kernel::Kiln {
        command.arg("--kernel").arg(&inputs.kernel);
    } else if inputs.peer == Peer::Minimal {
        command.env("KILN_LINUX", "minimal");
    }
    command.arg("--root").arg(&inputs.root);
    let cpus = cpus.to_string();
    command.args(["--memory", "1G", "--timeout", "900", "--cpus", &cpus]);
    if kernel == Kernel::Kiln {
        // As Linux has it.
        command.args([
            "--qemu-args",
            &qemu_args(&inputs.plugin, counts, "-cpu max,-erms,-fsrm "),
        ]);
    } else {
        command.args(["--qemu-args", &qemu_args(&inputs.plugin, counts, "")]);
    }
    command
}

fn qemu_args(plugin: &Path, counts: Option<&Path>, cpu: &str) -> String {
    let plugin = counts.map(|out| format!("-plugin {},out={}", plugin.display(), out.display()));
    format!("{cpu}{}", plugin.unwrap_or_default())
}

fn pass(inputs: &Inputs, kernel: Kernel, job: &Job, counts: Option<&Path>) -> Result<Pass> {
    let mut command = launcher(inputs, kernel, job.cpus, counts);
    let source = if job.script.contains("/tmp/a.c") {
        SOURCE
    } else {
        ""
    };
    let script = format!("{source}{}", job.script);
    if let Some(file) = counts {
        // What a pass before this left isn't this one's, should it be ended before it writes its own.
        let _ = std::fs::remove_file(file);
    }
    command
        .args(["--", "sh", "-c", &script])
        .stdin(Stdio::null());
    let started = Instant::now();
    let output = command.output().context("starting the launcher")?;
    let wall = started.elapsed();
    let counts = counts
        .map(|file| -> Result<Counts> {
            let text = std::fs::read_to_string(file).context("the plugin wrote nothing")?;
            Ok(serde_json::from_str(&text)?)
        })
        .transpose()?;
    Ok(Pass {
        status: output.status.code(),
        stdout: output.stdout,
        stderr: output.stderr,
        wall,
        counts,
    })
}

fn measure(inputs: &Inputs, job: &Job) -> Result<Row> {
    let scratch = tempfile::tempdir()?;
    let out = scratch.path().join("counts.json");
    let (mut kiln, mut linux, mut same) = (Side::default(), Side::default(), true);
    let mut first: Option<Pass> = None;
    for round in 0..=inputs.rounds {
        for (kernel, side) in [(Kernel::Kiln, &mut kiln), (Kernel::Linux, &mut linux)] {
            let counted = (round == 0).then_some(out.as_path());
            let pass = pass(inputs, kernel, job, counted)?;
            match &pass.counts {
                Some(counts) => (side.kernel, side.programs) = (counts.kernel, counts.programs),
                None => side.wall.push(pass.wall.as_secs_f64() * 1e3),
            }
            if pass.status == Some(i32::from(crate::outcome::FAILED)) {
                bail!("{}", String::from_utf8_lossy(&pass.stderr).trim());
            }
            match &first {
                Some(first) => {
                    same &= first.status == pass.status && first.stdout == pass.stdout;
                }
                None => first = Some(pass),
            }
        }
    }
    Ok(Row {
        name: job.name,
        kiln,
        linux,
        same,
    })
}

fn print_head() {
    println!(
        "{:<14} {:>14} {:>14} {:>6} {:>14} {:>14} {:>9} {:>9} {:>6} {:>13}  output",
        "job",
        "kernel: Kiln",
        "Linux",
        "ratio",
        "user: Kiln",
        "Linux",
        "ms: Kiln",
        "Linux",
        "ratio",
        "spread"
    );
}

/// Of Linux's instructions in the kernel, Kiln may take this share.
const GOAL: f64 = 0.8;

fn print_row(row: &Row) {
    let slow = row.ratio() > GOAL || row.wall_ratio() > 1.0;
    let [least, most] = spread(&row.kiln.wall, &row.linux.wall);
    println!(
        "{:<14} {:>14} {:>14} {:>6.2} {:>14} {:>14} {:>9.0} {:>9.0} {:>6.2} {:>13}  {}{}",
        row.name,
        row.kiln.kernel,
        row.linux.kernel,
        row.ratio(),
        row.kiln.programs,
        row.linux.programs,
        median(&row.kiln.wall),
        median(&row.linux.wall),
        row.wall_ratio(),
        format!("{least:.2}..{most:.2}"),
        if row.same { "same" } else { "DIFFERENT" },
        if slow { "  <-" } else { "" },
    );
}

fn to_json(rows: &[Row]) -> Value {
    let rows = rows.iter().map(|row| {
        json!({
            "name": row.name, "same": row.same,
            "kiln_kernel": row.kiln.kernel, "linux_kernel": row.linux.kernel,
            "kiln_programs": row.kiln.programs, "linux_programs": row.linux.programs,
            "kiln_ms": row.kiln.wall, "linux_ms": row.linux.wall,
        })
    });
    rows.collect()
}
