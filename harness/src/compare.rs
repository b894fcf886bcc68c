//! `harness/compare.sh`: one job on Kiln and on Linux, and whether standard output, standard error, the
//! status and `/out` agree. The status is 0 when they do, 1 when they don't, 125 when either couldn't be run.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::options::{self, NoRun};
use crate::outcome::FAILED;

const USAGE: &str = "compare.sh [--keep DIR] [OPTIONS OF run.sh] [--] PROGRAM [ARG...]\n\n\
    Runs the job on Kiln and on Linux. --keep DIR: their output stays in DIR. --out DIR: what they leave in\n\
    /out arrives in DIR/kiln and DIR/linux, and is compared, too.\n";

/// The two launchers, by what follows `kiln-` in their names, and the directories of their output.
const SIDES: [(&str, &str); 2] = [("run", "kiln"), ("linux", "linux")];

/// What one run gave.
struct Run {
    status: i32,
    took: Duration,
    dir: PathBuf,
}

/// The command.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    match compare(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kiln: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn compare(mut args: Vec<OsString>) -> Result<bool> {
    let kept = match args.get(1).is_some_and(|word| word == "--keep") {
        true => args.drain(1..3.min(args.len())).nth(1).map(PathBuf::from),
        false => None,
    };
    let options = match options::parse(&args) {
        Ok(options) => options,
        Err(NoRun::Text(_)) => {
            print!("{USAGE}");
            return Ok(true);
        }
        Err(NoRun::Bad(why)) => bail!(why),
    };
    let scratch = tempfile::tempdir()?;
    let dir = kept.unwrap_or_else(|| scratch.path().to_owned());
    let input = scratch.path().join("stdin");
    let mut spool = File::create(&input)?;
    if !std::io::stdin().is_terminal() {
        std::io::copy(&mut std::io::stdin(), &mut spool)?;
    }
    let mut runs = Vec::new();
    for (launcher, side) in SIDES {
        let args = with_out(&args, options.output.as_deref(), side);
        runs.push(run(launcher, &args, &input, dir.join(side))?);
    }
    let [kiln, linux] = runs.as_slice() else {
        bail!("a run is missing")
    };
    let mut differences = Vec::new();
    if kiln.status != linux.status {
        differences.push(format!(
            "status: {} on Kiln, {} on Linux",
            kiln.status, linux.status
        ));
    }
    for stream in ["stdout", "stderr"] {
        let texts = (
            fs::read(kiln.dir.join(stream))?,
            fs::read(linux.dir.join(stream))?,
        );
        differences.extend(first_difference(stream, &texts.0, &texts.1));
    }
    if let Some(out) = &options.output {
        let trees = (listing(&out.join("kiln"))?, listing(&out.join("linux"))?);
        differences.extend(first_difference(
            "/out",
            trees.0.as_bytes(),
            trees.1.as_bytes(),
        ));
    }
    let times = format!(
        "{:.1} s on Kiln, {:.1} s on Linux",
        kiln.took.as_secs_f64(),
        linux.took.as_secs_f64()
    );
    match differences.as_slice() {
        [] => println!("equal (status {}; {times})", kiln.status),
        _ => println!("different ({times})\n  {}", differences.join("\n  ")),
    }
    Ok(differences.is_empty())
}

/// The words for one side, with a directory of its own for `/out`.
fn with_out(args: &[OsString], out: Option<&Path>, side: &str) -> Vec<OsString> {
    let mut words = args.iter().skip(1).cloned().collect::<Vec<_>>();
    let Some(out) = out else { return words };
    let place = words
        .iter()
        .position(|word| word == "--out" || word.as_bytes().starts_with(b"--out="));
    if let Some(at) = place {
        let old = if words.get(at).is_some_and(|word| word == "--out") {
            2
        } else {
            1
        };
        words.splice(
            at..at + old,
            [OsString::from("--out"), out.join(side).into_os_string()],
        );
    }
    words
}

fn run(launcher: &str, args: &[OsString], input: &Path, dir: PathBuf) -> Result<Run> {
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let program = std::env::current_exe()?.with_file_name(format!("kiln-{launcher}"));
    let started = Instant::now();
    let status = Command::new(&program)
        .args(args)
        .stdin(File::open(input)?)
        .stdout(Stdio::from(File::create(dir.join("stdout"))?))
        .stderr(Stdio::from(File::create(dir.join("stderr"))?))
        .status()
        .with_context(|| program.display().to_string())?;
    let status = status.code().unwrap_or(-1);
    let said = fs::read(dir.join("stderr"))?;
    if status == i32::from(FAILED) && said.starts_with(b"kiln: ") {
        bail!("{launcher}: {}", String::from_utf8_lossy(&said).trim());
    }
    let took = started.elapsed();
    Ok(Run { status, took, dir })
}

/// The first line in which two texts differ.
fn first_difference(name: &str, kiln: &[u8], linux: &[u8]) -> Option<String> {
    if kiln == linux {
        return None;
    }
    let mut pairs = (
        kiln.split(|byte| *byte == b'\n'),
        linux.split(|byte| *byte == b'\n'),
    );
    let show = |line: Option<&[u8]>| match line {
        Some(line) => format!("{:?}", String::from_utf8_lossy(line)),
        None => "nothing".to_owned(),
    };
    for number in 1.. {
        let (a, b) = (pairs.0.next(), pairs.1.next());
        if a != b {
            return Some(format!(
                "{name}, line {number}: {} on Kiln, {} on Linux",
                show(a),
                show(b)
            ));
        }
    }
    None
}

/// What is in a directory, down to the last byte, as lines in the order of names.
fn listing(dir: &Path) -> Result<String> {
    use sha2::{Digest, Sha256};
    let mut lines = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).with_context(|| at.display().to_string())? {
            let path = entry?.path();
            let meta = fs::symlink_metadata(&path)?;
            let contents = if meta.is_file() {
                let mut hash = Sha256::new();
                hash.update(fs::read(&path)?);
                hash.finalize()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect()
            } else if meta.is_symlink() {
                fs::read_link(&path)?.display().to_string()
            } else {
                String::new()
            };
            if meta.is_dir() {
                todo.push(path.clone());
            }
            let name = path.strip_prefix(dir)?.as_os_str();
            lines.push(line(name, &meta, &contents));
        }
    }
    lines.sort();
    Ok(lines.join("\n"))
}

fn line(name: &OsStr, meta: &fs::Metadata, contents: &str) -> String {
    let owner = (meta.uid(), meta.gid());
    format!(
        "{name:?} {:o} {owner:?} {} {contents}",
        meta.mode(),
        meta.nlink()
    )
}
