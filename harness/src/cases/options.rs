//! The command line: what is refused, what the job sees of it, and the report.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::testing::{Case, Got, Job, Scratch};
use crate::{recipe, root};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("options::bad_ones_are_one_line", bad_ones),
        Case::new("options::what_comes_later_says_so", later),
        Case::new("options::help_and_version", help),
        Case::new("options::no_kvm_is_said_so", no_kvm),
        Case::new("options::after_the_dashes_is_the_jobs", || {
            Job::new(["--", "echo", "--timeout", "2"])
                .run()?
                .is(0, "--timeout 2\n")
        }),
        Case::new("options::environment", environment),
        Case::new("options::arguments_arrive_whole", arguments),
        Case::new("options::user_and_directory", user),
        Case::new("options::the_report_is_always_written", report),
        Case::new("options::dry_run_starts_nothing", dry_run),
        Case::new("options::strace_shows_calls", strace),
        Case::new("options::no_words_run_the_sample", sample),
        Case::new("options::a_root_too_large_for_memory", too_large),
    ]
}

fn bad_ones() -> Result<()> {
    // Longer than Linux's command lines may be.
    let long = "x".repeat(4096);
    let lines: [&[&str]; 22] = [
        &["--nonsense", "true"],
        &["--memory", "x", "true"],
        &["--memory", "12", "true"],
        &["--cpus", "0", "true"],
        &["--cpus", "65", "true"],
        &["--timeout", "-1", "true"],
        &["--user", "root", "true"],
        &["--in", "/no/such", "true"],
        &["--in", "/etc/passwd", "true"],
        &["--root", "/no/such", "true"],
        &["--disk", "/no/such", "true"],
        &["--kernel", "/no/such", "true"],
        &["-t", "true"],
        &["--report", "/no/such/dir/report", "--cpus", "x", "true"],
        // Nothing runs without a place for its report.
        &["--report", "/no/such/dir/report", "echo", "ran"],
        &["--memory", "-1", "true"],
        &["--env", "=x", "true"],
        &["--gdb", "0", "true"],
        &["--kernel", "/etc/passwd", "true"],
        &["--kernel", "/etc", "true"],
        &["--out", "/etc/passwd", "true"],
        &["--append", &long, "true"],
    ];
    for line in lines {
        let got = Job::new(line).run()?;
        let shown = got.shown();
        let count = got.err().lines().count();
        ensure!(got.stdout.is_empty(), "{line:?}: {shown}");
        ensure!(count == 1, "{line:?}: {shown}");
        ensure!(
            got.err().lines().all(|line| line.starts_with("kiln: ")),
            "{line:?}: {shown}"
        );
        ensure!(got.status() == 125, "{line:?}: {shown}");
    }
    Ok(())
}

fn later() -> Result<()> {
    Job::new(["--rw", "--", "true"])
        .run()?
        .says(125, "ext4 images")
}

fn no_kvm() -> Result<()> {
    let got = Job::new(["--accel", "kvm", "--", "true"]).run()?;
    if crate::qemu::kvm_is_usable() {
        return got.is(0, "");
    }
    got.says(125, "has no KVM")
}

fn help() -> Result<()> {
    let help = Job::new(["--help"]).run()?.has_status(0)?;
    ensure!(
        help.out().contains("--timeout") && help.err().is_empty(),
        "{}",
        help.shown()
    );
    let version = Job::new(["--version"]).run()?.has_status(0)?;
    ensure!(
        version.out().contains(env!("CARGO_PKG_VERSION")),
        "{}",
        version.shown()
    );
    Ok(())
}

fn environment() -> Result<()> {
    let fixed = "HOME=/root\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";
    let sorted = |options: &[&str]| -> Result<Got> {
        let words = options.iter().copied().chain(["--", "env"]);
        let mut got = Job::new(words).run()?;
        let mut lines: Vec<_> = got.stdout.split_inclusive(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        got.stdout = lines.concat();
        Ok(got)
    };
    sorted(&[])?.is(0, fixed)?;
    let more = sorted(&["--env", "A=1", "-e", "A=2=3", "--env", "NO_SUCH_VARIABLE"])?;
    more.is(0, &format!("A=2=3\n{fixed}"))
}

fn arguments() -> Result<()> {
    let odd = [
        "a b",
        "",
        "'\"\\",
        "$x\n",
        "*",
        "\u{fc}\u{1F525}",
        "-",
        "--in",
    ];
    let words = ["--", "/bin/busybox", "printf", "<%s>"]
        .into_iter()
        .chain(odd);
    let wanted: String = odd.iter().map(|word| format!("<{word}>")).collect();
    Job::new(words).run()?.is(0, &wanted)?;
    let long = "x".repeat(100_000);
    Job::new(["--", "/bin/busybox", "echo", "-n", &long])
        .run()?
        .is(0, &long)
}

fn user() -> Result<()> {
    let options = ["--user", "7:8", "--cwd", "/tmp", "--hostname", "oven"];
    let script =
        "id -u; id -g; pwd; hostname; echo $HOME; touch /tmp/x && ls -n /tmp/x | cut -c1-30";
    let got = Job::sh_with(options, script).run()?.has_status(0)?;
    let out = got.out();
    ensure!(
        out.starts_with("7\n8\n/tmp\noven\n/\n-rw-r--r--"),
        "{}",
        got.shown()
    );
    Job::sh_with(["--cwd", "/no/such"], "true")
        .run()?
        .says(125, "/no/such")
}

fn read_report(path: &std::path::Path) -> Result<Value> {
    let text = fs::read(path).context("no report")?;
    Ok(serde_json::from_slice(&text)?)
}

fn report() -> Result<()> {
    let scratch = Scratch::new("report")?;
    let path = scratch.path("r.json");
    let cases: [(&[&str], i64, &str); 6] = [
        (&["--", "sh", "-c", "exit 3"], 3, "exited"),
        (&["--", "sh", "-c", "kill -9 $$"], 137, "signaled"),
        (&["--", "/no/such"], 127, "notfound"),
        (&["--timeout", "3", "--", "sleep", "9"], 124, "timeout"),
        (&["--nonsense"], 125, "failed"),
        (&["--append", "fault=ud", "true"], 125, "panic"),
    ];
    for (line, status, kind) in cases {
        // A report of the run before must not pass for this one's.
        let _ = fs::remove_file(&path);
        let first = ["--report".into(), path.clone().into_os_string()];
        let words = first.into_iter().chain(line.iter().map(Into::into));
        let got = Job::new(words).run()?;
        let report = read_report(&path).with_context(|| got.shown())?;
        let field = |key: &str| report.get(key).cloned().unwrap_or_default();
        ensure!(field("exit_status") == status, "{line:?}: {report}");
        ensure!(field("status") == kind, "{line:?}: {report}");
        ensure!(
            i64::from(got.status()) == status,
            "{line:?}: {}",
            got.shown()
        );
    }
    counts_are_there(&path)?;
    // A report that can't be kept is a failure that tells what became of the job.
    let words = ["--report", "/dev/full", "--", "sh", "-c", "exit 3"];
    Job::new(words).run()?.says(125, "the status was 3")
}

fn counts_are_there(path: &std::path::Path) -> Result<()> {
    let first = ["--report".into(), path.as_os_str().to_owned()];
    let rest = ["--", "sh", "-c", "cat /etc/passwd; true"].map(Into::into);
    Job::new(first.into_iter().chain(rest))
        .run()?
        .has_status(0)?;
    let report = read_report(path)?;
    for key in ["boot_us", "job_us", "peak_kib", "faults", "wall_us"] {
        let value = report.get(key).and_then(Value::as_u64).unwrap_or(0);
        ensure!(value > 0, "{key}: {report}");
    }
    for call in ["openat", "execve", "exit_group"] {
        let pointer = format!("/syscalls/{call}");
        let value = report
            .pointer(&pointer)
            .and_then(Value::as_u64)
            .unwrap_or(0);
        ensure!(value > 0, "{call}: {report}");
    }
    Ok(())
}

fn dry_run() -> Result<()> {
    let got = Job::new(["--dry-run", "--", "true"]).run()?.has_status(0)?;
    ensure!(
        got.out().starts_with("qemu-system-x86_64 -M microvm,"),
        "{}",
        got.shown()
    );
    Ok(())
}

fn strace() -> Result<()> {
    let got = Job::new(["--strace", "--", "/bin/busybox", "echo", "seen"])
        .run()?
        .has_status(0)?;
    ensure!(got.out() == "seen\n", "{}", got.shown());
    ensure!(
        got.err().contains(r#"write(1, "seen\n", 5)"#),
        "{}",
        got.shown()
    );
    Ok(())
}

fn sample() -> Result<()> {
    let dir = root::project().join("harness/sample");
    let script = fs::read_to_string(dir.join("job.sh"))?;
    let mut host = Command::new(recipe::program("busybox")?);
    let here = script.replace("cd /in", &format!("cd '{}'", dir.display()));
    host.args(["sh", "-c", &here]);
    let wanted = Job::of(host).run()?.has_status(0)?;
    let none: [&str; 0] = [];
    let got = Job::new(none).run()?.has_status(0)?;
    ensure!(
        got.out() == wanted.out() && got.out().contains("firings"),
        "{}",
        got.shown()
    );
    ensure!(got.err().lines().count() == 1, "{}", got.shown());
    Ok(())
}

fn too_large() -> Result<()> {
    let scratch = Scratch::new("large")?;
    fs::write(scratch.path("big"), vec![1; 20 << 20])?;
    let words = ["--memory", "16M", "--root"].map(Into::into).into_iter();
    let rest = [scratch.0.clone().into_os_string(), "true".into()];
    Job::new(words.chain(rest)).run()?.says(125, "--memory")
}
