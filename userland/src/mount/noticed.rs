//! Who polls `/proc/self/mounts` or `mountinfo` is told of each change once: mounts that come, go or get other flags.
use super::{alone, mount};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    // Whatever a machine mounts when it is first looked at is there now.
    let _ = file::slurp(c"/proc/self/mountinfo");
    for name in [c"/proc/self/mounts", c"/proc/self/mountinfo"] {
        let fd = file::open(name, libc::O_RDONLY, 0).unwrap_or(0) as i32;
        let other = file::open(name, libc::O_RDONLY, 0).unwrap_or(0) as i32;
        poll("at first", fd);
        show("mount", mount(c"none", c"t", c"tmpfs", 0));
        poll("mounted", fd);
        poll("again", fd);
        poll("the other", other);
        show("remount", mount(c"none", c"t", c"", libc::MS_REMOUNT | libc::MS_NOSUID));
        poll("remounted", fd);
        let _ = file::read(fd, &mut [0; 64]);
        show("shared", mount(c"none", c"t", c"", libc::MS_SHARED));
        poll("shared", fd);
        let pid = child::start(|| {
            let _ = crate::sys::time::sleep_ms(50);
            file::umount2(c"t", 0).map_or(1, |_| 0)
        });
        let mut waited = [libc::pollfd { fd, events: libc::POLLPRI, revents: 0 }];
        show("wait", file::poll(&mut waited, 10_000));
        say!("{:#x} {}", waited[0].revents, child::end_of(pid));
        // Reading doesn't count as having been told.
        let _ = file::read(other, &mut [0; 64]);
        poll("the other", other);
        let _ = file::close(fd);
        let _ = file::close(other);
    }
    0
}

fn poll(label: &str, fd: i32) {
    let mut polled = [libc::pollfd { fd, events: libc::POLLPRI | libc::POLLIN | libc::POLLOUT, revents: 0 }];
    show(label, file::poll(&mut polled, 0));
    say!("  {:#x}", polled[0].revents);
}
