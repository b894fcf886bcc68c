//! System calls as Rust functions: the raw instruction, errors by name, and one module of
//! typed wrappers per subject. Nothing here goes through the C library, which would add calls
//! of its own (`fork` is `fork`, not glibc's `clone`).

pub(crate) mod child;
pub(crate) mod event;
pub(crate) mod file;
pub(crate) mod futex;
pub(crate) mod io;
pub(crate) mod ipc;
pub(crate) mod memory;
pub(crate) mod mq;
pub(crate) mod net;
pub(crate) mod process;
pub(crate) mod sched;
pub(crate) mod signal;
pub(crate) mod task;
pub(crate) mod time;
pub(crate) mod tty;
pub(crate) mod vdso;

mod errno;

pub(crate) use errno::Errno;

use std::arch::asm;
use std::ffi::CStr;

/// A system call's result: the register's value, or the error.
pub(crate) type Res = Result<usize, Errno>;

/// The bare instruction.
///
/// # Safety
/// The arguments must be ones with which this call doesn't break Rust's rules: pointers are
/// valid, or such that the kernel refuses them; nothing live is unmapped.
#[inline(always)]
pub(crate) unsafe fn raw(number: i64, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: `syscall` itself changes only RAX, RCX and R11; the rest is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// [`raw`], with -4095..-1 turned into an error.
///
/// # Safety
/// As for [`raw`].
#[inline(always)]
pub(crate) unsafe fn call(number: i64, args: [usize; 6]) -> Res {
    // SAFETY: the caller's promise.
    decode(unsafe { raw(number, args) })
}

/// Splits the kernel's return register into value and error.
pub(crate) fn decode(result: isize) -> Res {
    if (-4095..0).contains(&result) {
        Err(Errno(-(result as i32)))
    } else {
        Ok(result.cast_unsigned())
    }
}

/// A value as it stands in an argument register.
pub(crate) trait Arg {
    fn arg(self) -> usize;
}

impl Arg for i32 {
    fn arg(self) -> usize {
        (self as isize).cast_unsigned()
    }
}
impl Arg for u32 {
    fn arg(self) -> usize {
        self as usize
    }
}
impl Arg for i64 {
    fn arg(self) -> usize {
        (self as isize).cast_unsigned()
    }
}
impl Arg for u64 {
    fn arg(self) -> usize {
        self as usize
    }
}
impl Arg for usize {
    fn arg(self) -> usize {
        self
    }
}
impl Arg for &CStr {
    fn arg(self) -> usize {
        self.as_ptr() as usize
    }
}
impl<T: Plain> Arg for &T {
    fn arg(self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}
impl<T: Plain> Arg for &mut T {
    fn arg(self) -> usize {
        std::ptr::from_mut(self) as usize
    }
}
impl<T: Arg> Arg for Option<T> {
    fn arg(self) -> usize {
        self.map_or(0, Arg::arg)
    }
}

/// Structures that the kernel reads and writes: any bytes are a valid value.
///
/// # Safety
/// Every bit pattern, all zero too, must be a value of the type.
pub(crate) unsafe trait Plain: Sized {
    /// All bytes zero.
    fn zeroed() -> Self {
        // SAFETY: the trait's promise.
        unsafe { std::mem::zeroed() }
    }
}

macro_rules! plain {
    ($($t:ty),+ $(,)?) => { $(
        // SAFETY: integers, arrays of them, and structures or pointers-as-data made of them.
        unsafe impl Plain for $t {}
    )+ };
}
plain!(
    i32,
    u32,
    i64,
    u64,
    [i32; 2],
    [u32; 2],
    [i32; 3],
    [i64; 4],
    [u32; 4],
    [u32; 64],
    [u64; 4],
    [u64; 8],
    [u64; 16],
    [u64; 64],
    libc::stat,
    libc::statx,
    libc::statfs,
    libc::timespec,
    libc::timeval,
    libc::rusage,
    libc::rlimit64,
    libc::siginfo_t,
    libc::sysinfo,
    libc::utsname,
    libc::itimerval,
    libc::stack_t,
    libc::pollfd,
    libc::tms,
    libc::fd_set,
    libc::timezone,
    libc::flock,
    [libc::timespec; 2],
    [u64; 128],
    [u32; 14],
    [u32; 34],
    libc::winsize,
    libc::termios,
    libc::epoll_event,
    signal::KernelAction,
    process::CloneArgs,
);

/// Defines typed wrappers: `fn name(arg: Type, ...) = NUMBER;`.
macro_rules! calls {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $t:ty),*) = $number:ident;)+) => { $(
        $(#[$doc])*
        pub(crate) fn $name($($arg: $t),*) -> $crate::sys::Res {
            #[allow(unused_mut, unused_assignments)]
            let args = {
                let mut args = [0usize; 6];
                let mut next = 0;
                $( args[next] = $crate::sys::Arg::arg($arg); next += 1; )*
                let _ = next;
                args
            };
            // SAFETY: the argument types hold every pointer valid for what the call does
            // with it.
            unsafe { $crate::sys::call(libc::$number, args) }
        }
    )+ };
}
pub(crate) use calls;
