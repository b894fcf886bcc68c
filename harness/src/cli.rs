//! The launcher as a command: its exit status is the job's.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use crate::options::{self, NoRun};
use crate::outcome::{FAILED, Outcome};
use crate::qemu::Guest;
use crate::report::Destination;
use crate::{launch, leash, root};

/// Runs the job that the command line names on `guest`.
#[must_use]
pub fn main(guest: Guest) -> ExitCode {
    let start = Instant::now();
    let args: Vec<OsString> = std::env::args_os().collect();
    if let [_, word, rest @ ..] = args.as_slice()
        && word == leash::WORD
    {
        say(&leash::hold(rest).to_string());
        return ExitCode::from(FAILED);
    }
    let args = if args.len() > 1 { args } else { sample() };
    let (outcome, report) = match options::parse(&args) {
        Ok(options) => match options.report.as_deref().map(Destination::open).transpose() {
            Ok(report) => (launch::run(&options, guest), report),
            Err(why) => (Outcome::failed(why), None),
        },
        Err(NoRun::Text(text)) => {
            // A reader that goes away has read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        // One reason is enough: a report that has no place either isn't mentioned.
        Err(NoRun::Bad(why)) => {
            let report = options::report_of(&args);
            let report = report.and_then(|path| Destination::open(&path).ok());
            (Outcome::failed(why), report)
        }
    };
    outcome.warnings.iter().for_each(|line| say(line));
    if let Some(message) = &outcome.message {
        say(message);
    }
    outcome.details.iter().for_each(|line| say(line));
    ExitCode::from(reported(&outcome, report, start))
}

/// Without a word on the command line it is the sample job that runs.
fn sample() -> Vec<OsString> {
    let dir = root::project().join("harness/sample");
    say(&format!(
        "no job is given, so this is the sample: ./run.sh --in {} -- sh /in/job.sh",
        dir.display()
    ));
    options::sample(&dir)
}

/// Writes the report, if one is wanted; the status is 125 when it can't be written.
fn reported(outcome: &Outcome, report: Option<Destination>, start: Instant) -> u8 {
    let Some(mut report) = report else {
        return outcome.status;
    };
    match report.write(outcome, start.elapsed()) {
        Ok(()) => outcome.status,
        Err(why) => {
            say(&format!("{why}; the status was {}", outcome.status));
            FAILED
        }
    }
}

/// One line for people.
fn say(message: &str) {
    let line = format!("kiln: {}\n", message.replace('\n', " "));
    // There is nowhere else to say it.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
