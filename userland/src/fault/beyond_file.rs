//! Touching a mapping's page beyond the file's end is SIGBUS with BUS_ADRERR (mmap(2)).
use super::probe;
use crate::scratch::Scratch;
use crate::sys::{file, memory::{Map, PAGE}};
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

static ADDRESS: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let dir = Scratch::enter();
    file::make(c"f", b"short", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDONLY, 0);
    let Ok(map) = Map::new(3 * PAGE, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0) else { return 1 };
    crate::out::say!("{} {}", map.get(0), map.get(PAGE - 1));
    ADDRESS.store(map.addr + PAGE + 8, SeqCst);
    drop(dir);
    probe::all(map.addr + PAGE + 8, || {
        // SAFETY: a mapped address; the fault ends the process.
        let _ = unsafe { (ADDRESS.load(SeqCst) as *const u8).read_volatile() };
    })
}
