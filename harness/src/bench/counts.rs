//! The counts that a change must not raise: those of Kiln's boot, and instructions an operation under icount,
//! where the program's clock counts them. `harness/baseline.json` has what they were when somebody last wrote them
//! down; `harness/bench.sh counts` prints today's in the same form.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{boot, micro};

/// By how much a count may be above the baseline's.
const TOLERANCE: f64 = 1.05;
/// Of so few instructions no share means much.
const LEAST: f64 = 20.0;
const MEMORY: &str = "256M";

/// Single operations that take little time and mean the same in every run: forks and new threads
/// don't, they vary by a tenth.
pub const MEASURES: [&str; 31] = [
    "getppid",
    "clock_gettime-call",
    "getrandom-16",
    "sched_yield",
    "write-null-1",
    "read-zero-4k",
    "dup-close",
    "signal-self",
    "sigsegv-handled",
    "futex-wake",
    "eventfd-write-read",
    "epoll_wait-ready",
    "poll-1-ready",
    "pread-1",
    "pwrite-4k",
    "lseek",
    "fstat",
    "open-close",
    "stat-near",
    "stat-deep",
    "stat-missing",
    "create-unlink",
    "pipe-self",
    "pipe-round-trip",
    "mmap-munmap",
    "fault-anon-4k",
    "fault-file-read",
    "mprotect",
    "vfork-exec-wait",
    "vfork-exec-small",
    "futex-ping-pong",
];

/// The counts.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Counted {
    /// The compiler whose code was counted: another's counts are others.
    pub compiler: String,
    /// By measure.
    pub counts: BTreeMap<String, f64>,
}

impl Counted {
    /// Those of the file at `path`.
    ///
    /// # Errors
    /// When it can't be read, or isn't such a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Lines that say which measures are above `baseline`, or in one of the two only.
    #[must_use]
    pub fn above(&self, baseline: &Self) -> Vec<String> {
        let told = |(name, was): (&String, &f64)| match self.counts.get(name) {
            None => Some(format!("{name}: not measured any more")),
            Some(now) if *now > was * TOLERANCE && *now > was + LEAST => Some(format!(
                "{name}: {now:.0}, {:.1} % above {was:.0}",
                (now / was - 1.0) * 100.0
            )),
            Some(_) => None,
        };
        let mut lines: Vec<String> = baseline.counts.iter().filter_map(told).collect();
        let new = (self.counts.keys()).filter(|name| !baseline.counts.contains_key(*name));
        lines.extend(new.map(|name| format!("{name}: not in the baseline yet")));
        lines
    }
}

/// The compiler that builds the kernel.
///
/// # Errors
/// When it can't be run.
pub fn compiler() -> Result<String> {
    let output = std::process::Command::new("rustc")
        .arg("--version")
        .current_dir(crate::root::project())
        .output()
        .context("rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Counts.
///
/// # Errors
/// When something can't be made or booted.
pub fn count(boot: &boot::Inputs, micro: &micro::Inputs) -> Result<Counted> {
    let scratch = tempfile::tempdir()?;
    let mut counts = BTreeMap::new();
    let start =
        boot::kiln_guest(boot, scratch.path())?.count(MEMORY, &boot.plugin, scratch.path())?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    let mut put = |name: &str, value: u64| counts.insert(name.to_owned(), value as f64);
    put("boot: instructions to user mode", start.executed[1]);
    put("boot: translated", start.translated.iter().sum());
    put("boot: accesses", start.accesses);
    let mut guest = micro::kiln_guest(micro, scratch.path())?;
    guest.icount = true;
    let (said, _) = guest.listen(MEMORY, None, scratch.path())?;
    for figure in micro::figures(&said)? {
        if let Some(ns) = figure
            .ns
            .filter(|_| MEASURES.contains(&figure.name.as_str()))
        {
            counts.insert(figure.name, ns.round());
        }
    }
    Ok(Counted {
        compiler: compiler()?,
        counts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_is_told() {
        let counted = |list: &[(&str, f64)]| Counted {
            compiler: String::new(),
            counts: list
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
        };
        let was = counted(&[("a", 1000.0), ("b", 1000.0), ("c", 1000.0), ("d", 10.0)]);
        let now = counted(&[("a", 1051.0), ("b", 1049.0), ("d", 29.0), ("e", 5.0)]);
        let told = now.above(&was);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("a: 1051, 5.1 %") && told[1].starts_with("c: not"));
        assert!(was.above(&was).is_empty());
        let more = counted(&[("a", 1000.0), ("e", 1.0)]);
        assert_eq!(
            more.above(&counted(&[("a", 1000.0)])),
            ["e: not in the baseline yet"]
        );
    }
}
