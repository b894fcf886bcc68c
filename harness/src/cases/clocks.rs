//! How programs read the clocks: by themselves where the TSC can be relied on, else by system calls.

use std::ffi::OsString;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::userland;
use crate::testing::{Case, Job, Scratch};

/// What the helper sees that sets the clock: each way of reading it follows at once.
const SET: &str = "set: 0\n\
    precise 2000000000, coarse 2000000000, time of day 2000000000, time 2000000000\n\
    TAI set: true\nTAI is ahead by 37\n\
    zone set: 0\nzone -60 1\n\
    local time put right: 1999996400\n\
    set back: 0\nprecise 1700000000, monotonic goes on: true\n";

/// Times that the helper asks each clock.
const READS: u64 = 1000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("clocks::need_no_system_calls", || {
            let calls = calls("console=none")?;
            ensure!(calls == 0, "{calls} system calls");
            Ok(())
        }),
        Case::new("clocks::fall_back_to_system_calls", || {
            let calls = calls("tsc=unstable")?;
            ensure!(calls >= 2 * READS, "{calls} system calls");
            Ok(())
        }),
        Case::new("clocks::can_be_set", || {
            // With the vDSO's numbers and without.
            for append in ["console=none", "tsc=unstable"] {
                let options = ["--append", append];
                let words = ["--helper", "set_clock"];
                Job::new(behave(&options, &words)?).run()?.is(0, SET)?;
            }
            Ok(())
        }),
        Case::new("clocks::the_vsyscall_page_is_refused", || {
            let got = Job::new(behave(&[], &["--helper", "vsyscall"])?).run()?;
            let refused = got.status() == 139 && got.out() == "listed: false\n";
            ensure!(refused, "{}", got.shown());
            Ok(())
        }),
    ]
}

fn behave(options: &[&str], words: &[&str]) -> Result<Vec<OsString>> {
    let mut all: Vec<OsString> = options.iter().map(OsString::from).collect();
    all.extend(["--root".into(), userland::root_dir()?.into_os_string()]);
    all.extend(["--", "/behave"].map(OsString::from));
    all.extend(words.iter().map(OsString::from));
    Ok(all)
}

/// How often the helper entered the kernel for the time, with this word on the kernel's command line.
fn calls(append: &str) -> Result<u64> {
    let scratch = Scratch::new("clocks")?;
    let report = scratch.path("report");
    let path = report.to_str().context("odd path")?;
    let options = ["--append", append, "--report", path];
    let words = ["--helper", "clocks", &READS.to_string()];
    let got = Job::new(behave(&options, &words)?).run()?;
    ensure!(got.status() == 0, "{}", got.shown());
    ensure!(got.out() == "goes on: true\n", "{}", got.shown());
    let report: Value = serde_json::from_slice(&std::fs::read(&report)?)?;
    let count = |name: &str| report.get("syscalls")?.get(name)?.as_u64();
    let names = ["clock_gettime", "gettimeofday", "time"];
    Ok(names.iter().filter_map(|name| count(name)).sum())
}
