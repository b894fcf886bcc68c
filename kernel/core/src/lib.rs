//! `kiln-core`: every piece of the kernel's logic that needs no hardware.
//!
//! Nothing here touches a frame, a port or a lock, so everything here runs under `cargo test`,
//! Miri and fuzzers on the host, and the launcher uses the same code for the formats that both
//! sides speak (the channel, the job specification, ext4, EROFS). The kernel's rooms in
//! `kernel/src` hold the hardware and the concurrency around it.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
pub mod addr;
pub mod auxv;
pub mod bandwidth;
pub mod bpf;
pub mod callsite;
pub mod cgroup;
pub mod channel;
pub mod coredump;
pub mod cpio;
pub mod cpucache;
pub mod cpulist;
pub mod cred;
pub mod decimal;
pub mod elf;
pub mod errno;
pub mod frames;
pub mod fs;
pub mod futex;
pub mod fw_cfg;
pub mod gzip;
pub mod ipc;
pub mod job;
pub mod ldt;
pub mod loadavg;
pub mod mempolicy;
pub mod net;
pub mod num;
pub mod numbers;
pub mod pagemap;
pub mod path;
pub mod proctree;
pub mod random;
pub mod report;
pub mod rlimit;
pub mod runqueue;
pub mod script;
pub mod signal;
pub mod sort;
pub mod strace;
pub mod time;
pub mod timers;
pub mod timex;
pub mod tty;
pub mod vdso;
pub mod virtqueue;
pub mod vma;
pub mod wait_status;
