//! The status of `run.sh`: the job's own, or one that says what went wrong.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::userland;
use crate::testing::{Case, Job};

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = (0..8)
        .map(|part| {
            let codes = part * 32..(part + 1) * 32;
            let name = format!("statuses::codes_{}_to_{}", codes.start, codes.end - 1);
            Case::new(&name, move || codes.clone().try_for_each(exact_code))
        })
        .collect();
    cases.extend([
        Case::new("statuses::signals", signals),
        Case::new("statuses::not_found", || {
            Job::new(["--", "/no/such"]).run()?.says(127, "/no/such")?;
            Job::new(["--", "no-such-program"])
                .run()?
                .says(127, "no-such-program")
        }),
        Case::new("statuses::not_executable", || {
            Job::new(["--", "/etc/passwd"])
                .run()?
                .says(126, "/etc/passwd")?;
            Job::new(["--", "/etc"]).run()?.says(126, "/etc")
        }),
        Case::new("statuses::timeout", timeout),
        Case::new("statuses::the_first_process_decides", || {
            Job::sh("sleep 1000 & sleep 1000 & exit 5").run()?.is(5, "")
        }),
        Case::new("statuses::orphans_are_killed", || {
            Job::sh("(trap '' TERM HUP; sleep 1000) & exit 6")
                .run()?
                .is(6, "")
        }),
        Case::new("statuses::out_of_memory", out_of_memory),
        Case::new("statuses::pipelines", || {
            let script = "for i in $(seq 200); do echo $i; done | sort -rn | head -3; kill -9 $$";
            let got = Job::sh(script).run()?;
            ensure!(got.out() == "200\n199\n198\n", "{}", got.shown());
            got.says(137, "signal 9")
        }),
    ]);
    cases
}

/// Those that mean something else, too, come without a word from Kiln.
fn exact_code(code: i32) -> Result<()> {
    Job::sh(&format!("exit {code}")).run()?.is(code, "")
}

/// Every signal whose default action ends a process.
fn signals() -> Result<()> {
    let deadly = (1..=16).chain(24..=27).chain(29..=31).chain([34, 64]);
    for signal in deadly {
        let words = ["--root".into(), userland::root_dir()?.into_os_string()];
        let number = signal.to_string();
        let rest = ["--", "/behave", "--helper", "kill", &number].map(OsString::from);
        let got = Job::new(words.into_iter().chain(rest)).run()?;
        got.says(128 + signal, &format!("signal {signal}"))?;
    }
    Ok(())
}

fn timeout() -> Result<()> {
    let spin = ["--timeout", "2", "--", "sh", "-c", "while :; do :; done"];
    let got = Job::new(spin).run()?;
    let seconds = got.wall.as_secs_f32();
    ensure!(
        (1.8..6.0).contains(&seconds),
        "after {seconds} s: {}",
        got.shown()
    );
    got.says(124, "time limit")?;
    let sleep = [
        "--timeout",
        "3",
        "--",
        "sh",
        "-c",
        "trap '' TERM INT; echo up; sleep 99",
    ];
    let got = Job::new(sleep).run()?;
    ensure!(got.out() == "up\n", "{}", got.shown());
    // The kernel itself ends it; were that left to the launcher, it would take 5 s more.
    ensure!(got.wall < Duration::from_secs(7), "after {:?}", got.wall);
    got.says(124, "time limit")
}

/// The killer takes the job's own main process here: it is the one that grows.
fn out_of_memory() -> Result<()> {
    let script = "exec awk 'BEGIN { while (1) a[i++] = \"some text of its own\" i }'";
    Job::sh_with(["--memory", "64M"], script)
        .run()?
        .says(137, "memory")
}
