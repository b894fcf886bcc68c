//! Faults on purpose: those of the kernel end in a report, those of a program end the program.

use anyhow::{Result, ensure};

use crate::testing::{Case, Job};

/// `fault=NAME` and what the report must say of it.
const KERNEL: [(&str, &str); 30] = [
    ("stack", "stack overflow"),
    ("stack-df", "stack overflow"),
    ("stack-pf", "stack overflow"),
    ("stack-gp", "stack overflow"),
    ("stack-db", "stack overflow"),
    ("stack-nmi", "stack overflow"),
    ("stack-mc", "stack overflow"),
    ("panic", "fault=panic"),
    ("unmapped", "page fault"),
    ("text", "page fault"),
    ("text-alias", "page fault"),
    ("nx", "page fault"),
    ("de", "#DE"),
    ("db", "#DB"),
    ("nmi", "NMI"),
    ("bp", "#BP"),
    ("of", "#OF"),
    ("br", "#BR"),
    ("ud", "#UD"),
    ("nm", "#NM"),
    ("gp", "#GP"),
    ("pf", "#PF"),
    ("mf", "#MF"),
    ("mc", "#MC"),
    ("xm", "#XM"),
    ("df", "#DF"),
    ("ts", "#TS"),
    ("np", "#NP"),
    ("ss", "#SS"),
    ("ac", "#AC"),
];

pub(super) fn cases() -> Vec<Case> {
    let kernel = KERNEL.iter().map(|(name, says)| {
        Case::new(&format!("faults::kernel_{name}"), || {
            kernel_fault(name, says)
        })
    });
    kernel
        .chain([
            Case::new("faults::no_such_fault", no_such_fault),
            Case::new("faults::backtrace", backtrace),
        ])
        .collect()
}

fn no_such_fault() -> Result<()> {
    let got = Job::new(["--append", "fault=nonsense", "true"])
        .run()?
        .has_status(125)?;
    ensure!(
        got.err().contains("no fault has that name"),
        "{}",
        got.shown()
    );
    Ok(())
}

fn kernel_fault(name: &str, says: &str) -> Result<()> {
    let fault = format!("fault={name}");
    let got = Job::new(["--append", &fault, "--timeout", "5", "true"])
        .run()?
        .has_status(125)?;
    let err = got.err();
    let mut lines = err.lines();
    let first = lines.next().unwrap_or_default();
    ensure!(
        first.starts_with("kiln: the kernel failed") && first.contains(says),
        "{}",
        got.shown()
    );
    // The backtrace has names: the fault's own place at least.
    let named = lines.any(|line| line.starts_with("kiln:   0x") && line.contains(".rs:"));
    ensure!(named, "no backtrace: {}", got.shown());
    Ok(())
}

/// Each caller is found by the ELF's tables, none is a guess, and none is left out.
fn backtrace() -> Result<()> {
    for (fault, chain) in [
        ("panic", &["panic_fmt", "provoke_panic", "main"][..]),
        ("stack", &["overflow", "provoke", "main"]),
    ] {
        let append = format!("fault={fault}");
        let got = Job::new(["--append", &append, "--timeout", "5", "true"]).run()?;
        let err = got.err();
        let callers: Vec<&str> = err.lines().skip(2).collect();
        let as_called = callers.len() == chain.len()
            && callers
                .iter()
                .zip(chain)
                .all(|(line, name)| line.contains(name));
        ensure!(as_called && !err.contains('?'), "{}", got.shown());
    }
    Ok(())
}
