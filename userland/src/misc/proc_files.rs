//! The files of /proc that a shell's tools read are there and have their form (proc(5)).
use crate::out::say;
use crate::sys::{file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let text = |path: &CStr| {
        file::slurp(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    };
    let pid = process::getpid().unwrap_or(0).to_string();
    let stat = text(c"/proc/self/stat");
    say!("stat begins with the pid: {}", stat.starts_with(&format!("{pid} (")));
    say!("stat fields: {}", stat.split_whitespace().count());
    let status = text(c"/proc/self/status");
    for key in ["Name:", "State:", "Pid:", "PPid:", "Uid:", "VmRSS:", "Threads:", "SigBlk:"] {
        say!("status {key} {}", status.lines().any(|l| l.starts_with(key)));
    }
    say!("cmdline ends with NUL: {}", text(c"/proc/self/cmdline").ends_with('\0'));
    let meminfo = text(c"/proc/meminfo");
    for key in ["MemTotal:", "MemFree:", "MemAvailable:", "Buffers:", "Cached:", "SwapTotal:"] {
        say!("meminfo {key} {}", meminfo.lines().any(|l| l.starts_with(key) && l.ends_with(" kB")));
    }
    say!("uptime has two numbers: {}", text(c"/proc/uptime").split_whitespace().filter(|n| n.parse::<f64>().is_ok()).count() == 2);
    say!("loadavg has five fields: {}", text(c"/proc/loadavg").split_whitespace().count() == 5);
    say!("stat has cpu and btime: {} {}", text(c"/proc/stat").starts_with("cpu "), text(c"/proc/stat").contains("\nbtime "));
    say!("mounts has a root: {}", text(c"/proc/mounts").lines().any(|l| l.split(' ').nth(1) == Some("/")));
    say!("version: {}", text(c"/proc/version").starts_with("Linux version "));
    say!("filesystems has proc: {}", text(c"/proc/filesystems").contains("proc"));
    say!("maps has the stack: {}", text(c"/proc/self/maps").contains("[stack]"));
    say!("comm: {:?}", text(c"/proc/self/comm"));
    0
}
