//! Signals to `run.sh`: they go to the job, and nothing is left behind.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::root;
use crate::testing::{Case, launcher};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("signals::the_job_dies_of_them", dies),
        Case::new("signals::the_job_may_catch_them", catches),
        Case::new("signals::a_second_one_ends_the_vm", second),
        Case::new("signals::killing_the_launcher_ends_the_vm", killed),
    ]
}

/// A launcher whose job has said `up`.
struct Started {
    child: Child,
    pid: Pid,
}

impl Started {
    fn new(script: &str) -> Result<Self> {
        let mut child = Command::new(launcher())
            .env("KILN_HOME", root::project())
            .args(["--", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let pid = Pid::from_child(&child);
        ensure!(line == "up\n", "the job said {line:?}");
        Ok(Self { child, pid })
    }

    /// The processes the launcher has started.
    fn children(&self) -> Result<Vec<PathBuf>> {
        let pid = self.pid.as_raw_nonzero();
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let paths = list
            .split_whitespace()
            .map(|pid| PathBuf::from(format!("/proc/{pid}")));
        Ok(paths.collect())
    }

    fn ended(&mut self, within: Duration) -> Result<i32> {
        let end = Instant::now() + within;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("still running after {within:?}")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SOON: Duration = Duration::from_secs(8);

fn gone(processes: &[PathBuf]) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(2);
    while processes.iter().any(|path| alive(path)) {
        ensure!(Instant::now() < end, "{processes:?} is left");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A process that has ended but that nobody waits for counts as gone: in a container PID 1 may not.
fn alive(process: &std::path::Path) -> bool {
    std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}

fn dies() -> Result<()> {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut started = Started::new("echo up; exec sleep 99")?;
        let children = started.children()?;
        kill_process(started.pid, signal)?;
        let ended = started.ended(SOON)?;
        ensure!(ended == status, "{signal:?}: status {ended}");
        gone(&children)?;
    }
    Ok(())
}

fn catches() -> Result<()> {
    let mut started = Started::new("trap 'exit 42' TERM; echo up; while :; do sleep 1; done")?;
    kill_process(started.pid, Signal::TERM)?;
    let ended = started.ended(SOON)?;
    ensure!(ended == 42, "status {ended}");
    Ok(())
}

fn second() -> Result<()> {
    let mut started = Started::new("trap '' INT TERM; echo up; while :; do sleep 1; done")?;
    let children = started.children()?;
    kill_process(started.pid, Signal::INT)?;
    std::thread::sleep(Duration::from_millis(300));
    ensure!(
        started.child.try_wait()?.is_none(),
        "the first one ended it"
    );
    kill_process(started.pid, Signal::TERM)?;
    let ended = started.ended(SOON)?;
    ensure!(ended == 130, "status {ended}");
    gone(&children)
}

fn killed() -> Result<()> {
    let mut started = Started::new("echo up; exec sleep 99")?;
    let children = started.children()?;
    ensure!(!children.is_empty(), "there is no QEMU");
    started.child.kill()?;
    started.child.wait()?;
    gone(&children)
}
