//! What a handler finds (the System V ABI, uapi asm/sigcontext.h): the stack's alignment, the red
//! zone left alone, DF clear, uc_flags, the extended state's magic numbers and alignment.
use crate::out::say;
use crate::sys::signal;
use std::arch::{asm, global_asm};
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

global_asm!(
    ".globl behave_frame_entry",
    "behave_frame_entry:",
    "mov rcx, rsp",
    "pushfq",
    "pop r8",
    "push rbp",
    "call {entry}",
    "pop rbp",
    "ret",
    entry = sym on_signal,
);
unsafe extern "C" {
    fn behave_frame_entry(sig: i32, info: &mut libc::siginfo_t, context: &mut libc::ucontext_t);
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(sig: i32, info: &mut libc::siginfo_t, context: &mut libc::ucontext_t, rsp: usize, flags: usize) {
    CALLS.fetch_add(1, SeqCst);
    let own = context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize;
    say!("{} signo {}", signal::name(sig), info.si_signo);
    say!("(rsp + 8) % 16 = {}", (rsp + 8) % 16);
    say!("direction flag {}", flags >> 10 & 1);
    say!("below the red zone: {}", rsp < own - 128);
    say!("context above the return address: {}", (context as *mut _ as usize) == rsp + 8);
    say!("uc_flags {:#x} link null {}", context.uc_flags, context.uc_link.is_null());
    let segments = context.uc_mcontext.gregs[libc::REG_CSGSFS as usize].cast_unsigned();
    say!("cs {:#x} ss {:#x}", segments & 0xffff, segments >> 48);
    let state = context.uc_mcontext.fpregs as usize;
    say!("state aligned to 64: {}", state.is_multiple_of(64));
    // SAFETY: the legacy area is 512 bytes; bytes 464..512 hold the software's own words.
    let (magic, extended, features, size) = unsafe {
        let words = (state + 464) as *const u32;
        (*words, *words.add(1), *words.add(2), *words.add(4))
    };
    say!("magic {magic:#x}, extended size {} legacy {}", extended >= size + 4, features & 3);
    // SAFETY: the second magic number stands behind the state.
    let second = unsafe { ((state + size as usize) as *const u32).read_unaligned() };
    say!("second magic {second:#x}");
    // SAFETY: the legacy area's control words.
    let (fcw, mxcsr) = unsafe { (*(state as *const u16), *((state + 24) as *const u32)) };
    say!("fcw {fcw:#x} mxcsr {mxcsr:#x}");
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let handler: signal::Handler =
        // SAFETY: the assembly above has this signature.
        unsafe { std::mem::transmute(behave_frame_entry as *const ()) };
    let _ = signal::handle(libc::SIGUSR1, handler, 0, 0);
    let pid = crate::sys::process::getpid().unwrap_or(0);
    let kept: u64;
    // SAFETY: kill(pid, SIGUSR1) with a known word in the red zone (the block isn't allowed to
    // use it otherwise) and DF set across the call.
    unsafe {
        asm!(
            "mov qword ptr [rsp - 128], 0x5a5a",
            "std",
            "syscall",
            "cld",
            "mov {kept}, [rsp - 128]",
            kept = out(reg) kept,
            inlateout("rax") libc::SYS_kill => _,
            in("rdi") pid,
            in("rsi") libc::SIGUSR1 as usize,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    say!("red zone kept: {}", kept == 0x5a5a);
    say!("calls {}", CALLS.load(SeqCst));
    0
}
