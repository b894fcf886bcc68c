//! What shows a process's memory and descriptors, held open: it keeps nothing of the process, and is for those who may
//! look into it.
use crate::out::{say, show};
use crate::sys::{child, file, process};
use std::ffi::{CStr, CString};

static TEXT: [u8; 8] = *b"a static";

fn open(pid: i32, name: &str) -> crate::sys::Res {
    let path = CString::new(format!("/proc/{pid}/{name}")).unwrap_or_default();
    file::open(&path, libc::O_RDONLY, 0)
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (out, into) = file::pipe();
    let pid = child::start(|| {
        let _ = file::close(into);
        let _ = file::read(out, &mut [0; 1]);
        0
    });
    let [mem, map] = ["mem", "pagemap"].map(|name| open(pid, name).map_or(-1, |fd| fd as i32));
    let mut found = [0; 8];
    let at = TEXT.as_ptr() as i64;
    show("memory", file::pread(mem, &mut found, at));
    say!("{}", found == TEXT);
    show("map", file::pread(map, &mut found, at / 4096 * 8));
    say!("{}", child::run(|| {
        let _ = process::setresuid(65534, 65534, 65534);
        for name in ["fd", "fdinfo", "fdinfo/0", "maps", "stat", "task"] {
            say!("{name}: {:?}", open(pid, name).map(drop));
        }
        0
    }));
    let _ = file::close(into);
    say!("{}", child::end_of(pid));
    show("memory", file::pread(mem, &mut found, at));
    show("map", file::pread(map, &mut found, at / 4096 * 8));
    0
}
