//! System calls: the table, the way in and the way out.
//!
//! [`table`] lists every call once; the macro below makes of it the array of handlers, the names
//! for tracing and the rows of `docs/syscalls.md`. A handler takes a [`Call`] and its arguments in
//! their own types and answers a value or an [`Errno`]. Handlers stand in files by subject and
//! call down into `process`, `fs` and `vm`; nothing below calls up here. [`thread::main_loop`] is
//! what every user thread runs; [`trace`] prints calls for `--strace`; [`count`] counts them.

use alloc::sync::Arc;
use core::hint::cold_path;

use kiln_core::addr::UserAddr;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::num::{int_arg, low32, usize_of};
use kiln_core::strace::Arg;

use crate::arch::user::UserContext;
use crate::fs::{FdTable, FsContext};
use crate::process::{Held, Task};
use crate::sched::NOTIFY_AGAIN;
use crate::vm::AddressSpace;

mod bpf;
mod clone;
pub(crate) mod count;
mod event;
mod exec;
pub(crate) mod fs;
mod futex;
mod identity;
mod ipc;
mod limits;
mod mem;
mod mqueue;
mod net;
mod numa;
mod pidfd;
mod prctl;
mod process;
mod process_vm;
mod ptrace;
mod rare;
mod sched;
mod seccomp;
mod signal;
mod sleep;
mod system;
mod thread;
mod time;
mod timer;
pub(crate) mod trace;

pub(crate) use thread::main_loop;

/// A system call in progress.
pub(crate) struct Call<'a> {
    /// The thread that made it.
    pub(crate) task: &'a Arc<Task>,
    /// Its address space, as it was when the call began; so are the next three.
    pub(crate) space: &'a Arc<AddressSpace>,
    /// Its open files.
    pub(crate) files: &'a Arc<FdTable>,
    /// Its root, working directory and umask.
    pub(crate) fs: &'a Arc<FsContext>,
    /// Who it is.
    pub(crate) creds: &'a Arc<Credentials>,
    /// Its registers; `orig_rax` holds the call's number. Those that functions keep may not be there.
    pub(crate) regs: &'a mut UserContext,
    /// They are there.
    has_all_registers: bool,
}

/// What a call answers: RAX, or an error.
pub(crate) type SysResult = Result<u64, Errno>;

/// A handler with its arguments still in registers.
type Handler = fn(&mut Call<'_>) -> SysResult;

/// How much of Linux's behaviour is there; `docs/syscalls.md` shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Support {
    /// All of it.
    Full,
    /// The note says what is missing.
    Partial,
    /// It answers without effect, as the note says.
    Stub,
    /// ENOSYS.
    Absent,
}

/// A row of the table.
pub(crate) struct Entry {
    /// `__NR_…` (asm/unistd_64.h).
    pub(crate) number: u16,
    /// The name without a prefix.
    pub(crate) name: &'static str,
    /// How tracing shows the arguments.
    pub(crate) args: &'static [Arg],
    /// What serves it; `None` for an absent call.
    handler: Option<Handler>,
}

/// An argument's own type, from its register. Narrow types take the low bits, as Linux's do.
pub(crate) trait FromArg {
    /// Reads the register.
    fn from_arg(raw: u64) -> Self;
}

impl FromArg for u64 {
    fn from_arg(raw: u64) -> Self {
        raw
    }
}
impl FromArg for i64 {
    fn from_arg(raw: u64) -> Self {
        raw.cast_signed()
    }
}
impl FromArg for usize {
    fn from_arg(raw: u64) -> Self {
        usize_of(raw)
    }
}
impl FromArg for u32 {
    fn from_arg(raw: u64) -> Self {
        low32(raw)
    }
}
impl FromArg for i32 {
    fn from_arg(raw: u64) -> Self {
        int_arg(raw)
    }
}
impl FromArg for UserAddr {
    fn from_arg(raw: u64) -> Self {
        Self::new(raw)
    }
}

/// Calls a handler with as many registers as it has arguments, in the ABI's order.
macro_rules! invoke {
    ($handler:path, $call:ident,) => { $handler($call) };
    ($handler:path, $call:ident, $($arg:ident)+) => {
        invoke!(@take $handler, $call, [$($arg)+] [rdi rsi rdx r10 r8 r9] [])
    };
    (@take $handler:path, $call:ident, [] [$($left:ident)*] [$($register:ident)*]) => {
        $handler($call, $(FromArg::from_arg($register)),*)
    };
    (@take $handler:path, $call:ident, [$first:ident $($arg:ident)*]
        [$register:ident $($left:ident)*] [$($taken:ident)*]) => {{
        let $register = $call.regs.$register;
        invoke!(@take $handler, $call, [$($arg)*] [$($left)*] [$($taken)* $register])
    }};
}

/// One row's handler, or none.
macro_rules! handler {
    ([] [$($arg:ident)*]) => { None };
    ([$handler:path] [$($arg:ident)*]) => {
        Some((|call: &mut Call<'_>| invoke!($handler, call, $($arg)*)) as Handler)
    };
}

/// Makes [`table::ENTRIES`] of the rows; `harness` reads the same file with a macro of its own.
macro_rules! syscalls {
    ($($number:literal $name:ident($($arg:ident),*) [$($($part:ident)::+)?] $support:ident $note:literal;)*) => {
        use super::*;
        /// Every call that Linux has on x86-64, in the order of numbers.
        pub(crate) static ENTRIES: &[Entry] = &[$(Entry {
            number: $number,
            name: stringify!($name),
            args: &[$(Arg::$arg),*],
            handler: handler!([$(crate::syscall::$($part)::+)?] [$($arg)*]),
        }),*];
        const _: () = {
            $(assert!(matches!(Support::$support, Support::Absent) == (!has_handler!($($($part)::+)?)),
                concat!("the row of ", stringify!($name), " is Absent just when it has no handler"));)*
        };
    };
}
macro_rules! has_handler {
    () => {
        false
    };
    ($($part:ident)::+) => {
        true
    };
}

mod table;

/// One more than the highest number in the table.
pub(crate) const COUNT: usize = 471;

/// The handlers by number.
static HANDLERS: [Handler; COUNT] = handlers();

#[expect(
    clippy::indexing_slicing,
    clippy::large_stack_arrays,
    reason = "evaluated at build time"
)]
const fn handlers() -> [Handler; COUNT] {
    let mut handlers = [absent as Handler; COUNT];
    let mut row = 0;
    while row < table::ENTRIES.len() {
        if let Some(handler) = table::ENTRIES[row].handler {
            handlers[table::ENTRIES[row].number as usize] = handler;
        }
        row += 1;
    }
    handlers
}

fn absent(_: &mut Call<'_>) -> SysResult {
    Err(Errno::ENOSYS)
}

/// The row of the call with this number.
pub(crate) fn entry(number: u64) -> Option<&'static Entry> {
    let number = u16::try_from(number).ok()?;
    let row = table::ENTRIES
        .binary_search_by_key(&number, |entry| entry.number)
        .ok()?;
    table::ENTRIES.get(row)
}

impl<'a> Call<'a> {
    fn new(
        task: &'a Arc<Task>,
        held: &'a Held,
        regs: &'a mut UserContext,
        has_all_registers: bool,
    ) -> Self {
        Self {
            task,
            space: &held.space,
            files: &held.files,
            fs: &held.fs,
            creds: &held.creds,
            regs,
            has_all_registers,
        }
    }

    /// For a call that passes its registers on: makes it begin again from where all of them are.
    fn with_all_registers(&self) -> Result<(), Errno> {
        if self.has_all_registers {
            return Ok(());
        }
        if let Some(thread) = self.task.thread() {
            thread.note(NOTIFY_AGAIN);
        }
        // It counts as one.
        count::forget(u64::from(low32(self.regs.orig_rax)));
        Err(Errno::ERESTARTNOINTR)
    }

    /// Runs what the registers ask for, through `run`, and leaves the answer in RAX.
    #[inline(always)]
    fn dispatch(&mut self, run: impl FnOnce(&mut Self, Handler) -> SysResult) {
        // The upper half doesn't count (`do_syscall_64`).
        let number = u64::from(low32(self.regs.orig_rax));
        count::called(number);
        let handler = match HANDLERS.get(usize_of(number)) {
            Some(handler) => *handler,
            None => {
                cold_path();
                absent
            }
        };
        self.regs.rax = match run(self, handler) {
            Ok(value) => value,
            Err(errno) => errno.to_return(),
        };
    }
}
