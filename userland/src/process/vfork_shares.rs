//! vfork(2) through clone(CLONE_VM | CLONE_VFORK): memory is shared, descriptors aren't, and the
//! parent waits until the child has ended.
use crate::out::{say, show};
use crate::sys::{child, file, process};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering};

static WORD: AtomicI32 = AtomicI32::new(1);

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let spare = file::fd(file::dup(1)).unwrap_or(-1);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let pid = child::start_on_stack(flags, || {
        let _ = crate::sys::time::sleep_ms(20);
        WORD.store(2, Ordering::SeqCst);
        let _ = file::close(spare);
        9
    });
    say!("word after vfork: {}", WORD.load(Ordering::SeqCst));
    say!("child {}", child::end_of(pid));
    show("the parent's descriptor", file::close(spare));
    say!("a plain fork isn't shared: {}", child::run(|| {
        WORD.store(3, Ordering::SeqCst);
        0
    }));
    say!("word after fork: {}", WORD.load(Ordering::SeqCst));
    let _ = process::getpid();
    0
}
