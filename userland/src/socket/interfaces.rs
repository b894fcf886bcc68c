//! Questions about the loopback interface (netdevice(7)), and what /proc/net shows of a socket.
use crate::out::say;
use crate::sys::net;
use libc::{AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_STREAM};
use std::ffi::CStr;

fn ask(fd: i32, request: u64, name: &[u8]) -> String {
    let mut raw = [0u8; 40];
    raw[..name.len()].copy_from_slice(name);
    // SAFETY: the kernel reads and writes one `struct ifreq`.
    let told = unsafe { libc::ioctl(fd, request, raw.as_mut_ptr()) };
    match told {
        0 => format!("{:?}", &raw[16..32]),
        _ => std::io::Error::last_os_error().to_string(),
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let fd = net::open(AF_INET, SOCK_DGRAM);
    for request in [0x8913, 0x8915, 0x891B, 0x8921, 0x8927, 0x8933] {
        say!("{request:#x} {}", ask(fd, request, b"lo"));
        say!("{request:#x} {}", ask(fd, request, b"none"));
    }
    for command in [0xA_u32, 0x41, 0x99] {
        let mut data = [command, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];
        let mut raw = [0u8; 40];
        raw[..2].copy_from_slice(b"lo");
        raw[16..24].copy_from_slice(&(data.as_mut_ptr() as u64).to_le_bytes());
        // SAFETY: the kernel reads one `struct ifreq`, and writes what it points to.
        let told = unsafe { libc::ioctl(fd, 0x8946, raw.as_mut_ptr()) };
        say!("{told} {:?}", &data[1..]);
    }
    let unix = net::open(AF_UNIX, SOCK_DGRAM);
    say!("{} {}", ask(unix, 0x8933, b"lo"), ask(unix, 0x8913, b"lo"));
    let l = net::open(AF_INET, SOCK_STREAM);
    let _ = net::bind(l, &net::loopback(false, 0));
    let _ = net::listen(l, 5);
    let port = net::port(&net::name(l).unwrap_or_default());
    let wanted = format!("0100007F:{port:04X} 00000000:0000 0A");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let line = table.lines().find(|line| line.contains(&wanted)).unwrap_or_default();
    say!("{} {}", line.len(), line.get(34..75).unwrap_or_default());
    let link = std::fs::read_link(format!("/proc/self/fd/{l}"));
    let ino = link.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let ino = ino.trim_start_matches("socket:[").trim_end_matches(']').to_string();
    say!("{}", !ino.is_empty() && line.split_whitespace().nth(9) == Some(ino.as_str()));
    let name = net::abstract_name(b"behave-shown");
    let _ = net::bind(unix, &name);
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let line = table.lines().find(|line| line.ends_with("@behave-shown"));
    let words: Vec<_> = line.unwrap_or_default().split_whitespace().skip(2).take(4).collect();
    say!("{words:?}");
    0
}
