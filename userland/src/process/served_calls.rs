//! `prctl(PR_SET_SYSCALL_USER_DISPATCH)`: calls that come back to the program as SIGSYS.
use crate::out::{say, show};
use crate::sys::{self, child, process, signal};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

const SET: i32 = 59;
/// Whether calls come back.
static SELECTOR: AtomicU8 = AtomicU8::new(0);
static mut STORY: [u64; 4] = [0; 4];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let at = SELECTOR.as_ptr() as usize;
    show("no such mode", process::prctl(SET, 2, 0, 0, 0));
    show("off with more", process::prctl(SET, 0, 1, 0, 0));
    show("off", process::prctl(SET, 0, 0, 0, 0));
    show("a range that wraps", process::prctl(SET, 1, 1, usize::MAX, 0));
    show("a range of nothing", process::prctl(SET, 1, 1, 0, 0));
    show("a selector of the kernel's", process::prctl(SET, 1, 0, 0, 1 << 63));
    let _ = signal::handle(libc::SIGSYS, on_sys, 0, 0);
    show("on", process::prctl(SET, 1, 0, 0, at));
    show("parent as ever", call(libc::SYS_getppid).map(|_| 0));
    SELECTOR.store(1, SeqCst);
    let own = call(12345);
    show("a call of one's own", own);
    // SAFETY: the handler has run.
    say!("code, number and architecture, rax, at the call: {:x?}", unsafe { STORY });
    SELECTOR.store(1, SeqCst);
    let parent = call(libc::SYS_getppid);
    show("one of Linux's", parent);
    say!("{}", child::run(|| {
        SELECTOR.store(1, SeqCst);
        let parent = call(libc::SYS_getppid).map(|_| 0);
        show("a child hasn't it", parent);
        0
    }));
    say!("odd selector: {}", child::run(|| dies(at, 5)));
    say!("selector nowhere: {}", child::run(|| dies(8, 1)));
    // All code is in the range.
    show("everything let through", process::prctl(SET, 1, 0, usize::MAX, at));
    SELECTOR.store(1, SeqCst);
    let parent = call(libc::SYS_getppid).map(|_| 0);
    show("parent", parent);
    show("off", process::prctl(SET, 0, 0, 0, 0));
    show("parent", call(libc::SYS_getppid).map(|_| 0));
    0
}

fn call(number: i64) -> sys::Res {
    // SAFETY: touches no memory.
    unsafe { sys::call(number, [0; 6]) }
}

fn dies(selector: usize, value: u8) -> i32 {
    SELECTOR.store(0, SeqCst);
    let _ = process::prctl(SET, 1, 0, 0, selector);
    SELECTOR.store(value, SeqCst);
    let _ = call(libc::SYS_getppid);
    0
}

extern "C" fn on_sys(_: i32, info: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    // The way back is a call, too.
    SELECTOR.store(0, SeqCst);
    let words = std::ptr::from_mut(info).cast::<u64>();
    let registers = &mut context.uc_mcontext.gregs;
    // SAFETY: siginfo is 128 bytes; nobody else looks at the story meanwhile.
    unsafe {
        let same = *words.add(2) == registers[libc::REG_RIP as usize] as u64;
        STORY = [*words.add(1) & 0xffff_ffff, *words.add(3), registers[libc::REG_RAX as usize] as u64, same.into()];
    }
    registers[libc::REG_RAX as usize] = 42;
}
