//! SIGCHLD's siginfo: who, how it ended, with what (sigaction(2)).
use crate::out::say;
use crate::sys::signal::{self, SET, bit};
use crate::sys::child;
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static PID: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static STATUS: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_child(_: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    // SAFETY: SIGCHLD carries these fields.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    PID.store(pid, SeqCst);
    STATUS.store(status, SeqCst);
    CODE.store(info.si_code, SeqCst);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGCHLD, on_child, 0, 0);
    let _ = signal::block(bit(libc::SIGCHLD));
    for how in ["exit 5", "exit 255", "SIGKILL", "SIGSEGV"] {
        let pid = child::start(|| {
            match how {
                "SIGKILL" => { let _ = signal::raise(libc::SIGKILL); }
                "SIGSEGV" => { let _ = signal::raise(libc::SIGSEGV); }
                "exit 5" => return 5,
                _ => {}
            }
            255
        });
        let _ = signal::rt_sigsuspend(&0, SET);
        // A core file's CLD_DUMPED (3) depends on the machine's settings: counted as CLD_KILLED.
        let code = CODE.load(SeqCst).min(2);
        say!("{how}: it {} code {code} status {}", PID.load(SeqCst) == pid, STATUS.load(SeqCst));
        say!("{}", child::end_of(pid));
    }
    0
}
