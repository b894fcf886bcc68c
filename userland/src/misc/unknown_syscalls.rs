//! Numbers that no system call has answer ENOSYS and nothing else (syscalls(2)).
use crate::out::show;
use crate::sys;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for number in [-1, -2, 400, 511, 600, 1000, 1023, 4096, 0x4000_0000, i64::MAX] {
        // SAFETY: no such call; nothing happens.
        let result = unsafe { sys::call(number, [1, 2, 3, 4, 5, 6]) };
        show(&format!("syscall {number:#x}"), result);
    }
    // Only the lower half counts: this is getpid.
    // SAFETY: touches no memory.
    let high = unsafe { sys::call(0x1_0000_0000 | libc::SYS_getpid, [0; 6]) };
    crate::out::say!("the upper half is ignored: {}", high == sys::process::getpid());
    0
}
