//! Standard input, output and error: the caller's own, byte for byte and apart from each other.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::root;
use crate::testing::{Case, Job, Scratch, launcher};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("streams::a_hundred_megabytes_come_back", hundred_megabytes),
        Case::new("streams::all_bytes_pass", all_bytes),
        Case::new("streams::apart", || {
            let got = Job::sh("echo out; echo err >&2; echo out2")
                .run()?
                .has_status(0)?;
            ensure!(
                got.out() == "out\nout2\n" && got.err() == "err\n",
                "{}",
                got.shown()
            );
            Ok(())
        }),
        Case::new("streams::joined_keep_their_order", joined),
        Case::new("streams::no_input_is_its_end", || {
            Job::new(["--", "wc", "-c"]).run()?.is(0, "0\n")
        }),
        Case::new("streams::input_is_read_on_demand", on_demand),
        Case::new("streams::the_rest_is_the_callers", the_rest),
        Case::new("streams::a_loop_keeps_its_lines", a_loop),
        Case::new("streams::a_reader_that_left_is_a_broken_pipe", broken_pipe),
        Case::new("streams::a_stalled_error_doesnt_hold_up_output", stalled),
        Case::new("streams::a_full_disk_at_the_caller_is_told", full_disk),
        Case::new("streams::output_ends_when_the_job_closes_it", output_ends),
        Case::new("streams::closed_by_the_caller", closed_by_caller),
        Case::new("streams::an_input_that_cant_be_read", unreadable),
        Case::new("streams::closed_by_the_job", || {
            Job::sh("exec >&-; cat; echo x >&2; exit 9")
                .input("in")
                .run()?
                .has_status(9)
                .map(drop)
        }),
    ]
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            kiln_core::num::low8(state >> 32)
        })
        .collect()
}

fn hundred_megabytes() -> Result<()> {
    let bytes = noise(100_000_000);
    let job = Job::new(["--", "cat"]).input(bytes.clone());
    let got = job.deadline(Duration::from_secs(120)).run()?;
    ensure!(got.stdout == bytes, "{} bytes came back", got.stdout.len());
    got.has_status(0).map(drop)
}

fn all_bytes() -> Result<()> {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let got = Job::sh("cat >&2")
        .input(bytes.clone())
        .run()?
        .has_status(0)?;
    ensure!(
        got.stderr == bytes && got.stdout.is_empty(),
        "{}",
        got.shown()
    );
    Ok(())
}

/// Output and error in one pipe, as a shell's `2>&1` makes it.
fn joined() -> Result<()> {
    let (mut read, write) = std::io::pipe()?;
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done";
    let mut child = Command::new(launcher())
        .env("KILN_HOME", root::project())
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(write.try_clone()?)
        .stderr(write)
        .spawn()?;
    let mut text = String::new();
    read.read_to_string(&mut text)?;
    child.wait()?;
    let wanted: String = (1..=9).map(|i| format!("o{i}\ne{i}\n")).collect();
    ensure!(text == wanted, "{text:?}");
    Ok(())
}

/// A job that doesn't read takes nothing of the caller's input; one that reads a line's length
/// takes no more.
fn on_demand() -> Result<()> {
    let script = r#"printf 'abcdef' | { "$0" -- true; "$0" -- dd bs=2 count=1 2>/dev/null; cat; }"#;
    outer(script)?.is(0, "abcdef")
}

/// A shell reads a line; the next command gets the others, from a pipe and from a file.
fn the_rest() -> Result<()> {
    let job = r#"{ "$0" -- sh -c 'read x; echo "job $x"'; cat; }"#;
    let from_pipe = format!(r"(printf '1\n2\n'; sleep 1; echo 3) | {job}");
    outer(&from_pipe)?.is(0, "job 1\n2\n3\n")?;
    let scratch = Scratch::new("rest")?;
    let file = scratch.path("lines");
    fs::write(&file, "1\n2\n3\n")?;
    let from_file = format!("{job} < '{}'", file.display());
    outer(&from_file)?.is(0, "job 1\n2\n3\n")
}

fn a_loop() -> Result<()> {
    let script = r#"printf '1\n2\n3\n' | while read x; do "$0" -- echo "got $x"; done"#;
    outer(script)?.is(0, "got 1\ngot 2\ngot 3\n")
}

/// Runs a script on the host, with the launcher as `$0`.
fn outer(script: &str) -> Result<crate::testing::Got> {
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(launcher())
        .env("KILN_HOME", root::project());
    Job::of(command).run()
}

/// The job finds the descriptors closed that its caller has closed, as any program does. `run.sh`
/// is what notices it: this goes by way of the function that does.
fn closed_by_caller() -> Result<()> {
    let scratch = Scratch::new("closed")?;
    let run = scratch.path("run");
    let setup = root::project().join("harness/setup.sh");
    let text = format!(
        "#!/bin/bash\n. '{}'\nkiln_note_closed\nexec '{}' \"$@\"\n",
        setup.display(),
        launcher().display()
    );
    fs::write(&run, text)?;
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
    let job = "for fd in 0 1 2; do test -e /proc/self/fd/$fd && s=$s$fd; done; exit 1$s";
    // A status has eight bits.
    for (how, status) in [("", 1012), ("<&-", 112), (">&-", 102), ("2>&-", 101)] {
        let script = format!(r#""$0" -- sh -c '{job}' {how}"#);
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(&run);
        command.env("KILN_HOME", root::project());
        let got = Job::of(command).run()?;
        ensure!(got.status() == status % 256, "{how}: {}", got.shown());
    }
    Ok(())
}

/// That an input can't be read isn't its end.
fn unreadable() -> Result<()> {
    let script = r#""$0" -- cat < /; echo $?; "$0" -- cat 0>/dev/null; echo $?"#;
    let got = outer(script)?.has_status(0)?;
    ensure!(got.out() == "1\n1\n", "{}", got.shown());
    let err = got.err();
    ensure!(
        err.contains("Is a directory") && err.contains("Bad file descriptor"),
        "{}",
        got.shown()
    );
    Ok(())
}

fn broken_pipe() -> Result<()> {
    let script = r#"{ "$0" -- yes; echo "status $?" >&2; } | head -1"#;
    let got = outer(script)?.has_status(0)?;
    ensure!(
        got.out() == "y\n" && got.err().contains("status 141"),
        "{}",
        got.shown()
    );
    Ok(())
}

/// Nobody reads standard error, and 100 times the pipe's room goes there from another process.
fn stalled() -> Result<()> {
    let script = "(yes >&2) & seq 1000; exit 3";
    let mut child = Command::new(launcher())
        .env("KILN_HOME", root::project())
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // All of the output comes while standard error stands still. Its end comes with the launcher's,
    // which still has errors to deliver until their reader goes away.
    let stdout = child.stdout.take().context("no output")?;
    let lines = BufReader::new(stdout).lines().take(1000).count();
    drop(child.stderr.take());
    let status = child.wait()?;
    ensure!(lines == 1000, "{lines} lines");
    ensure!(status.code() == Some(3), "{status:?}");
    Ok(())
}

/// A reader of standard output sees its end while the job goes on.
fn output_ends() -> Result<()> {
    let start = std::time::Instant::now();
    let script = r#""$0" -- sh -c 'echo x; exec >&-; sleep 4' | { cat; echo end; }"#;
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(launcher())
        .env("KILN_HOME", root::project())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut text = vec![0; b"x\nend\n".len()];
    let read = child
        .stdout
        .take()
        .context("no output")?
        .read_exact(&mut text);
    let seen = start.elapsed();
    child.wait()?;
    read?;
    ensure!(text == b"x\nend\n", "{text:?}");
    ensure!(
        seen + Duration::from_secs(2) < start.elapsed(),
        "the end came late"
    );
    Ok(())
}

fn full_disk() -> Result<()> {
    let full = std::fs::File::options().write(true).open("/dev/full")?;
    let output = Command::new(launcher())
        .env("KILN_HOME", root::project())
        .args(["--", "sh", "-c", "trap '' PIPE; echo lost; exit 0"])
        .stdin(Stdio::null())
        .stdout(full)
        .output()?;
    let err = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(125),
        "{:?}: {err}",
        output.status
    );
    ensure!(err.contains("standard output"), "{err}");
    std::io::stdout().flush()?;
    Ok(())
}
