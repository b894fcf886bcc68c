//! sysinfo(2): numbers that make sense.
use crate::out::{say, show};
use crate::sys::{Plain, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut info = libc::sysinfo::zeroed();
    show("sysinfo", process::sysinfo(&mut info));
    let unit = u64::from(info.mem_unit);
    say!("total above 8 MiB: {}", info.totalram * unit > 8 << 20);
    say!("free below total: {}", info.freeram < info.totalram && info.freeram > 0);
    say!("up: {} processes: {}", info.uptime >= 0, info.procs > 0);
    say!("swap: {}", info.freeswap <= info.totalswap);
    0
}
