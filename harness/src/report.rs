//! The job's report: the kernel's record and what the launcher knows, as JSON.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::outcome::Outcome;

/// Writes the report to `path` (`-`: standard error).
///
/// # Errors
/// Those of creating and writing the file.
pub fn write(path: &Path, outcome: &Outcome, wall: Duration) -> std::io::Result<()> {
    let mut report = outcome.record.clone();
    report.insert("exit_status".to_owned(), Value::from(outcome.status));
    let wall = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
    report.insert("wall_us".to_owned(), Value::from(wall));
    let mut text = serde_json::to_vec_pretty(&report)?;
    text.push(b'\n');
    if path == Path::new("-") {
        std::io::stderr().write_all(&text)
    } else {
        File::create(path)?.write_all(&text)
    }
}
