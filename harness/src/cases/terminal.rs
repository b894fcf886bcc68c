//! `-t`: the job has a terminal, and the caller's is as before afterwards.
//!
//! script(1) (package bsdutils) gives the launcher a terminal of its own.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::root;
use crate::testing::{Case, Got, Job, launcher};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("terminal::the_job_has_one", has_one),
        Case::new("terminal::the_callers_is_restored", restored),
        Case::new("terminal::lines_and_signals", lines_and_signals),
        Case::new("terminal::the_status_arrives", status),
        Case::new("terminal::jobs_stop_and_go_on", job_control),
        Case::new("terminal::the_window_changes", window_changes),
    ]
}

/// Runs `host`, a script that may start `$RUN`, on a terminal of 30 rows and 100 columns; `$RUN` is
/// `run.sh -t -- sh -c JOB`. What the script `typing` prints is typed there.
fn on_terminal(host: &str, job: &str, typing: &str) -> Result<Got> {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"eval "$TYPING" | script -qec "$HOST" /dev/null"#])
        .env("TYPING", typing)
        .env("HOST", format!("stty rows 30 cols 100; {host}"))
        .env("RUN", r#"eval "$KILN" -t -- sh -c '"$JOB"'"#)
        .env("JOB", job)
        .env("KILN", launcher())
        .env("KILN_HOME", root::project())
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm");
    Job::of(command).run()?.has_status(0)
}

fn has_one() -> Result<()> {
    let job = "test -t 0 && test -t 1 && test -t 2 && stty size && echo $TERM";
    let got = on_terminal(r#"eval "$RUN""#, job, "sleep 3")?;
    ensure!(got.out() == "30 100\r\nxterm\r\n", "{}", got.shown());
    Ok(())
}

fn restored() -> Result<()> {
    let host = r#"a=$(stty -g); eval "$RUN"; b=$(stty -g); test "$a" = "$b" && echo same"#;
    let got = on_terminal(host, "stty raw -echo", "sleep 3")?;
    ensure!(got.out() == "same\r\n", "{}", got.shown());
    Ok(())
}

/// Typed lines are echoed once, and Ctrl-C is the guest's terminal's.
fn lines_and_signals() -> Result<()> {
    let job = r#"trap "echo caught; exit 3" INT; read a; echo "got $a"; sleep 9"#;
    let typing = r#"sleep 2; printf "x\n"; sleep 1; printf "\003"; sleep 2"#;
    let got = on_terminal(r#"eval "$RUN"; echo "status $?""#, job, typing)?;
    let wanted = "x\r\ngot x\r\n^Ccaught\r\nstatus 3\r\n";
    ensure!(got.out() == wanted, "{}", got.shown());
    Ok(())
}

fn status() -> Result<()> {
    let got = on_terminal(r#"eval "$RUN"; echo "status $?""#, "exit 7", "sleep 3")?;
    ensure!(got.out() == "status 7\r\n", "{}", got.shown());
    Ok(())
}

/// Ctrl-Z stops the foreground job of a shell, which goes on when the shell says so.
fn job_control() -> Result<()> {
    let typing = r#"sleep 3; printf "sleep 99\n"; sleep 1; printf "\032"; sleep 1; printf "fg\n"; sleep 1; printf "\003"; sleep 1; printf "exit 3\n"; sleep 2"#;
    let got = on_terminal(r#"eval "$RUN"; echo "status $?""#, "exec sh -i", typing)?;
    let said = got.out();
    let stopped = said.find("^Z[1]+  Stopped");
    let ended = said.find("sleep 99\r\n^C\r\n");
    ensure!(stopped.is_some() && stopped < ended, "{}", got.shown());
    ensure!(said.ends_with("status 3\r\n"), "{}", got.shown());
    Ok(())
}

/// A change of the caller's window reaches the job, and its signal the foreground.
fn window_changes() -> Result<()> {
    let host = r#"(sleep 3; stty rows 31 cols 99 < /dev/tty) & eval "$RUN"; echo "status $?""#;
    let job = r#"trap "stty size; exit 5" WINCH; stty size; while :; do sleep .1; done"#;
    let got = on_terminal(host, job, "sleep 6")?;
    let wanted = "30 100\r\n31 99\r\nstatus 5\r\n";
    ensure!(got.out() == wanted, "{}", got.shown());
    Ok(())
}
