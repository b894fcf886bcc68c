//! Format, lints and the tests that run on the host, so that one command is all of it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::root;
use crate::testing::{Case, Counts, Job};

const DEADLINE: Duration = Duration::from_secs(900);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("host::format", || quiet(&["fmt", "--all", "--check"])).alone(),
        Case::new("host::lints", || {
            quiet(&["clippy", "--all-targets", "--", "-D", "warnings"])
        })
        .alone(),
        Case::new("host::kernel_lints", || quiet(&["kernel-clippy"])).alone(),
        Case::counted("host::tests", tests).alone(),
    ]
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args).current_dir(root::project());
    command
}

/// A cargo command that is silent when all is well.
fn quiet(args: &[&str]) -> Result<()> {
    let got = Job::of(cargo(args)).deadline(DEADLINE).run()?;
    if got.status() != 0 {
        bail!("cargo {}:\n{}{}", args.join(" "), got.out(), got.err());
    }
    Ok(())
}

fn tests() -> Result<Counts> {
    let has_nextest = cargo(&["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    let args: &[&str] = if has_nextest {
        &["nextest", "run", "--no-fail-fast", "--status-level", "fail"]
    } else {
        &["test", "--no-fail-fast"]
    };
    let got = Job::of(cargo(args)).deadline(DEADLINE).run()?;
    let text = got.out() + &got.err();
    let counts = if has_nextest {
        nextest(&text)
    } else {
        libtest(&text)
    };
    match counts {
        Some(counts) if got.status() == 0 => Ok(counts),
        Some(counts) if counts.failed > 0 => {
            println!("{text}");
            Ok(counts)
        }
        _ => bail!("the host's tests can't be run:\n{text}"),
    }
}

/// nextest's closing line: `Summary [ 1.2s] 90 tests run: 89 passed (1 slow), 1 failed, 2 skipped`.
fn nextest(text: &str) -> Option<Counts> {
    let line = text
        .lines()
        .rfind(|line| line.trim_start().starts_with("Summary"))?;
    let (_, parts) = line.split_once("run:")?;
    Some(counts(parts))
}

/// The sum of libtest's lines: `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn libtest(text: &str) -> Option<Counts> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ")?.split_once(". "));
    lines.map(|(_, parts)| counts(parts)).reduce(|a, b| Counts {
        passed: a.passed + b.passed,
        failed: a.failed + b.failed,
        skipped: a.skipped + b.skipped,
    })
}

/// `N passed, N failed, ...` with either punctuation.
fn counts(parts: &str) -> Counts {
    let mut counts = Counts::default();
    for part in parts.split([',', ';']) {
        let mut words = part.split_whitespace();
        let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        match words.next() {
            Some("passed") => counts.passed = number,
            Some("failed") => counts.failed = number,
            Some("skipped" | "ignored") => counts.skipped = number,
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_understood() {
        let text =
            "x\n     Summary [   1.2s] 91 tests run: 89 passed (1 slow), 2 failed, 3 skipped\n";
        let wanted = Counts {
            passed: 89,
            failed: 2,
            skipped: 3,
        };
        assert_eq!(nextest(text), Some(wanted));
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\
                    test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured\n";
        let wanted = Counts {
            passed: 7,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(libtest(text), Some(wanted));
        assert_eq!(libtest("error: could not compile"), None);
    }
}
