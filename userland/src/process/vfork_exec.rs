//! vfork(2), then execve: the parent goes on at the exec, with its memory and descriptors its
//! own; a failed exec leaves the child able to tell.
use crate::out::say;
use crate::sys::{child, process};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering};

static ERROR: AtomicI32 = AtomicI32::new(0);

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let pid = child::start_on_stack(flags, || {
        let args = [c"b", c"--helper", c"exit", c"33"];
        let _ = process::execve(crate::exec::SELF, &args, &[]);
        1
    });
    say!("{}", child::end_of(pid));
    let pid = child::start_on_stack(flags, || {
        if let Err(errno) = process::execve(c"/no/such", &[c"x"], &[]) {
            ERROR.store(errno.0, Ordering::SeqCst);
        }
        127
    });
    say!("error seen: {}", crate::sys::Errno(ERROR.load(Ordering::SeqCst)));
    say!("{}", child::end_of(pid));
    0
}
