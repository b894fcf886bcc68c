//! F_NOTIFY: a signal when something happens in a directory.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{file, signal};
use std::ffi::CStr;

const F_SETSIG: i32 = 10;
const DN_ACCESS: u32 = 1;
const DN_MODIFY: u32 = 2;
const DN_CREATE: u32 = 4;
const DN_DELETE: u32 = 8;
const DN_RENAME: u32 = 16;
const DN_ATTRIB: u32 = 32;
const DN_MULTISHOT: u32 = 1 << 31;

extern "C" fn note(number: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    // SAFETY: any bytes are numbers.
    let words = unsafe { *std::ptr::from_ref(info).cast::<[u32; 8]>() };
    say!("    {} code {} band {:#x} fd {}", signal::name(number), info.si_code, words[4], words[6]);
}

fn happenings() {
    say!("  create");
    let fd = file::open_or_say(c"watched/file", libc::O_CREAT | libc::O_RDWR, 0o600);
    say!("  write");
    let _ = file::write(fd, b"text");
    say!("  read");
    let _ = file::pread(fd, &mut [0; 2], 0);
    say!("  chmod");
    let _ = file::fchmod(fd, 0o640);
    say!("  rename");
    let _ = file::rename(c"watched/file", c"watched/other");
    say!("  out");
    let _ = file::rename(c"watched/other", c"outside");
    say!("  in");
    let _ = file::rename(c"outside", c"watched/file");
    say!("  itself");
    let _ = file::chmod(c"watched", 0o750);
    say!("  remove");
    let _ = file::unlink(c"watched/file");
    let _ = file::close(fd);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = signal::handle(libc::SIGIO, note, 0, 0);
    let _ = signal::handle(40, note, 0, 0);
    let _ = file::mkdir(c"watched", 0o700);
    let fd = file::open_or_say(c"watched", libc::O_RDONLY, 0);
    let ask = |what: u32| file::fcntl(fd, libc::F_NOTIFY, what as usize);
    let plain = file::open_or_say(c"plain", libc::O_CREAT | libc::O_RDWR, 0o600);
    show("a file", file::fcntl(plain, libc::F_NOTIFY, DN_CREATE as usize));
    show("once", ask(DN_CREATE | DN_DELETE));
    happenings();
    let _ = file::fcntl(fd, F_SETSIG, 40);
    for (name, what) in [
        ("access", DN_ACCESS),
        ("modify", DN_MODIFY),
        ("create", DN_CREATE),
        ("delete", DN_DELETE),
        ("rename", DN_RENAME),
        ("attrib", DN_ATTRIB),
    ] {
        show(name, ask(what | DN_MULTISHOT));
        happenings();
        show("end", ask(0));
    }
    let _ = ask(DN_CREATE | DN_MULTISHOT);
    let same = file::dup(fd).unwrap_or(0) as i32;
    let _ = file::close(same);
    say!("closed");
    happenings();
    0
}
