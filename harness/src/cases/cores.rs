//! Core files: as a debugger finds them, called as `core_pattern` says, and cut off where the disk ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use goblin::elf::{Elf, header::ET_CORE};

use crate::testing::{Case, Job, Scratch};

/// The notes of one thread: `NT_PRSTATUS`, `NT_PRPSINFO`, `NT_SIGINFO`, `NT_AUXV`, `NT_FILE` and `NT_PRFPREG` (linux/elf.h).
const NOTES: [u32; 6] = [1, 3, 0x5349_4749, 6, 0x4649_4C45, 2];

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("cores::are_delivered", delivered),
        Case::new("cores::are_named", named),
        Case::new("cores::end_where_the_disk_does", cut_off),
    ]
}

fn delivered() -> Result<()> {
    let scratch = Scratch::new("cores")?;
    let out = scratch.path("out");
    fs::create_dir_all(&out)?;
    let options = ["--out".as_ref(), out.as_os_str()];
    let script =
        "cd /out; cp /bin/busybox .; ulimit -c unlimited; exec ./busybox sh -c 'kill -SEGV $$'";
    Job::sh_with(options, script)
        .run()?
        .says(139, "signal 11")?;
    let core = out.join("core");
    let bytes = fs::read(&core)?;
    let elf = Elf::parse(&bytes)?;
    ensure!(elf.header.e_type == ET_CORE, "no core");
    let mut notes = BTreeSet::new();
    for note in elf.iter_note_headers(&bytes).context("no notes")? {
        notes.insert(note?.n_type);
    }
    ensure!(NOTES.iter().all(|kind| notes.contains(kind)), "{notes:?}");
    let stored = elf
        .program_headers
        .iter()
        .filter(|header| header.p_filesz > 0);
    ensure!(stored.count() > 5, "{:?}", elf.program_headers);
    debugged(&out.join("busybox"), &core)
}

/// What gdb says of it, where there is one.
fn debugged(program: &Path, core: &Path) -> Result<()> {
    let mut gdb = Command::new("gdb");
    gdb.args(["-batch", "-ex", "info threads", "-ex", "info registers rip"])
        .args(["-ex", "x/2i $rip", "-ex", "info proc mappings"])
        .args([program, core]);
    if Command::new("gdb").arg("--version").output().is_err() {
        return Ok(());
    }
    let got = Job::of(gdb).run()?;
    for text in [
        "terminated with signal SIGSEGV",
        "* 1 ",
        "rip ",
        "=> 0x",
        "/out/busybox",
    ] {
        ensure!(got.out().contains(text), "{text:?}: {}", got.shown());
    }
    Ok(())
}

/// As `core_pattern` and `core_uses_pid` say; there are none for programs to take.
fn named() -> Result<()> {
    let script = "cd /tmp; sys=/proc/sys/kernel; end() { sleep 100 & p=$!; sleep 0.2; kill -$1 $p; wait $p; echo $?; }
        end SEGV; ulimit -c unlimited; echo '/tmp/c-%e-%s-%p%%' > $sys/core_pattern; cat $sys/core_pattern
        end ABRT; [ -f c-sleep-6-$p% ] && echo named; head -c 4 c-* | tail -c 3; rm c-*; echo
        echo '|/bin/cat' > $sys/core_pattern; cat $sys/core_pattern; echo d/core > $sys/core_pattern; end SEGV
        mkdir d; echo 1 > $sys/core_uses_pid; end SEGV; ls d/core.$p >/dev/null; echo $?; ls
        echo 'd/%E' > $sys/core_pattern; end SEGV; ls d | grep -c busybox; echo > $sys/core_pattern; end SEGV
        ls -a | grep -c ^.$p; echo 0 > $sys/core_uses_pid; end SEGV; ls";
    let got = Job::new(["--", "sh", "-c", script]).run()?;
    ensure!(
        got.err().contains("Operation not supported"),
        "{}",
        got.shown()
    );
    let pattern = "/tmp/c-%e-%s-%p%%\n";
    let expected =
        format!("139\n{pattern}134\nnamed\nELF\n{pattern}139\n139\n0\nd\n139\n1\n139\n1\n139\nd\n");
    ensure!(
        (got.status(), got.out()) == (0, expected),
        "{}",
        got.shown()
    );
    Ok(())
}

/// A core that finds no more room is told of, as far as it goes.
fn cut_off() -> Result<()> {
    let script = "mkdir /tmp/m; mount -t tmpfs -o size=64k none /tmp/m; cd /tmp/m; ulimit -c unlimited
        (sh -c 'kill -SEGV $$'; echo $?) 2>&1; head -c 4 core | tail -c 3; echo
        rm core; dd if=/dev/zero of=full bs=4k count=20 2>/dev/null; (sh -c 'kill -SEGV $$'; echo $?) 2>&1; wc -c < core
        ulimit -f 10; rm *; (sh -c 'kill -SEGV $$'; echo $?) 2>&1; wc -c < core";
    let told = "Segmentation fault (core dumped)\n139\n";
    Job::new(["--", "sh", "-c", script])
        .run()?
        .is(0, &format!("{told}ELF\n{told}0\n{told}5120\n"))
}
