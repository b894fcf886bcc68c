//! Every behaviour on the machine the tests run on: it must end as its tags say, and print the
//! same bytes when it runs a second time. (What the bytes should be, Linux itself says: the VM
//! runner compares them.)

#![allow(
    clippy::expect_used,
    reason = "a test helper: its failure is a failed test"
)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

const BEHAVE: &str = env!("CARGO_BIN_EXE_behave");

fn run(args: &[&str]) -> Output {
    Command::new(BEHAVE)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("behave starts")
}

fn expected(tags: &[&str]) -> (Option<i32>, Option<i32>) {
    let value = |key: &str| tags.iter().find_map(|t| t.strip_prefix(key)?.parse().ok());
    match value("signal:") {
        Some(signal) => (None, Some(signal)),
        None => (Some(value("exit:").unwrap_or(0)), None),
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

#[test]
#[ignore = "behaviours about time need a quiet machine; the VM tests compare each one with Linux"]
fn every_behaviour_ends_as_tagged_and_repeats_itself() {
    let list = String::from_utf8(run(&["--list"]).stdout).expect("names are text");
    let mut failures = Vec::new();
    for line in list.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let tags: Vec<&str> = words.collect();
        if tags.contains(&"alone") || tags.contains(&"root") && !is_root() {
            continue;
        }
        let (first, second) = (run(&[name]), run(&[name]));
        let end = (first.status.code(), first.status.signal());
        if end != expected(&tags) {
            failures.push(format!("{name}: ended with {:?}", first.status));
        } else if (&first.stdout, first.status) != (&second.stdout, second.status) {
            failures.push(format!("{name}: not the same twice"));
        } else if first.stdout.is_empty() {
            failures.push(format!("{name}: printed nothing"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(list.lines().count() > 20, "the list is short:\n{list}");
}

#[test]
fn helpers_give_exact_statuses() {
    for code in 0..=255 {
        let end = run(&["--helper", "exit", &code.to_string()]).status;
        assert_eq!(end.code(), Some(code));
    }
    for signal in [1, 2, 6, 9, 11, 15, 34, 64] {
        let end = run(&["--helper", "kill", &signal.to_string()]).status;
        assert_eq!(end.signal(), Some(signal));
    }
}

#[test]
fn bad_usage_is_status_2() {
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["no/such"]).status.code(), Some(2));
}
