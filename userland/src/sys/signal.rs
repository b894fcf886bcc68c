//! Signals: the kernel's own `sigaction`, masks as one 64-bit word, and names.

use super::{Arg, Errno, Plain, Res, call, calls};
use std::arch::global_asm;

/// Size of the kernel's signal set in bytes, which the rt_ calls ask for.
pub(crate) const SET: usize = 8;
/// The action restores through `sa_restorer` (uapi asm/signal.h); required on x86-64.
pub(crate) const SA_RESTORER: u64 = 0x0400_0000;
pub(crate) const SIG_DFL: usize = 0;
pub(crate) const SIG_IGN: usize = 1;

/// `struct sigaction` as rt_sigaction(2) takes it (kernel's include/linux/signal_types.h).
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KernelAction {
    pub(crate) handler: usize,
    pub(crate) flags: u64,
    pub(crate) restorer: usize,
    pub(crate) mask: u64,
}

/// A handler with SA_SIGINFO.
pub(crate) type Handler = extern "C" fn(i32, &mut libc::siginfo_t, &mut libc::ucontext_t);

global_asm!(
    ".globl behave_restorer",
    "behave_restorer:",
    "mov eax, 15", // rt_sigreturn
    "syscall",
    "ud2",
);
unsafe extern "C" {
    fn behave_restorer();
}

calls! {
    fn kill(pid: i32, signal: i32) = SYS_kill;
    fn tkill(tid: i32, signal: i32) = SYS_tkill;
    fn tgkill(group: i32, tid: i32, signal: i32) = SYS_tgkill;
    fn pause() = SYS_pause;
    fn alarm(seconds: u32) = SYS_alarm;
    fn rt_sigaction(signal: i32, new: Option<&KernelAction>, old: Option<&mut KernelAction>, size: usize)
        = SYS_rt_sigaction;
    fn rt_sigprocmask(how: i32, new: Option<&u64>, old: Option<&mut u64>, size: usize) = SYS_rt_sigprocmask;
    fn rt_sigpending(out: &mut u64, size: usize) = SYS_rt_sigpending;
    fn rt_sigsuspend(mask: &u64, size: usize) = SYS_rt_sigsuspend;
    fn rt_sigtimedwait(set: &u64, info: Option<&mut libc::siginfo_t>, timeout: Option<&libc::timespec>, size: usize)
        = SYS_rt_sigtimedwait;
    fn rt_sigqueueinfo(pid: i32, signal: i32, info: &libc::siginfo_t) = SYS_rt_sigqueueinfo;
    fn sigaltstack(new: Option<&libc::stack_t>, old: Option<&mut libc::stack_t>) = SYS_sigaltstack;
    fn setitimer(which: i32, new: &libc::itimerval, old: Option<&mut libc::itimerval>) = SYS_setitimer;
}

/// The bit of a signal in a mask.
pub(crate) const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Installs a handler; SA_SIGINFO and the restorer are added to `flags`.
pub(crate) fn handle(signal: i32, handler: Handler, flags: i32, mask: u64) -> Res {
    let action = KernelAction {
        handler: handler as usize,
        flags: u64::from(flags as u32) | libc::SA_SIGINFO as u64 | SA_RESTORER,
        restorer: behave_restorer as *const () as usize,
        mask,
    };
    rt_sigaction(signal, Some(&action), None, SET)
}

/// Sets SIG_DFL or SIG_IGN.
pub(crate) fn set(signal: i32, disposition: usize) -> Res {
    let action = KernelAction {
        handler: disposition,
        ..KernelAction::default()
    };
    rt_sigaction(signal, Some(&action), None, SET)
}

/// The action in force.
pub(crate) fn current(signal: i32) -> Result<KernelAction, Errno> {
    let mut old = KernelAction::default();
    rt_sigaction(signal, None, Some(&mut old), SET).map(|_| old)
}

pub(crate) fn block(mask: u64) -> Res {
    rt_sigprocmask(libc::SIG_BLOCK, Some(&mask), None, SET)
}

pub(crate) fn unblock(mask: u64) -> Res {
    rt_sigprocmask(libc::SIG_UNBLOCK, Some(&mask), None, SET)
}

pub(crate) fn set_mask(mask: u64) -> Res {
    rt_sigprocmask(libc::SIG_SETMASK, Some(&mask), None, SET)
}

/// The mask in force.
pub(crate) fn mask() -> u64 {
    let mut old = 0;
    let _ = rt_sigprocmask(libc::SIG_BLOCK, None, Some(&mut old), SET);
    old
}

pub(crate) fn pending() -> u64 {
    let mut set = 0;
    let _ = rt_sigpending(&mut set, SET);
    set
}

/// Sends a signal to the calling process.
pub(crate) fn raise(signal: i32) -> Res {
    kill(super::process::getpid().unwrap_or(0) as i32, signal)
}

/// A mask as names, `-` when it is empty.
pub(crate) fn mask_names(mask: u64) -> String {
    let names: Vec<String> = (1..=64).filter(|n| mask & bit(*n) != 0).map(name).collect();
    if names.is_empty() {
        String::from("-")
    } else {
        names.join(" ")
    }
}

/// `SIGSEGV`, or `signal 40` for real-time ones.
pub(crate) fn name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    match usize::try_from(signal - 1).ok().and_then(|i| NAMES.get(i)) {
        Some(name) => format!("SIG{name}"),
        None => format!("signal {signal}"),
    }
}

/// A `siginfo_t` of zeros.
pub(crate) fn info() -> libc::siginfo_t {
    libc::siginfo_t::zeroed()
}

/// Calls rt_sigreturn with whatever the stack holds: the behaviours about corrupt frames.
pub(crate) fn bare_sigreturn() -> Res {
    // SAFETY: the kernel either takes the frame or kills the process.
    unsafe { call(libc::SYS_rt_sigreturn, [0usize.arg(); 6]) }
}
