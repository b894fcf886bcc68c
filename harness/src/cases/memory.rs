//! Memory that ends: whatever a program takes until there is none, the VM goes on, and all of it
//! comes back.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::userland;
use crate::testing::{Case, Job, Scratch};

/// What is taken, by the names of `behave --helper hog`.
const HOGS: [&str; 18] = [
    "touch",
    "fork",
    "pipe",
    "tables",
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
    let mut cases = Vec::new();
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
