//! From what QEMU left behind to the status of `run.sh`: [`judge`] compares the record on the
//! debug console with QEMU's own exit status and trusts neither alone.
//!
//! [`Outcome`] is the verdict: a status, perhaps a line for people, and the record for the report.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use kiln_core::report::{Ending, PREFIX};
use serde_json::{Map, Value};

use crate::qemu::Guest;

/// Status when run.sh, QEMU or the kernel failed.
pub const FAILED: u8 = 125;
/// Status when the time limit ended the job.
pub const TIMED_OUT: u8 = 124;

/// The verdict on one run.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// What `run.sh` exits with.
    pub status: u8,
    /// The line on standard error that goes with a status that isn't the job's own.
    pub message: Option<String>,
    /// More such lines, about what isn't worth a failure.
    pub warnings: Vec<String>,
    /// What goes with the message: a panic's backtrace.
    pub details: Vec<String>,
    /// The kernel's record, or as much as is known without one.
    pub record: Map<String, Value>,
}

impl Outcome {
    /// run.sh, QEMU or the kernel failed, and this is why.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::without_record(FAILED, "failed", reason.into())
    }

    /// Nothing was run, and nothing went wrong.
    #[must_use]
    pub fn done() -> Self {
        let mut outcome = Self::without_record(0, "none", String::new());
        outcome.message = None;
        outcome
    }

    /// The end came from outside: the record, if any, says nothing of it.
    #[must_use]
    pub fn without_record(status: u8, kind: &str, reason: String) -> Self {
        let mut record = Map::new();
        record.insert("kiln".to_owned(), Value::from(1));
        record.insert("status".to_owned(), Value::from(kind));
        record.insert("reason".to_owned(), Value::from(reason.clone()));
        Self {
            status,
            message: Some(reason),
            warnings: vec![],
            details: vec![],
            record,
        }
    }

    /// Turns it into a failure of run.sh's own, with the job's result kept in the report.
    pub fn fail(&mut self, reason: String) {
        self.status = FAILED;
        self.record
            .insert("failure".to_owned(), Value::from(reason.clone()));
        self.message = Some(reason);
    }
}

/// Reads the one record in the debug console's output.
fn record_in(debug: &[u8]) -> Result<Map<String, Value>, String> {
    let mut lines = debug
        .split(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(PREFIX.as_bytes()));
    let Some(line) = lines.next() else {
        return Err("the kernel left no status record".to_owned());
    };
    if lines.next().is_some() {
        return Err("the kernel left more than one status record".to_owned());
    }
    serde_json::from_slice(line).map_err(|_| "the kernel's status record is broken".to_owned())
}

/// A number of the record, in the range of an exit status.
fn small(record: &Map<String, Value>, key: &str) -> Result<u8, String> {
    record
        .get(key)
        .and_then(Value::as_u64)
        .and_then(|value| u8::try_from(value).ok())
        .ok_or_else(|| format!("the kernel's status record has no good '{key}'"))
}

/// The verdict on a QEMU that ended with `exit` after `guest` wrote `debug` to the debug console.
#[must_use]
pub fn judge(guest: Guest, debug: &[u8], exit: ExitStatus) -> Outcome {
    match record_in(debug) {
        Ok(record) => match verdict(guest, &record, exit) {
            Ok((status, message)) => Outcome {
                status,
                message,
                warnings: vec![],
                details: vec![],
                record,
            },
            Err(why) => {
                let mut outcome = Outcome {
                    status: FAILED,
                    message: None,
                    warnings: vec![],
                    details: vec![],
                    record,
                };
                outcome.fail(why);
                outcome
            }
        },
        Err(why) => Outcome::failed(format!("{why}; {}", how_qemu_ended(exit))),
    }
}

fn how_qemu_ended(exit: ExitStatus) -> String {
    match (exit.code(), exit.signal()) {
        (Some(0), _) => "QEMU ended by itself (a triple fault does that)".to_owned(),
        (Some(code), _) => format!("QEMU ended with status {code}"),
        (None, signal) => format!("QEMU died of signal {}", signal.unwrap_or_default()),
    }
}

fn verdict(
    guest: Guest,
    record: &Map<String, Value>,
    exit: ExitStatus,
) -> Result<(u8, Option<String>), String> {
    let name = record.get("status").and_then(Value::as_str).unwrap_or("");
    let ending = Ending::from_name(name)
        .ok_or_else(|| format!("the kernel's status record says '{name}'"))?;
    // A kernel in trouble tells no more than it must.
    let needed = ending.exit_value(0) != Ending::Panic.exit_value(0);
    let number = |key| match record.get(key) {
        None if !needed => Ok(0),
        _ => small(record, key),
    };
    let (code, signal) = (number("code")?, number("signal")?);
    let expected = match guest {
        Guest::Kiln => i32::from(ending.exit_value(code)) * 2 + 1,
        // It reboots, which `-no-reboot` makes QEMU's end.
        Guest::Linux | Guest::SmallLinux => 0,
    };
    if exit.code() != Some(expected) {
        return Err(format!(
            "the status record says '{name}', but {}",
            how_qemu_ended(exit)
        ));
    }
    let reason = record.get("reason").and_then(Value::as_str).unwrap_or("");
    let because = |text: &str| match reason {
        "" => Some(text.to_owned()),
        reason => Some(format!("{text}: {reason}")),
    };
    Ok(match ending {
        Ending::Exited => (code, None),
        Ending::Signaled if (1..=64).contains(&signal) => (
            128 + signal,
            because(&format!("the job died of signal {signal}")),
        ),
        Ending::Signaled => return Err(format!("there is no signal {signal}")),
        Ending::Timeout => (TIMED_OUT, because("the job ran into its time limit")),
        Ending::NotFound => (127, because("the program can't be found")),
        Ending::NoExec => (126, because("the program can't be executed")),
        Ending::Panic => (FAILED, because("the kernel failed")),
        Ending::BadJob => (FAILED, because("the kernel can't run this job")),
        Ending::FlushFailed => (FAILED, because("what the job wrote can't be kept")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_core::report::Record;

    fn exit(code: u8) -> ExitStatus {
        ExitStatus::from_raw(i32::from(code) << 8)
    }

    fn line(record: &Record<'_>) -> Vec<u8> {
        let mut out = String::new();
        record.write(&mut out).unwrap();
        out.into_bytes()
    }

    fn exited(code: u8) -> Record<'static> {
        Record {
            code,
            ..Record::new(Ending::Exited, "")
        }
    }

    #[test]
    fn every_code_is_exact() {
        for code in 0..=255 {
            let record = exited(code);
            let outcome = judge(
                Guest::Kiln,
                &line(&record),
                exit(record.exit_value() * 2 + 1),
            );
            assert_eq!((outcome.status, outcome.message), (code, None));
        }
    }

    #[test]
    fn endings_are_told_apart() {
        let cases = [
            (Ending::Signaled, 9, 137),
            (Ending::Timeout, 0, 124),
            (Ending::NotFound, 0, 127),
            (Ending::NoExec, 0, 126),
            (Ending::Panic, 0, 125),
            (Ending::BadJob, 0, 125),
            (Ending::FlushFailed, 0, 125),
        ];
        for (ending, signal, status) in cases {
            let record = Record {
                signal,
                ..Record::new(ending, "why")
            };
            let outcome = judge(
                Guest::Kiln,
                &line(&record),
                exit(record.exit_value() * 2 + 1),
            );
            assert_eq!(outcome.status, status, "{ending:?}");
            assert!(outcome.message.unwrap().ends_with(": why"));
        }
    }

    #[test]
    fn a_panic_needs_no_code() {
        let line = b"{\"kiln\":1,\"status\":\"panic\",\"reason\":\"why\"}\n";
        let outcome = judge(Guest::Kiln, line, exit(39));
        assert_eq!(outcome.message.unwrap(), "the kernel failed: why");
        let line = b"{\"kiln\":1,\"status\":\"exited\",\"signal\":0}\n";
        assert_eq!(judge(Guest::Kiln, line, exit(33)).status, FAILED);
    }

    #[test]
    fn disagreement_is_a_failure() {
        let good = line(&exited(0));
        let twice = [good.clone(), good.clone()].concat();
        let half = &good[..good.len() / 2];
        let cases: [(&[u8], ExitStatus); 8] = [
            (b"", exit(0)),
            (b"", exit(33)),
            (&good, exit(0)),
            (&good, exit(35)),
            (&good, ExitStatus::from_raw(9)),
            (&twice, exit(33)),
            (half, exit(33)),
            (
                b"{\"kiln\":1,\"status\":\"exited\",\"code\":256,\"signal\":0}\n",
                exit(35),
            ),
        ];
        for (debug, exit) in cases {
            let outcome = judge(Guest::Kiln, debug, exit);
            assert_eq!(outcome.status, FAILED, "{debug:?} {exit:?}");
            assert!(outcome.message.is_some());
        }
        assert_eq!(judge(Guest::Kiln, &good, exit(33)).status, 0);
    }
}
