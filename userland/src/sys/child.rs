//! Children: start one from a closure, wait for it, and name the way it ended.

use super::{Errno, process};
use std::fmt;

/// A wait status, shown as `exited 3`, `killed by SIGSEGV`, `stopped by SIGSTOP`, `continued`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) i32);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        if libc::WIFEXITED(s) {
            write!(f, "exited {}", libc::WEXITSTATUS(s))
        } else if libc::WIFSIGNALED(s) {
            write!(f, "killed by {}", super::signal::name(libc::WTERMSIG(s)))
        } else if libc::WIFSTOPPED(s) {
            write!(f, "stopped by {}", super::signal::name(libc::WSTOPSIG(s)))
        } else if libc::WIFCONTINUED(s) {
            f.write_str("continued")
        } else {
            write!(f, "status {s:#x}")
        }
    }
}

/// Forks; the child runs `body` and ends with its result. Gives the child's PID, 0 after an
/// error that is printed.
pub(crate) fn start(body: impl FnOnce() -> i32) -> i32 {
    match process::fork() {
        Ok(0) => process::exit(body()),
        Ok(pid) => pid as i32,
        Err(errno) => {
            crate::out::line(&format!("fork: {errno}"));
            0
        }
    }
}

/// Waits for one child; a wait that a signal breaks is repeated.
pub(crate) fn wait(pid: i32) -> Result<Status, Errno> {
    let mut status = 0;
    loop {
        match process::wait4(pid, Some(&mut status), 0, None) {
            Ok(_) => return Ok(Status(status)),
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// What [`wait`] says, as text.
pub(crate) fn end_of(pid: i32) -> String {
    match wait(pid) {
        Ok(status) => status.to_string(),
        Err(errno) => format!("wait: {errno}"),
    }
}

/// Runs `body` in a child and tells how it ended.
pub(crate) fn run(body: impl FnOnce() -> i32) -> String {
    end_of(start(body))
}

/// Starts `body` on a stack of its own by `clone(2)` with these flags (a signal in their low
/// byte). With CLONE_VM the child shares this memory: `body` must then allocate nothing that
/// outlives it, and the caller must not return before the child has ended (CLONE_VFORK, or a
/// wait). Gives the PID, 0 after an error that is printed.
pub(crate) fn start_on_stack<F: FnOnce() -> i32>(flags: i32, body: F) -> i32 {
    report(clone_on_stack(flags as usize, [0; 3], body))
}

/// As [`start_on_stack`], with clone's parent_tid, child_tid and tls arguments.
pub(crate) fn clone_on_stack<F: FnOnce() -> i32>(
    flags: usize,
    [parent_tid, child_tid, tls]: [usize; 3],
    body: F,
) -> super::Res {
    const STACK: usize = 256 * 1024;
    let stack = super::memory::Map::anon(STACK)?;
    let top = stack.addr + STACK - 64;
    std::mem::forget(stack); // The child may outlive this call.
    let boxed = Box::into_raw(Box::new(Some(body)));
    let result: isize;
    // SAFETY: the parent comes back as from any call. The child finds a fresh, aligned stack,
    // and `enter` with the box as its argument in registers that the call preserves; it never
    // returns.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") flags,
            in("rsi") top,
            in("rdx") parent_tid,
            in("r10") child_tid,
            in("r8") tls,
            in("r12") boxed as usize,
            in("r13") enter::<F> as extern "C" fn(*mut Option<F>) -> ! as usize,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    super::decode(result)
}

extern "C" fn enter<F: FnOnce() -> i32>(body: *mut Option<F>) -> ! {
    // SAFETY: the pointer is the box that `clone_on_stack` left for this child alone.
    let code = unsafe { (*body).take() }.map_or(98, |f| f());
    process::exit_thread(code)
}

fn report(result: super::Res) -> i32 {
    match result {
        Ok(pid) => pid as i32,
        Err(errno) => {
            crate::out::line(&format!("clone: {errno}"));
            0
        }
    }
}
