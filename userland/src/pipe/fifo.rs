//! Named pipes (fifo(7)): opening waits for the other side, O_NONBLOCK doesn't, ENXIO without a
//! reader; the name outlives the data.
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::{Plain, child, file};
use libc::{O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    show("mknod", file::mknod(c"f", libc::S_IFIFO | 0o644, 0));
    show("again", file::mknod(c"f", libc::S_IFIFO | 0o644, 0));
    let mut stat = libc::stat::zeroed();
    show("stat", file::stat(c"f", &mut stat));
    say!("mode {:o} size {}", stat.st_mode, stat.st_size);
    show("writer without reader", file::open(c"f", O_WRONLY | O_NONBLOCK, 0));
    let rx = file::open_or_say(c"f", O_RDONLY | O_NONBLOCK, 0);
    show("no writer: the end", file::read(rx, &mut [0]));
    let tx = file::open_or_say(c"f", O_WRONLY | O_NONBLOCK, 0);
    show("a writer, no data", file::read(rx, &mut [0]));
    show("write", file::write(tx, b"hello"));
    show("read", file::read(rx, &mut [0; 9]));
    let _ = file::close(tx);
    show("no writer again", file::read(rx, &mut [0]));
    let _ = file::close(rx);
    let pid = child::start(|| {
        let tx = file::open_or_say(c"f", O_WRONLY, 0);
        i32::from(file::write(tx, b"from the child") != Ok(14))
    });
    let rx = file::open_or_say(c"f", O_RDONLY, 0);
    say!("{:?}", file::read_all(rx).map(|b| String::from_utf8_lossy(&b).into_owned()));
    say!("{}", child::end_of(pid));
    let both = file::open_or_say(c"f", O_RDWR, 0);
    show("write to itself", file::write(both, b"me"));
    show("read from itself", file::read(both, &mut [0; 9]));
    show_ok("unlink", file::unlink(c"f"));
    show("still works", file::write(both, b"me"));
    0
}
