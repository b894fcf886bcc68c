//! Programs that aren't behaviours themselves: those that behaviours execute (`args`, `fds`,
//! ...) and those that tests use as a job (`exit N`, `kill SIG`, `cat`, `fill`, ...).

use crate::out::{error, say};
use crate::sys::{file, process, signal, time};
use std::ffi::CStr;

/// Runs a helper: its name, then its arguments.
pub(crate) fn run(args: &[&CStr]) -> i32 {
    let Some(name) = args.first() else { return 2 };
    let rest = &args[1..];
    match name.to_bytes() {
        b"exit" => number(rest, 0),
        b"kill" => kill_self(number(rest, 0)),
        b"cat" => cat(),
        b"fill" => fill(number(rest, 0), number(rest, 1)),
        b"drain" => drain(),
        b"sleep" => sleep(number(rest, 0)),
        b"spin" => spin(),
        b"true" => 0,
        b"env" => env(),
        b"args" => arguments(rest),
        b"fds" => descriptors(),
        b"signals" => signals(),
        b"count" => count(rest),
        b"pid" => pid(number(rest, 0)),
        b"name" => name_of_process(),
        b"ids" => ids(),
        b"rights" => rights(),
        b"fpu" => fpu(),
        b"stop" => stop(),
        b"hog" => crate::hog::run(rest),
        b"clocks" => clocks(number(rest, 0)),
        b"vsyscall" => vsyscall(),
        b"set_clock" => set_clock(),
        b"large" => crate::large::run(rest),
        b"rearrange" => crate::rearrange::run(rest),
        other => {
            error(&format!(
                "no such helper: {}",
                String::from_utf8_lossy(other)
            ));
            2
        }
    }
}

/// Asks the C library for the time so many times: by the precise clock, and by the coarse one.
fn clocks(count: i32) -> i32 {
    let read = |clock| {
        let mut time = time::spec(0, 0);
        // SAFETY: a place for the answer.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    let start = read(libc::CLOCK_MONOTONIC);
    for _ in 0..count {
        let _ = (
            read(libc::CLOCK_REALTIME),
            read(libc::CLOCK_MONOTONIC_COARSE),
        );
    }
    say!("goes on: {}", read(libc::CLOCK_MONOTONIC) > start);
    0
}

/// The seconds of a clock, as the C library reads it.
fn seconds(clock: i32) -> i64 {
    let mut time = time::spec(0, 0);
    // SAFETY: a place for the answer.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec
}

/// Sets the time of day, atomic time's lead and the time zone: not for a machine that others use.
fn set_clock() -> i32 {
    use crate::out::show;
    let set = |at| time::clock_settime(libc::CLOCK_REALTIME, &time::spec(at, 1));
    let before = time::monotonic();
    show("set", set(2_000_000_000));
    let (precise, coarse) = (
        seconds(libc::CLOCK_REALTIME),
        seconds(libc::CLOCK_REALTIME_COARSE),
    );
    let mut day = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let mut zone = [7i32; 2];
    // SAFETY: a place for the answer, and null.
    let time = unsafe {
        libc::gettimeofday(&raw mut day, std::ptr::null_mut());
        libc::time(std::ptr::null_mut())
    };
    // A slow machine may be a second on by now.
    let near = |at: i64, is: i64| if (at..at + 20).contains(&is) { at } else { is };
    // The coarse clock may be a tick behind.
    let [precise, day, time] = [precise, day.tv_sec, time].map(|is| near(2_000_000_000, is));
    let coarse = near(2_000_000_000, coarse + i64::from(coarse == 1_999_999_999));
    say!("precise {precise}, coarse {coarse}, time of day {day}, time {time}");
    // SAFETY: all zeroes ask for nothing.
    let mut tai: libc::timex = unsafe { std::mem::zeroed() };
    (tai.modes, tai.constant) = (0x80, 37); // ADJ_TAI
    // SAFETY: a structure of the kernel's, whole.
    say!("TAI set: {}", unsafe { libc::adjtimex(&raw mut tai) } >= 0);
    let (wall, ahead) = (seconds(libc::CLOCK_REALTIME), seconds(libc::CLOCK_TAI));
    say!(
        "TAI is ahead by {}",
        if (37..57).contains(&(ahead - wall)) {
            37
        } else {
            ahead - wall
        }
    );
    show("zone set", time::settimeofday(None, Some(&[-60, 1])));
    // SAFETY: null, and a place for the answer.
    unsafe { libc::gettimeofday(std::ptr::null_mut(), (&raw mut zone).cast()) };
    say!("zone {} {}", zone[0], zone[1]);
    say!(
        "local time put right: {}",
        near(1_999_996_400, seconds(libc::CLOCK_REALTIME))
    );
    show("set back", set(1_700_000_000));
    let precise = near(1_700_000_000, seconds(libc::CLOCK_REALTIME));
    say!(
        "precise {precise}, monotonic goes on: {}",
        time::monotonic() > before
    );
    0
}

/// Calls gettimeofday where the vsyscall page had it.
fn vsyscall() -> i32 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    say!("listed: {}", maps.contains("vsyscall"));
    // SAFETY: either the function answers, with null pointers, or the process ends.
    unsafe {
        std::arch::asm!("call {0}", in(reg) 0xffff_ffff_ff60_0000_usize, in("rdi") 0, in("rsi") 0, clobber_abi("C"));
    }
    0
}

fn number(args: &[&CStr], index: usize) -> i32 {
    args.get(index)
        .and_then(|a| a.to_str().ok())
        .and_then(|a| a.parse().ok())
        .unwrap_or(0)
}

fn kill_self(sig: i32) -> i32 {
    let _ = signal::set(sig, signal::SIG_DFL);
    let _ = signal::raise(sig);
    99
}

/// Standard input to standard output, until either ends.
fn cat() -> i32 {
    let mut buf = vec![0u8; 65536];
    loop {
        match file::read(0, &mut buf) {
            Ok(0) => return 0,
            Ok(n) => {
                if file::write_all(1, &buf[..n]).is_err() {
                    return 1;
                }
            }
            Err(_) => return 1,
        }
    }
}

/// Writes `kib` KiB of a byte that counts up from `first`.
fn fill(kib: i32, first: i32) -> i32 {
    let block: Vec<u8> = (0..1024).map(|i| (i + first) as u8).collect();
    for _ in 0..kib {
        if file::write_all(1, &block).is_err() {
            return 1;
        }
    }
    0
}

/// Counts standard input's bytes.
fn drain() -> i32 {
    let mut buf = vec![0u8; 65536];
    let mut total = 0u64;
    while let Ok(n @ 1..) = file::read(0, &mut buf) {
        total += n as u64;
    }
    say!("{total}");
    0
}

fn sleep(ms: i32) -> i32 {
    i32::from(time::sleep_ms(i64::from(ms)).is_err())
}

fn spin() -> i32 {
    loop {
        std::hint::spin_loop();
    }
}

fn env() -> i32 {
    for (key, value) in std::env::vars_os() {
        say!("{}={}", key.to_string_lossy(), value.to_string_lossy());
    }
    0
}

fn arguments(args: &[&CStr]) -> i32 {
    for (i, arg) in args.iter().enumerate() {
        say!("arg {i}: {arg:?}");
    }
    0
}

/// Which of the first 32 descriptors are open, and whether each closes on exec.
fn descriptors() -> i32 {
    for fd in 0..32 {
        if let Ok(flags) = file::fcntl(fd, libc::F_GETFD, 0) {
            say!("fd {fd}: flags {flags}");
        }
    }
    0
}

/// Dispositions and masks as this program found them.
fn signals() -> i32 {
    // 32 and 33 are the C library's own: whoever starts the program may have left them ignored.
    for sig in (1..=64).filter(|sig| !matches!(sig, 32 | 33)) {
        match signal::current(sig) {
            Ok(action) if action.handler == signal::SIG_DFL => {}
            Ok(action) if action.handler == signal::SIG_IGN => {
                say!("{}: ignored", signal::name(sig));
            }
            Ok(_) => say!("{}: handled", signal::name(sig)),
            Err(errno) => say!("{}: {errno}", signal::name(sig)),
        }
    }
    say!("mask {}", signal::mask_names(signal::mask()));
    say!("pending {}", signal::mask_names(signal::pending()));
    say!("own pid is known: {}", process::getpid().is_ok());
    0
}

/// How many arguments there are, how long they are together, and a checksum of them.
fn count(args: &[&CStr]) -> i32 {
    let bytes = args.iter().flat_map(|a| a.to_bytes_with_nul());
    let sum = bytes.clone().fold(0u32, |sum, b| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*b))
    });
    let env = std::env::vars_os().count();
    say!(
        "{} arguments, {} bytes, checksum {sum:08x}, {env} variables",
        args.len(),
        bytes.count()
    );
    0
}

/// Whether this process still has the PID that it had before it executed this program.
fn pid(expected: i32) -> i32 {
    say!("same pid: {}", process::getpid() == Ok(expected as usize));
    0
}

fn name_of_process() -> i32 {
    let mut name = [0u8; 16];
    // The kernel writes 16 bytes.
    let result = process::prctl(libc::PR_GET_NAME, name.as_mut_ptr() as usize, 0, 0, 0);
    let text = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    say!("name {text:?} {}", result.is_ok());
    0
}

fn ids() -> i32 {
    let show = |r: crate::sys::Res| r.unwrap_or(usize::MAX);
    // SAFETY: getauxval only looks a number up.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) };
    say!(
        "uid {} euid {} gid {} egid {} secure {secure}",
        show(process::getuid()),
        show(process::geteuid()),
        show(process::getgid()),
        show(process::getegid())
    );
    0
}

/// Who this program is, what it may do, and whether others may look into it.
fn rights() -> i32 {
    let _ = ids();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines() {
        // The host's root may lack a few: of many it is told that they are many.
        if let Some((name, bits)) = line.split_once(":\t")
            && matches!(name, "CapPrm" | "CapEff" | "CapAmb")
        {
            let set = u64::from_str_radix(bits, 16).unwrap_or(0);
            let many = set.count_ones() > 30;
            say!(
                "{name} {}",
                if many {
                    "many".into()
                } else {
                    format!("{set:#x}")
                }
            );
        }
    }
    let ask = |option| process::prctl(option, 0, 0, 0, 0);
    say!("dumpable {:?}", ask(libc::PR_GET_DUMPABLE));
    let mut signal = 0i32;
    let at = &raw mut signal as usize;
    let _ = process::prctl(libc::PR_GET_PDEATHSIG, at, 0, 0, 0);
    let owner = |path| {
        std::fs::metadata(path).map_or(u32::MAX, |of| std::os::unix::fs::MetadataExt::uid(&of))
    };
    say!(
        "death signal {signal}, owner {} {}",
        owner("/proc/self"),
        owner("/proc/self/maps")
    );
    0
}

/// The floating-point control words as they are at the start.
fn fpu() -> i32 {
    let mut word = 0u16;
    let mut mxcsr = 0u32;
    // SAFETY: both instructions store a control word to the memory given.
    unsafe {
        std::arch::asm!("fnstcw [{0}]", "stmxcsr [{1}]", in(reg) &raw mut word, in(reg) &raw mut mxcsr);
    }
    say!("fcw {word:#x} mxcsr {mxcsr:#x}");
    0
}

/// Stops itself, and tells when it goes on.
fn stop() -> i32 {
    let _ = signal::raise(libc::SIGSTOP);
    say!("went on");
    0
}
