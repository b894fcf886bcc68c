//! `--strace`: a line for each system call on the job's standard error, as strace prints it.
//!
//! The line is written when the call returns; calls that don't return, and `execve`, whose
//! arguments are gone afterwards, are put together before they run. Formatting is
//! `kiln_core::strace`; this file reads the caller's memory for it.

use core::sync::atomic::{AtomicBool, Ordering};

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use kiln_core::addr::UserAddr;
use kiln_core::strace::{Memory, Outcome, RawCall, format_call};

use super::{Call, Handler, SysResult, entry};
use crate::drivers::channel;
use crate::vm::AddressSpace;

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Switches tracing on, for the whole job.
pub(crate) fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// Whether calls are traced.
pub(super) fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

struct CallerMemory(Option<Arc<AddressSpace>>);

impl Memory for CallerMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        let copied = self
            .0
            .as_ref()
            .map(|space| space.copy_in(buffer, UserAddr::new(address)));
        copied.is_some_and(|result| result.is_ok())
    }
}

/// Runs the call and prints its line.
#[cold]
#[inline(never)]
pub(super) fn traced(call: &mut Call<'_>, handler: Handler) -> SysResult {
    let number = call.regs.orig_rax;
    let regs = &call.regs;
    let values = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
    let name = entry(number).map_or("", |entry| entry.name);
    match name {
        "exit" | "exit_group" | "rt_sigreturn" => {
            print(call, &describe(call, number, values, Outcome::None));
            handler(call)
        }
        "execve" | "execveat" => {
            let before = describe(call, number, values, Outcome::Value(0));
            let result = handler(call);
            match result {
                Ok(_) => print(call, &before),
                Err(errno) => print(call, &describe(call, number, values, Outcome::Error(errno))),
            }
            result
        }
        _ => {
            let result = handler(call);
            let outcome = result.map_or_else(Outcome::Error, Outcome::Value);
            print(call, &describe(call, number, values, outcome));
            result
        }
    }
}

fn describe(call: &Call<'_>, number: u64, values: [u64; 6], outcome: Outcome) -> String {
    let memory = CallerMemory(call.task.space().ok());
    match entry(number) {
        Some(entry) => {
            let raw = RawCall {
                name: entry.name,
                args: entry.args,
                values,
                outcome,
            };
            format_call(&raw, &memory)
        }
        None => {
            let name = format!("syscall_{number:#x}");
            let args = [kiln_core::strace::Arg::Hex; 6];
            format_call(
                &RawCall {
                    name: &name,
                    args: &args,
                    values,
                    outcome,
                },
                &memory,
            )
        }
    }
}

/// Prints a line for the caller, with its PID once there is more than one process, as `strace -f`.
fn print(call: &Call<'_>, line: &str) {
    event(call.task.tid(), line);
}

/// Prints a line of thread `tid`'s: a call, a signal or an exit.
pub(crate) fn event(tid: u32, line: &str) {
    // The job's main process has PID 2; strace marks only the others.
    let text = if tid == 2 {
        format!("{line}\n")
    } else {
        format!("[pid {tid:5}] {line}\n")
    };
    channel::log_patiently(text.as_bytes());
}
