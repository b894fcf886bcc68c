//! The last page of the canonical user half can't be mapped, so that no `syscall` can return to an
//! address that isn't canonical; one at the end of the last mappable page faults behind it.
use crate::out::{say, show_ok};
use crate::sys::{self, Arg, child, memory, process, signal};
use std::ffi::CStr;

/// Linux's TASK_SIZE_MAX with four-level paging.
const TOP: usize = 0x7fff_ffff_f000;

extern "C" fn on_fault(_: i32, info: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    // SAFETY: a fault's siginfo carries an address.
    let addr = unsafe { info.si_addr() } as usize;
    say!("fault at the top: {} code {}", addr == TOP, info.si_code);
    say!("rip at the top: {}", context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize == TOP);
    process::exit(0);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let rwx = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let map = |addr: usize, len: usize| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let args = [addr, len, rwx.arg(), flags.arg(), (-1).arg(), 0];
        // SAFETY: nothing of this program lies at the top of the address space but its stack,
        // which the kernel keeps well below (and children only call this on free pages).
        unsafe { sys::call(libc::SYS_mmap, args) }
    };
    show_ok("the last page", map(TOP, 4096));
    show_ok("across the top", map(TOP - 4096, 8192));
    show_ok("not canonical", map(0x8000_0000_0000, 4096));
    show_ok("kernel half", map(0xffff_8000_0000_0000, 4096));
    show_ok("wraps", map(0usize.wrapping_sub(4096), 8192));
    say!("{}", child::run(|| {
        let free = memory::mmap(TOP - 4096, 4096, rwx, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE, -1, 0);
        match free {
            Ok(addr) => {
                let _ = signal::handle(libc::SIGSEGV, on_fault, 0, 0);
                // SAFETY: a fresh page: `syscall` in its last two bytes, then a jump there.
                unsafe {
                    let at = (addr + 4094) as *mut u8;
                    at.write_volatile(0x0f);
                    at.add(1).write_volatile(0x05);
                    std::arch::asm!("jmp {0}", in(reg) at, in("eax") libc::SYS_getpid, options(noreturn));
                }
            }
            Err(errno) => {
                say!("last mappable page: {errno}");
                1
            }
        }
    }));
    0
}
