//! `--strace`, held against strace itself: the same static program on the host's Linux under
//! Debian's strace and in a VM must give the same lines, but for addresses and what differs from
//! one machine to the next.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use super::userland;
use crate::testing::{Case, Job, Scratch};

/// Programs of one process that make many different calls, always the same.
const PROGRAMS: [&str; 10] = [
    "file/open_flags",
    "file/positioned",
    "file/seek",
    "file/holes",
    "file/allocate",
    "file/stat_fields",
    "file/mode_bits",
    "file/path_walk",
    "file/at_calls",
    "file/times_set",
];

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str| {
        let (title, name) = (name.replace('/', "_"), name.to_owned());
        Case::new(&format!("strace::agrees_with_linux_{title}"), move || {
            agrees(&name)
        })
    };
    PROGRAMS.iter().map(|name| case(name)).collect()
}

fn agrees(name: &str) -> Result<()> {
    let scratch = Scratch::new("strace")?;
    let file = scratch.path("calls");
    let behave = userland::root_dir()?.join("behave");
    let mut host = Command::new("strace");
    host.arg("-o").arg(&file).arg(&behave).arg(name);
    Job::of(host).run()?;
    let linux = fs::read_to_string(&file)?;
    let words = ["--strace", "--root"].map(Into::into);
    let rest = ["--", "/behave", name].map(Into::into);
    let root = userland::root_dir()?.into_os_string();
    let found = Job::new(words.into_iter().chain([root]).chain(rest)).run()?;
    let ours = found.err();
    let (ours, linux) = (comparable(&ours), comparable(&linux));
    for (ours, linux) in ours.iter().zip(&linux) {
        ensure!(ours == linux, "{ours}\nstrace: {linux}");
    }
    ensure!(
        ours.len() == linux.len(),
        "{} lines, strace {}",
        ours.len(),
        linux.len()
    );
    Ok(())
}

/// The lines of a trace from where the C library's start is over (it ends with protecting what was relocated),
/// without numbers, children and strace's own lines. They are sorted: the order of a directory's names is its
/// file system's.
fn comparable(trace: &str) -> Vec<String> {
    const OTHERS: [&str; 4] = ["+++", "---", "brk(", "[pid"];
    let mut lines: Vec<String> = trace
        .lines()
        .filter(|line| OTHERS.iter().all(|start| !line.starts_with(start)))
        .skip_while(|line| !line.starts_with("mprotect("))
        .map(without_numbers)
        .collect();
    lines.sort_unstable();
    lines
}

/// Every number becomes `N`: descriptors, IDs, sizes and addresses are another machine's.
fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    let end = |c: char| !c.is_ascii_alphanumeric();
    for word in line.split_inclusive(end) {
        let core = word.trim_end_matches(end);
        let number = core.starts_with("0x") || core.chars().all(|c| c.is_ascii_digit());
        out.push_str(if number && !core.is_empty() {
            "N"
        } else {
            core
        });
        out.push_str(word.get(core.len()..).unwrap_or_default());
    }
    // The column of the results moves with what was replaced.
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}
