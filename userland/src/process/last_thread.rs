//! The first thread of a process ends before another one does: the process ends with the last one, whose number is
//! free once the process has been waited for.
use crate::out::say;
use crate::sys::{self, child, file, process, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for round in 0..3 {
        let (rx, tx) = file::pipe();
        let pid = child::start(|| {
            let _ = std::thread::Builder::new().spawn(move || {
                let tid = process::gettid().unwrap_or(0) as u32;
                let _ = file::write(tx, &tid.to_le_bytes());
                let _ = time::sleep_ms(30);
                process::exit_thread(0);
            });
            process::exit_thread(3);
        });
        let mut bytes = [0; 4];
        let _ = file::read(rx, &mut bytes);
        let tid = u32::from_le_bytes(bytes) as usize;
        say!("round {round}: {}", child::end_of(pid));
        // SAFETY: touches no memory.
        let found = unsafe { sys::call(libc::SYS_tgkill, [pid as usize, tid, 0, 0, 0, 0]) };
        say!("the thread: {found:?}");
        // SAFETY: as above.
        let found = unsafe { sys::call(libc::SYS_tkill, [tid, 0, 0, 0, 0, 0]) };
        say!("by its number alone: {found:?}");
        let _ = file::close(rx);
        let _ = file::close(tx);
    }
    0
}
