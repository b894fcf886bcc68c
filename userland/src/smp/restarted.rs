//! membarrier(2) with MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ: a thread on another CPU that is within a restartable
//! sequence (rseq(2)) begins it again.
use crate::out::{say, show};
use crate::sys::{self, Res};
use std::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

const REGISTER: usize = 256;
const RESTART: usize = 128;

unsafe extern "C" {
    /// Where the C library keeps each thread's `struct rseq`, from the thread's pointer.
    static __rseq_offset: isize;
}

fn membarrier(command: usize) -> Res {
    // SAFETY: the call has no pointers.
    unsafe { sys::call(libc::SYS_membarrier, [command, 0, 0, 0, 0, 0]) }
}

/// The thread's `struct rseq`.
fn area() -> usize {
    let thread: usize;
    // SAFETY: the word at FS's base is the thread's pointer, and the symbol is the C library's, set before main.
    unsafe {
        asm!("mov {}, fs:0", out(reg) thread);
        thread.wrapping_add_signed(__rseq_offset)
    }
}

/// `struct rseq_cs`: version and flags, where the sequence begins, its length, and where it begins again.
#[repr(C, align(32))]
struct Sequence([u64; 4]);

/// Runs a sequence without an end, until it is made to begin again.
fn sequence(area: usize, inside: &AtomicU32) {
    let mut sequence = Sequence([0; 4]);
    // SAFETY: the sequence is the area's until its abort handler runs, before which the C library's signature stands;
    // the loop touches nothing but its own word.
    unsafe {
        asm!(
            "lea {t}, [rip + 2f]",
            "mov [{sequence} + 8], {t}",
            "lea {t}, [rip + 3f]",
            "mov [{sequence} + 24], {t}",
            "sub {t}, [{sequence} + 8]",
            "sub {t}, 4",
            "mov [{sequence} + 16], {t}",
            "mov [{area} + 8], {sequence}",
            "2: mov dword ptr [{inside}], 1",
            "jmp 2b",
            ".long 0x53053053",
            "3:",
            t = out(reg) _,
            sequence = in(reg) &raw mut sequence,
            area = in(reg) area,
            inside = in(reg) inside.as_ptr(),
        );
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("unregistered", membarrier(RESTART));
    show("register", membarrier(REGISTER));
    let (inside, done) = (AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                sequence(area(), &inside);
            }
            done.store(true, SeqCst);
        });
        let mut wrong = 0;
        while !done.load(SeqCst) {
            while inside.swap(0, SeqCst) == 0 && !done.load(SeqCst) {
                std::thread::yield_now();
            }
            wrong += u32::from(membarrier(RESTART) != Ok(0));
        }
        say!("{wrong} failed");
    });
    0
}
