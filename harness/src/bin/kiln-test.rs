//! The test runner behind `harness/test.sh`: `kiln-test [--long] [--cpus N] [--list] [NAME...]`.
//!
//! Runs the tests whose names contain one of the words (all, when there are none), and ends with
//! `N passed, N failed` and status 1 if one failed.

use std::process::ExitCode;

use clap::Parser;
use kiln_harness::cases;
use kiln_harness::testing::{Case, Counts, run_all, set_cpus};

#[derive(Parser)]
#[command(name = "test.sh", version, about = "Runs Kiln's tests.")]
struct Options {
    /// The tests that take long, too
    #[arg(long)]
    long: bool,
    /// Only print the tests' names
    #[arg(long)]
    list: bool,
    /// Give every VM this many CPUs
    #[arg(long, value_name = "N")]
    cpus: Option<u32>,
    /// Only tests whose names contain one of these
    names: Vec<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(cpus) = options.cpus {
        set_cpus(cpus);
    }
    let chosen = |case: &Case| {
        options.names.is_empty() || options.names.iter().any(|word| case.name.contains(word))
    };
    let cases: Vec<Case> = cases::all().into_iter().filter(chosen).collect();
    if options.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return ExitCode::SUCCESS;
    }
    // Programs print their niceness, and those in the VM start with 0. Without the right to it the run goes
    // on: it is only for who starts the tests with `nice`.
    let _ = rustix::process::setpriority_process(None, 0);
    let (now, later): (Vec<Case>, Vec<Case>) = cases
        .into_iter()
        .partition(|case| options.long || !case.long);
    let mut counts = run_all(&now);
    counts.skipped += u64::try_from(later.len()).unwrap_or(0);
    print_closing_line(counts);
    if counts.failed > 0 || counts.passed == 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn print_closing_line(counts: Counts) {
    let skipped = match counts.skipped {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    println!(
        "{} passed, {} failed{skipped}",
        counts.passed, counts.failed
    );
}
