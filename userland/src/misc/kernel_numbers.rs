//! Numbers of the kernel's in `/proc/sys`: each takes what it has already, and refuses what it can't be.
use crate::out::say;
use std::ffi::CStr;
use std::fs;
use std::io::ErrorKind;

/// Which, and what none of them may become.
const NUMBERS: [(&str, &[&str]); 14] = [
    ("kernel/msgmni", &["-1", "32769", "2000000000", "abc", "0x8001"]),
    ("kernel/msgmax", &["-1", "2147483648", "abc"]),
    ("kernel/msgmnb", &["-1", "2147483648", "8k"]),
    ("kernel/shmmni", &["-1", "32769"]),
    ("kernel/sem", &["x"]),
    ("kernel/pid_max", &["-1", "0", "300", "4194305"]),
    ("kernel/sched_rr_timeslice_ms", &["ten"]),
    ("kernel/tainted", &["none"]),
    ("kernel/seccomp/actions_avail", &[]),
    ("fs/mqueue/msg_max", &["0", "65537"]),
    ("fs/mqueue/msg_default", &["0", "65537"]),
    ("fs/mqueue/msgsize_max", &["127", "16777217"]),
    ("fs/mqueue/msgsize_default", &["100", "16777217"]),
    ("fs/mqueue/queues_max", &["many"]),
];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (name, wrong) in NUMBERS {
        let path = format!("/proc/sys/{name}");
        let Ok(own) = fs::read_to_string(&path) else {
            say!("{name}: not there");
            continue;
        };
        say!("{name}: lines {}, the same again {}", own.lines().count(), written(&path, &own));
        for value in wrong {
            let answer = written(&path, value);
            let kept = fs::read_to_string(&path).is_ok_and(|now| now == own);
            say!("  {value}: {answer}, kept {kept}");
        }
    }
    // Other bases, and spaces, are read as C does.
    for value in ["0x2000", "020000", "  8192 \n"] {
        say!("{value:?}: {}", written("/proc/sys/kernel/msgmax", value));
    }
    for name in ["kernel/domainname", "kernel/hostname"] {
        let path = format!("/proc/sys/{name}");
        let own = fs::read_to_string(&path).unwrap_or_default();
        say!("{name}: {} the same again {}", own.ends_with('\n'), written(&path, &own));
    }
    packed();
    slack();
    0
}

/// What writing this comes to, by name.
fn written(path: &str, value: &str) -> String {
    match fs::write(path, value) {
        Ok(()) => "ok".into(),
        Err(error) => match error.kind() {
            ErrorKind::InvalidInput => "EINVAL".into(),
            _ => format!("error {}", error.raw_os_error().unwrap_or(0)),
        },
    }
}

/// The kernel's options are told in gzip's format.
fn packed() {
    let bytes = fs::read("/proc/config.gz").unwrap_or_default();
    say!("options: {:x?}, more {}", bytes.get(..3), bytes.len() > 500);
}

/// The timer slack is a file, too.
fn slack() {
    const PATH: &str = "/proc/self/timerslack_ns";
    let read = || fs::read_to_string(PATH).unwrap_or_default();
    say!("slack {:?} {}", read(), written(PATH, "70000"));
    say!("slack {:?} {}", read(), written(PATH, "0"));
    say!("slack {:?} {}", read(), written(PATH, "little"));
}
