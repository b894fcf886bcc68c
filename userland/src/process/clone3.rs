//! clone3(2): a plain child, and the checks of size, flags, stack and exit signal.
use crate::out::{say, show};
use crate::sys::process::CloneArgs;
use crate::sys::memory::Map;
use crate::sys::{self, Res, child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let plain = CloneArgs { exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() };
    match call(&plain, 88) {
        Ok(0) => process::exit(12),
        Ok(pid) => say!("child {}", child::end_of(pid as i32)),
        Err(errno) => say!("clone3: {errno}"),
    }
    match call(&plain, 64) {
        Ok(0) => process::exit(13),
        Ok(pid) => say!("first version: {}", child::end_of(pid as i32)),
        Err(errno) => say!("clone3: {errno}"),
    }
    show("too small", call(&plain, 63));
    show("too large", call(&plain, 5000));
    show("bad exit signal", call(&CloneArgs { exit_signal: 65, ..plain }, 88));
    show("signal in flags", call(&CloneArgs { flags: 17, ..plain }, 88));
    show("stack without size", call(&CloneArgs { stack: 4096, ..plain }, 88));
    show("size without stack", call(&CloneArgs { stack_size: 4096, ..plain }, 88));
    show("stack beyond the end", call(&CloneArgs { stack: u64::MAX, stack_size: 4096, ..plain }, 88));
    show("stack at the kernel's", call(&CloneArgs { stack: 1 << 47, stack_size: 4096, ..plain }, 88));
    show("unknown flag", call(&CloneArgs { flags: 1 << 62, ..plain }, 88));
    show("thread alone", call(&CloneArgs { flags: libc::CLONE_THREAD as u64, ..plain }, 88));
    // SAFETY: the kernel refuses the pointer.
    show("bad pointer", unsafe { sys::call(libc::SYS_clone3, [8, 88, 0, 0, 0, 0]) });
    show_longer();
    0
}

/// What a later, longer structure says: nothing is fine, more is E2BIG even where it can't be read to its end.
fn show_longer() {
    let Ok(map) = Map::anon(8192) else { return };
    let end = map.addr + 4096;
    let _ = map.protect(4096, 4096, libc::PROT_NONE);
    let mut words = [0u64; 12];
    words[4] = libc::SIGCHLD as u64;
    for (name, more) in [("nothing more", 0), ("more", 1)] {
        words[11] = more;
        let at = (end - size_of_val(&words)) as *mut [u64; 12];
        // SAFETY: the structure lies in the page before the one that can't be read; the kernel reads that one.
        let longer = unsafe {
            at.write(words);
            sys::call(libc::SYS_clone3, [at as usize, size_of_val(&words) + 8, 0, 0, 0, 0])
        };
        show(&format!("{name}, then what can't be read"), longer);
    }
}

fn call(args: &CloneArgs, size: usize) -> Res {
    // SAFETY: sizes beyond the structure's are refused before anything behind it is read; the
    // child of a valid call is a copy, as with fork.
    unsafe { sys::call(libc::SYS_clone3, [std::ptr::from_ref(args) as usize, size, 0, 0, 0, 0]) }
}
