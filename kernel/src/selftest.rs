//! Tests of the lowest rooms in the machine itself: `selftest=NAME` on the kernel's command line.
//! A failed one is a kernel panic.
#![expect(clippy::panic, reason = "that is how a test fails")]

mod arch;
mod drivers;
mod mm;
mod program;
mod ring3;
mod vm;
mod vm_bench;

/// Runs the test of this name.
pub(crate) fn run(name: &[u8]) {
    match name {
        b"user" => arch::enters_user_mode(),
        b"ring3" => ring3::all(),
        b"smap" => ring3::mistakes(false),
        b"smep" => ring3::mistakes(true),
        b"sched" => crate::sched::selftest::run(),
        b"memory" => mm::all_memory_comes_back(),
        b"bench" => mm::bench(),
        b"timer" => arch::the_timer_comes(),
        b"fpu" => arch::fpu_states_are_kept_apart(),
        b"checksum" => arch::checksums_agree(),
        b"copies" => mm::copies_stop_at_the_fault(),
        b"vm" => vm::spaces(),
        b"reclaim" => vm::reclaim(),
        b"program" => program::run(),
        b"vm-bench" => vm_bench::run(),
        b"echo" => drivers::echo(),
        b"terminal" => drivers::terminal(),
        b"disks" => drivers::disks(),
        _ => panic!("no such test"),
    }
}
