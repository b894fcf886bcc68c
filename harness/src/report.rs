//! The job's report: the kernel's record and what the launcher knows, as JSON.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::outcome::Outcome;

/// Where the report goes. It is opened before the job runs: nobody should wait for a job whose
/// report has no place.
pub enum Destination {
    /// Standard error.
    Stderr,
    /// This file, now empty, and its name.
    File(File, PathBuf),
}

impl Destination {
    /// Opens `path` (`-`: standard error). What was in the file is gone, so that the report of an
    /// earlier run never passes for this one's.
    ///
    /// # Errors
    /// One line that says why it can't be.
    pub fn open(path: &Path) -> Result<Self, String> {
        if path == Path::new("-") {
            return Ok(Self::Stderr);
        }
        match File::create(path) {
            Ok(file) => Ok(Self::File(file, path.to_owned())),
            Err(error) => Err(format!("--report {}: {error}", path.display())),
        }
    }

    /// Writes the report of a run that took `wall`.
    ///
    /// # Errors
    /// One line that says what failed.
    pub fn write(&mut self, outcome: &Outcome, wall: Duration) -> Result<(), String> {
        let text = json(outcome, wall).map_err(|error| format!("--report: {error}"))?;
        match self {
            Self::Stderr => {
                let result = io::stderr().write_all(&text);
                result.map_err(|error| format!("--report -: {error}"))
            }
            Self::File(file, path) => {
                let result = file.write_all(&text);
                result.map_err(|error| format!("--report {}: {error}", path.display()))
            }
        }
    }
}

fn json(outcome: &Outcome, wall: Duration) -> serde_json::Result<Vec<u8>> {
    let mut report = outcome.record.clone();
    report.insert("exit_status".to_owned(), Value::from(outcome.status));
    let wall = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
    report.insert("wall_us".to_owned(), Value::from(wall));
    let mut text = serde_json::to_vec_pretty(&report)?;
    text.push(b'\n');
    Ok(text)
}
