//! Linux's asynchronous input and output: requests, events, eventfd, errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::event::{eventfd2, fd_or_say, number};
use crate::sys::file;
use crate::sys::io::{Request, event_lines, io_cancel, io_destroy, io_getevents, io_setup, io_submit};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    let mut context = 0u64;
    show("none", io_setup(0, Some(&mut context)));
    show("nowhere", io_setup(1, None));
    show("setup", io_setup(8, Some(&mut context)));
    show("setup again", io_setup(8, Some(&mut context)));
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o644);
    let told = fd_or_say("eventfd", eventfd2(0, libc::EFD_NONBLOCK));
    let text = b"asynchronous".to_vec();
    let mut back = vec![0u8; 20];
    let write = Request::new(1, 1, fd, text.as_ptr() as usize, text.len(), 5).telling(told);
    show("write", io_submit(context, &[&write]));
    say!("told {:?}", number(told));
    let read = Request::new(2, 0, fd, back.as_mut_ptr() as usize, 20, 0);
    let sync = Request::new(3, 2, fd, 0, 0, 0);
    let past = Request::new(4, 0, fd, back.as_mut_ptr() as usize, 20, 1000);
    let fault = Request::new(5, 0, fd, 16, 20, 0);
    show("three", io_submit(context, &[&read, &sync, &past]));
    event_lines(context, 4, 10);
    say!("{:?}", String::from_utf8_lossy(&back));
    show("nothing more", io_getevents(context, 0, 10, None, Some(&crate::sys::time::spec(0, 0))));
    show("late", io_getevents(context, 1, 10, None, Some(&crate::sys::time::spec(0, 10_000_000))));
    show("a bad buffer", io_submit(context, &[&fault]));
    event_lines(context, 0, 10);
    let closed = Request::new(6, 0, 99, back.as_mut_ptr() as usize, 20, 0);
    let odd = Request::new(7, 99, fd, 0, 0, 0);
    let bad_sync = Request::new(8, 2, fd, 1, 0, 0);
    show("closed", io_submit(context, &[&closed]));
    show("odd", io_submit(context, &[&odd]));
    show("bad sync", io_submit(context, &[&bad_sync]));
    show("good, then closed", io_submit(context, &[&read, &closed]));
    show("of nothing", io_submit(context, &[]));
    show("not told", io_submit(context, &[&Request::new(9, 0, fd, 0, 0, 0).telling(fd)]));
    show("cancel", io_cancel(context, Some(&write.0), None));
    show("more than most", io_getevents(context, 3, 2, None, None));
    show("negative", io_getevents(context, -1, 2, None, None));
    show("one waits", io_getevents(context, 1, 1, None, None));
    show("bad context", io_submit(context + 1, &[&read]));
    show("bad context", io_getevents(context + 1, 0, 0, None, None));
    let reader = file::open_or_say(c"f", libc::O_RDONLY, 0);
    show("not writable", io_submit(context, &[&Request::new(1, 1, reader, text.as_ptr() as usize, 4, 0)]));
    show("destroy", io_destroy(context));
    show("destroy again", io_destroy(context));
    show("gone", io_submit(context, &[&read]));
    0
}
