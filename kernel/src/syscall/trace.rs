//! `--strace`: each system call is told to the launcher, which prints it as strace does.
//!
//! What the line will show of the caller's memory is looked at before the call and after it;
//! `kiln_core::strace` knows what that is, and how the message looks. A call that doesn't return
//! is told before it runs.

use core::sync::atomic::{AtomicBool, Ordering};

use alloc::sync::Arc;

use kiln_core::addr::UserAddr;
use kiln_core::num::low32;
use kiln_core::strace::{Arg, Memory, Outcome, Phase, Pieces, Traced, collect};

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

impl CallerMemory {
    fn of(call: &Call<'_>) -> Self {
        Self(call.task.space().ok())
    }
}

impl Memory for CallerMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        let copied = self
            .0
            .as_ref()
            .map(|space| space.copy_in(buffer, UserAddr::new(address)));
        copied.is_some_and(|result| result.is_ok())
    }
}

/// Runs the call and tells of it.
#[cold]
#[inline(never)]
pub(super) fn traced(call: &mut Call<'_>, handler: Handler) -> SysResult {
    let number = call.regs.orig_rax;
    let regs = &call.regs;
    let values = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
    let (name, args): (&str, &[Arg]) =
        entry(number).map_or(("", &[]), |entry| (entry.name, entry.args));
    let mut before = Pieces::default();
    collect(
        args,
        values,
        Phase::Before,
        &CallerMemory::of(call),
        &mut before,
    );
    let tid = call.task.tid();
    let tell = |outcome, after| {
        let traced = Traced {
            tid,
            number: low32(number),
            outcome,
            values,
        };
        // Without memory for the message there is a line less.
        if let Some(message) = traced.encode(&before, after) {
            channel::trace(tid, &message);
        }
    };
    if matches!(name, "exit" | "exit_group" | "rt_sigreturn") {
        tell(Outcome::None, &Pieces::default());
        return handler(call);
    }
    let result = handler(call);
    let (outcome, answer) = match result {
        Ok(value) => (Outcome::Value(value), value),
        Err(errno) => (Outcome::Error(errno), errno.to_return()),
    };
    let mut after = Pieces::default();
    // Another program has taken the place of the one that called.
    if !(matches!(name, "execve" | "execveat") && result.is_ok()) {
        collect(
            args,
            values,
            Phase::After(answer),
            &CallerMemory::of(call),
            &mut after,
        );
    }
    tell(outcome, &after);
    result
}
