//! What the fault behaviours share: raise a fault in a child under a handler that tells
//! what arrived, then in a child without one, then in the process itself.
use crate::out::say;
use crate::sys::{child, process, signal};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The address that si_addr is compared with; [`usize::MAX`] compares with the fault's own RIP.
static EXPECTED: AtomicUsize = AtomicUsize::new(usize::MAX);

extern "C" fn on_fault(sig: i32, info: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    // SAFETY: a fault's siginfo carries an address.
    let addr = unsafe { info.si_addr() } as usize;
    let regs = &context.uc_mcontext.gregs;
    let rip = regs[libc::REG_RIP as usize] as usize;
    let place = match EXPECTED.load(Ordering::SeqCst) {
        _ if addr == 0 => "null",
        usize::MAX if addr == rip => "the instruction",
        expected if addr == expected => "as expected",
        _ => "elsewhere",
    };
    say!(
        "handler: {} code {} addr {place}",
        signal::name(sig),
        info.si_code
    );
    say!(
        "trapno {} err {}",
        regs[libc::REG_TRAPNO as usize],
        regs[libc::REG_ERR as usize]
    );
    process::exit(0)
}

/// Runs `raise` in the three ways; returns only when the last one survived.
pub(super) fn all(expected: usize, raise: fn()) -> i32 {
    children(expected, raise);
    raise();
    say!("survived");
    0
}

/// Runs `raise` in children only.
pub(super) fn children(expected: usize, raise: fn()) {
    EXPECTED.store(expected, Ordering::SeqCst);
    say!(
        "handled: {}",
        child::run(|| {
            for sig in [
                libc::SIGSEGV,
                libc::SIGBUS,
                libc::SIGFPE,
                libc::SIGILL,
                libc::SIGTRAP,
            ] {
                let _ = signal::handle(sig, on_fault, 0, 0);
            }
            raise();
            1
        })
    );
    say!(
        "default: {}",
        child::run(|| {
            raise();
            1
        })
    );
    say!(
        "ignored: {}",
        child::run(|| {
            for sig in [
                libc::SIGSEGV,
                libc::SIGBUS,
                libc::SIGFPE,
                libc::SIGILL,
                libc::SIGTRAP,
            ] {
                let _ = signal::set(sig, signal::SIG_IGN);
            }
            raise();
            1
        })
    );
    say!(
        "blocked: {}",
        child::run(|| {
            let _ = signal::set_mask(u64::MAX);
            raise();
            1
        })
    );
}

/// How a child ends that runs `raise` and would otherwise exit 0: for events where the processor
/// or the kernel's settings decide, and only "no worse than a signal" can be asked.
pub(super) fn at_worst_a_signal(raise: fn()) -> bool {
    let end = child::run(|| {
        raise();
        0
    });
    matches!(
        end.as_str(),
        "exited 0"
            | "killed by SIGSEGV"
            | "killed by SIGILL"
            | "killed by SIGTRAP"
            | "killed by SIGBUS"
    )
}
