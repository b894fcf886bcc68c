//! The boot: memory sizes, machines, kernels that aren't, and the kernel's tests of itself.

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::bench::empty;
use crate::qemu;
use crate::root;
use crate::testing::{Case, Job, Scratch};

/// Tests inside the kernel (`kernel/src/selftest`): they end like a job with status 0.
const SELFTESTS: [&str; 11] = [
    "user", "ring3", "sched", "memory", "timer", "fpu", "checksum", "copies", "vm", "reclaim",
    "disks",
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("boot::q35_greets", q35_greets),
        Case::new("boot::no_record_is_a_failure", no_record),
        Case::new("boot::broken_kernels_end", broken_kernels),
        Case::new("boot::broken_roots_end", broken_roots),
        Case::new("boot::options_are_told", options_told),
        Case::new("boot::the_machine_is_told", machine_told),
        Case::new("boot::numbers_can_be_bounded", numbers_bounded),
        Case::new("boot::pipes_can_be_bounded", pipes_bounded),
        Case::new("boot::options_of_control_groups_are_told", group_options),
    ];
    for size in ["16M", "32M", "64M", "1G", "3G", "8G"] {
        cases.push(Case::new(&format!("boot::memory_{size}"), move || {
            Job::new(["--memory", size, "--", "/bin/busybox", "true"])
                .run()?
                .is(0, "")
        }));
    }
    for name in ["smap", "smep"] {
        cases.push(Case::new(&format!("boot::selftest_{name}"), move || {
            stopped(name)
        }));
    }
    for name in SELFTESTS {
        cases.push(Case::new(&format!("boot::selftest_{name}"), move || {
            selftest(name)
        }));
    }
    cases
}

fn selftest(name: &str) -> Result<()> {
    let scratch = Scratch::new("selftest")?;
    let disk = scratch.path("disk");
    fs::write(&disk, vec![0; 1 << 20])?;
    let test = format!("selftest={name}");
    // One of them reads and writes four times the memory there is.
    let got = Job::new(
        ["--memory", "64M", "--append", &test, "--kernel"]
            .map(OsString::from)
            .into_iter()
            .chain([root::selftest_kernel().into(), "--disk".into()])
            .chain([disk.into_os_string(), "--".into(), "true".into()]),
    )
    .run()?;
    let fine = got.status() == 0 || got.err().contains("QEMU ended with status 33");
    ensure!(fine, "{}", got.shown());
    Ok(())
}

/// A kernel that reads or executes a program's memory by mistake ends with a report.
fn stopped(name: &str) -> Result<()> {
    let test = format!("selftest={name}");
    let options = ["--append", &test, "--timeout", "5", "--kernel"].map(OsString::from);
    let rest = [root::selftest_kernel().into(), "true".into()];
    let got = Job::new(options.into_iter().chain(rest)).run()?;
    let err = got.err();
    ensure!(
        got.status() == 125 && err.contains("page fault") && !err.contains("nothing stopped it"),
        "{}",
        got.shown()
    );
    Ok(())
}

/// The same ELF on another machine, as far as the serial line.
fn q35_greets() -> Result<()> {
    let mut command = Command::new(qemu::PROGRAM);
    command
        .args(["-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256M"])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ])
        .args(["-serial", "stdio", "-append", "verbose"])
        .args(["-device", "isa-debug-exit,iobase=0x501,iosize=2", "-kernel"])
        .arg(root::kernel());
    let got = Job::of(command).run()?;
    ensure!(got.out().contains("Kiln"), "no greeting: {}", got.shown());
    // 0x10 written to the debug exit: a clean end.
    ensure!(got.status() == 0x21, "no clean exit: {}", got.shown());
    Ok(())
}

/// QEMU ends, even with the right value, but nobody told how the job went.
fn no_record() -> Result<()> {
    let scratch = Scratch::new("empty")?;
    let kernel = scratch.path("kernel");
    empty::write(&kernel)?;
    let args = ["--kernel".into(), kernel.into_os_string(), "true".into()];
    Job::new(args).run()?.says(125, "no status record")
}

/// Whatever is wrong with the ELF, it ends with one line.
fn broken_kernels() -> Result<()> {
    let scratch = Scratch::new("kernels")?;
    let whole = fs::read(root::kernel())?;
    let cut = |len: usize| whole.get(..len).unwrap_or(&whole).to_vec();
    let broken = [
        Vec::new(),
        b"\x7fELF".to_vec(),
        vec![0; 70_000],
        cut(64),
        cut(4096),
    ];
    for (number, bytes) in broken.into_iter().enumerate() {
        let kernel = scratch.path(&format!("kernel{number}"));
        fs::write(&kernel, bytes)?;
        let args = ["--timeout", "5", "--kernel"].map(Into::into);
        let rest = [kernel.into_os_string(), "true".into()];
        let got = Job::new(args.into_iter().chain(rest)).run()?;
        ensure!(
            [124, 125].contains(&got.status()),
            "kernel {number}: {}",
            got.shown()
        );
        got.says(125, "")?;
    }
    Ok(())
}

/// A root that is cut off is refused with one line, at whatever place.
fn broken_roots() -> Result<()> {
    let scratch = Scratch::new("roots")?;
    let whole = fs::read(root::image()?)?;
    for len in [2048, 4096, 40_960, whole.len() / 2] {
        let image = scratch.path("root.erofs");
        fs::write(&image, whole.get(..len).unwrap_or(&whole))?;
        let args = ["--timeout", "5", "--root"].map(Into::into);
        let rest = [image.into_os_string(), "true".into()];
        let got = Job::new(args.into_iter().chain(rest)).run()?;
        ensure!(
            [125, 126, 127, 135].contains(&got.status()),
            "{len}: {}",
            got.shown()
        );
    }
    Ok(())
}

/// `/proc/config.gz` is a whole archive and says what there is.
fn options_told() -> Result<()> {
    let script = "zcat /proc/config.gz | grep -cE '^CONFIG_(SYSVIPC|SECCOMP|HZ)=' && zcat /proc/config.gz | grep -c _NS=";
    Job::new(["--", "sh", "-c", script]).run()?.is(1, "3\n0\n")
}

/// `/proc` tells what the kernel was told, and how long it had nothing to do.
fn machine_told() -> Result<()> {
    let script = "sleep 0.3; grep -c verbose /proc/cmdline; read up idle < /proc/uptime; [ ${idle#0.0} = $idle ]; echo $?";
    let got = Job::new(["--append", "verbose", "--", "sh", "-c", script]).run()?;
    ensure!(got.out() == "1\n0\n", "{}", got.shown());
    Ok(())
}

/// Options of cgroup2 are those of the last mount, for all of them. (On Linux it is so, too, and would change the machine's.)
fn group_options() -> Result<()> {
    let script = "mkdir /tmp/a /tmp/b; t() { mount -t cgroup2 -o \"$1\" g /tmp/b && grep ' /tmp/a ' /proc/mounts
        umount /tmp/b; }; mount -t cgroup2 g /tmp/a
        t nsdelegate; t memory_recursiveprot,nsdelegate; t rw";
    Job::new(["--", "sh", "-c", script]).run()?.is(
        0,
        "g /tmp/a cgroup2 rw,relatime,nsdelegate 0 0\n\
         g /tmp/a cgroup2 rw,relatime,nsdelegate,memory_recursiveprot 0 0\n\
         g /tmp/a cgroup2 rw,relatime 0 0\n",
    )
}

/// `pipe-max-size` bounds what pipes hold of those who may not go beyond limits.
fn pipes_bounded() -> Result<()> {
    let script = "cd /proc/sys/fs; echo 5000 > pipe-max-size; cat pipe-max-size
        echo 'root::0:0::/:/bin/sh\nu::1000:1000::/:/bin/sh' > /etc/passwd
        cat > /tmp/fill <<'END'
{ i=0; while timeout 1 head -c 4096 /dev/zero; do i=$((i + 1)); done; echo $i >&2; } | sleep 5
END
        sh /tmp/fill 2>&1 | grep [0-9]; su u -c 'sh /tmp/fill' 2>&1 | grep [0-9]";
    Job::new(["--", "sh", "-c", script])
        .run()?
        .is(0, "8192\n16\n2\n")
}

/// Process numbers begin anew below `pid_max`, and a name of the domain's can be given.
fn numbers_bounded() -> Result<()> {
    let script = "cd /proc/sys/kernel; echo 400 > pid_max; i=0; most=0
        while [ $i -lt 450 ]; do i=$((i + 1)); true & [ $! -le $most ] || most=$!; wait $!; done
        echo $most; echo kiln.example > domainname; cat domainname";
    Job::new(["--", "sh", "-c", script])
        .run()?
        .is(0, "399\nkiln.example\n")
}
