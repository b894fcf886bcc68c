//! clone(2): CLONE_PARENT_SETTID, CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID with its futex wake.
use crate::out::say;
use crate::sys::{self, child, memory::{Map, PAGE}, process};
use std::ffi::CStr;
use std::sync::atomic::Ordering::SeqCst;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::new(PAGE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, -1, 0) else {
        return 1;
    };
    let (parent, of_child) = (map.addr, map.addr + 4);
    let flags = libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_SETTID | libc::SIGCHLD;
    let pid = child::clone_on_stack(flags as usize, [parent, of_child, 0], || {
        i32::from(process::gettid() != Ok(map.word(1).load(SeqCst) as usize))
    });
    let pid = pid.unwrap_or(0) as i32;
    say!("{}", child::end_of(pid));
    say!("parent_tid {}", map.word(0).load(SeqCst) == pid as u32);
    say!("child_tid {}", map.word(1).load(SeqCst) == pid as u32);
    map.word(1).store(77, SeqCst);
    let flags = libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    let pid = child::clone_on_stack(flags as usize, [0, of_child, 0], || {
        let _ = sys::time::sleep_ms(10);
        2
    });
    // SAFETY: waits on the word while it is 77.
    let woken = unsafe { sys::call(libc::SYS_futex, [of_child, 0, 77, 0, 0, 0]) };
    say!("futex woken: {woken:?}, word {}", map.word(1).load(SeqCst));
    say!("{}", child::end_of(pid.unwrap_or(0) as i32));
    0
}
