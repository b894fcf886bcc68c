//! The host side of Kiln: everything behind `run.sh`.
//!
//! A run goes through the files in this order: `options` (what the caller wants), `root` (the
//! image to boot from; `tree`, `archive`, `recipe` and `erofs_write` make one, `cache` keeps it), `disks`
//! (`/in`, `/out`, `--disk`), `qemu` (the machine as a command line), `launch` (starts it; `leash`
//! makes it end with the launcher), `pump` with `streams`, `input`, `signals` and `terminal` (while it
//! runs), `outcome` (what its end means; `symbols` and `unwind` for a
//! panic's backtrace), `ext4` (brings `/out` home), `report` (the JSON for
//! `--report`).
//!
//! `progress` says how far it is. `cli` is the command around it. Beside it: `linux` (the same job on Debian's kernel) and `compare` (on
//! both), `testing` and `cases` (the tests in VMs), `bench` (Kiln and Linux side by side) and `syscalls` (the page made from the table).

pub mod archive;
pub mod bench;
pub mod cache;
pub mod cases;
pub mod cli;
pub mod compare;
pub mod disks;
pub mod erofs_write;
pub mod ext4;
pub mod input;
pub mod launch;
pub mod leash;
pub mod linux;
pub mod options;
pub mod outcome;
pub mod progress;
pub mod pump;
pub mod qemu;
pub mod recipe;
pub mod report;
pub mod root;
pub mod signals;
pub mod strace;
pub mod streams;
pub mod symbols;
pub mod syscalls;
pub mod terminal;
pub mod testing;
pub mod tree;
mod unwind;
