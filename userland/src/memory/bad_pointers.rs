//! EFAULT, and nothing worse, from every call that takes a pointer, for null, low, unmapped,
//! kernel and non-canonical addresses and the end of the address space.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::{self, Errno, child, file, memory::Map};
use std::ffi::CStr;

/// Where each call's pointer goes: its number, the arguments, the index of the pointer.
struct Case(&'static str, i64, [usize; 6], usize);

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"0123456789", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0) as usize;
    let (rx, tx) = file::pipe();
    let _ = file::write(tx, b"some bytes");
    let (rx, tx) = (rx as usize, tx as usize);
    let Ok(map) = Map::anon(8192) else { return 1 };
    let _ = map.unmap(4096, 4096);
    let good = map.addr;
    let at = libc::AT_FDCWD as isize as usize;
    let cases = [
        Case("read file", libc::SYS_read, [fd, 0, 5, 0, 0, 0], 1),
        Case("read pipe", libc::SYS_read, [rx, 0, 5, 0, 0, 0], 1),
        Case("write file", libc::SYS_write, [fd, 0, 5, 0, 0, 0], 1),
        Case("write pipe", libc::SYS_write, [tx, 0, 5, 0, 0, 0], 1),
        Case("pread64", libc::SYS_pread64, [fd, 0, 5, 1, 0, 0], 1),
        Case("pwrite64", libc::SYS_pwrite64, [fd, 0, 5, 1, 0, 0], 1),
        Case("readv", libc::SYS_readv, [fd, 0, 2, 0, 0, 0], 1),
        Case("writev", libc::SYS_writev, [fd, 0, 2, 0, 0, 0], 1),
        Case("open", libc::SYS_open, [0, 0, 0, 0, 0, 0], 0),
        Case("openat", libc::SYS_openat, [at, 0, 0, 0, 0, 0], 1),
        Case("stat path", libc::SYS_stat, [0, good, 0, 0, 0, 0], 0),
        Case("stat buffer", libc::SYS_stat, [c"f".as_ptr() as usize, 0, 0, 0, 0, 0], 1),
        Case("fstat", libc::SYS_fstat, [fd, 0, 0, 0, 0, 0], 1),
        Case("lstat", libc::SYS_lstat, [c"f".as_ptr() as usize, 0, 0, 0, 0, 0], 1),
        Case("newfstatat", libc::SYS_newfstatat, [at, c"f".as_ptr() as usize, 0, 0, 0, 0], 2),
        Case("statx", libc::SYS_statx, [at, c"f".as_ptr() as usize, 0, 0xfff, 0, 0], 4),
        Case("statfs", libc::SYS_statfs, [c"f".as_ptr() as usize, 0, 0, 0, 0, 0], 1),
        Case("access", libc::SYS_access, [0; 6], 0),
        Case("pipe", libc::SYS_pipe, [0; 6], 0),
        Case("pipe2", libc::SYS_pipe2, [0; 6], 0),
        Case("getcwd", libc::SYS_getcwd, [0, 100, 0, 0, 0, 0], 0),
        Case("chdir", libc::SYS_chdir, [0; 6], 0),
        Case("mkdir", libc::SYS_mkdir, [0; 6], 0),
        Case("rmdir", libc::SYS_rmdir, [0; 6], 0),
        Case("unlink", libc::SYS_unlink, [0; 6], 0),
        Case("rename from", libc::SYS_rename, [0, c"g".as_ptr() as usize, 0, 0, 0, 0], 0),
        Case("rename to", libc::SYS_rename, [c"f".as_ptr() as usize, 0, 0, 0, 0, 0], 1),
        Case("link", libc::SYS_link, [c"f".as_ptr() as usize, 0, 0, 0, 0, 0], 1),
        Case("symlink target", libc::SYS_symlink, [0, c"g".as_ptr() as usize, 0, 0, 0, 0], 0),
        Case("readlink", libc::SYS_readlink, [c"/proc/self/exe".as_ptr() as usize, 0, 50, 0, 0, 0], 1),
        Case("chmod", libc::SYS_chmod, [0; 6], 0),
        Case("truncate", libc::SYS_truncate, [0; 6], 0),
        Case("uname", libc::SYS_uname, [0; 6], 0),
        Case("sysinfo", libc::SYS_sysinfo, [0; 6], 0),
        Case("gettimeofday", libc::SYS_gettimeofday, [0; 6], 0),
        Case("clock_gettime", libc::SYS_clock_gettime, [1, 0, 0, 0, 0, 0], 1),
        Case("nanosleep", libc::SYS_nanosleep, [0; 6], 0),
        Case("clock_nanosleep", libc::SYS_clock_nanosleep, [1, 0, 0, 0, 0, 0], 2),
        Case("getrlimit", libc::SYS_getrlimit, [7, 0, 0, 0, 0, 0], 1),
        Case("setrlimit", libc::SYS_setrlimit, [7, 0, 0, 0, 0, 0], 1),
        Case("getrusage", libc::SYS_getrusage, [0; 6], 1),
        Case("times", libc::SYS_times, [0; 6], 0),
        Case("getrandom", libc::SYS_getrandom, [0, 10, 0, 0, 0, 0], 0),
        Case("rt_sigaction", libc::SYS_rt_sigaction, [10, 0, 0, 8, 0, 0], 1),
        Case("rt_sigprocmask", libc::SYS_rt_sigprocmask, [0, 0, 0, 8, 0, 0], 1),
        Case("rt_sigpending", libc::SYS_rt_sigpending, [0, 8, 0, 0, 0, 0], 0),
        Case("rt_sigsuspend", libc::SYS_rt_sigsuspend, [0, 8, 0, 0, 0, 0], 0),
        Case("sigaltstack", libc::SYS_sigaltstack, [0; 6], 0),
        Case("poll", libc::SYS_poll, [0, 1, 0, 0, 0, 0], 0),
        Case("select", libc::SYS_select, [5, 0, 0, 0, good + 512, 0], 1),
        Case("execve path", libc::SYS_execve, [0; 6], 0),
        Case("execve argv", libc::SYS_execve, [c"/proc/self/exe".as_ptr() as usize, 0, 0, 0, 0, 0], 1),
        Case("execve envp", libc::SYS_execve, [c"/proc/self/exe".as_ptr() as usize, 0, 0, 0, 0, 0], 2),
        Case("getdents64", libc::SYS_getdents64, [fd, 0, 100, 0, 0, 0], 1),
        Case("utimensat", libc::SYS_utimensat, [at, c"f".as_ptr() as usize, 0, 0, 0, 0], 2),
        Case("getgroups", libc::SYS_getgroups, [65_536, 0, 0, 0, 0, 0], 1),
        Case("getresuid", libc::SYS_getresuid, [0; 6], 0),
        Case("futex", libc::SYS_futex, [0; 6], 0),
    ];
    let addresses = [
        ("null", 0usize),
        ("low", 8),
        ("unmapped", good + 4096),
        ("last byte", good + 4095),
        ("end of user", 0x7fff_ffff_efff),
        ("not canonical", 0x0000_8000_0000_0000),
        ("far not canonical", 0x1234_5678_9abc_def0),
        ("kernel", 0xffff_8000_0000_0000),
        ("kernel text", 0xffff_ffff_8000_0000),
        ("all ones", usize::MAX),
    ];
    for Case(label, number, args, index) in cases {
        let mut line = format!("{label}:");
        for (name, address) in addresses {
            let mut args = args;
            args[index] = address;
            line.push(' ');
            // Pipes take whole pieces of a page or nothing, or bytes: versions differ.
            let unsure = label.ends_with("pipe") && name == "last byte";
            let seen = if unsure { String::from("-") } else { probe(number, args) };
            line.push_str(&seen);
        }
        say!("{line}");
    }
    say!("columns: {}", addresses.map(|(name, _)| name).join(", "));
    0
}

/// The call in a child, so that whatever it does the next starts from the same state: the error's
/// name, `=` and the value, or the child's end.
fn probe(number: i64, args: [usize; 6]) -> String {
    let (rx, tx) = file::pipe();
    let pid = child::start(|| {
        // SAFETY: the kernel refuses the address, or writes to this child's scratch page.
        let text = match unsafe { sys::call(number, args) } {
            Ok(value) => format!("={}", if number == libc::SYS_times || value > 4096 { 1 } else { value }),
            Err(Errno(number)) => Errno(number).to_string(),
        };
        i32::from(file::write(tx, text.as_bytes()).is_err())
    });
    let _ = file::close(tx);
    let text = file::read_all(rx).unwrap_or_default();
    let _ = file::close(rx);
    let end = child::end_of(pid);
    if end == "exited 0" { String::from_utf8_lossy(&text).into_owned() } else { format!("({end})") }
}
