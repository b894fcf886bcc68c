//! Being told of a message: by signal with its story, once, by nothing, by a netlink socket; who may
//! register, and what ends it.
use crate::out::{say, show};
use crate::sys::{child, event::fd_or_say, file, mq, net, process, signal, time};
use std::ffi::CStr;

extern "C" fn note(number: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    // SAFETY: the kernel filled the structure in for a signal with a value.
    let (pid, value) = unsafe { (info.si_pid(), info.si_value().sival_ptr as usize) };
    let own = pid == process::getpid().unwrap_or(0) as i32;
    say!("told by {} code {} value {value:#x} own {own}", signal::name(number), info.si_code);
}

fn status(queue: i32) -> String {
    let mut text = [0; 100];
    let fd = file::open_or_say(c"/proc/self/fd/0", libc::O_RDONLY, 0);
    let _ = file::close(fd);
    let len = file::pread(queue, &mut text, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&text[..len]).into_owned();
    text.split("NOTIFY_PID").next().unwrap_or_default().to_owned()
}

fn by_socket(queue: i32) {
    let socket = fd_or_say("socket", net::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0));
    let mut cookie = [7u8; 32];
    cookie[31] = 0;
    let ask = |fd: i32| mq::mq_notify(queue, Some(&mq::event(2, fd, cookie.as_ptr() as u64)));
    show("a file", ask(0));
    show("closed", ask(-1));
    let other = fd_or_say("socket", net::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0));
    show("another family", ask(other));
    show("fault", mq::mq_notify(queue, Some(&mq::event(2, socket, 8))));
    show("by socket", ask(socket));
    say!("{}", status(queue));
    let _ = mq::send(queue, b"x", 0, None);
    let mut got = [0; 64];
    say!("{:?} {:?} {}", file::read(socket, &mut got), &got[..3], got[31]);
    let _ = mq::receive(queue, 16, None);
    show("by socket", ask(socket));
    show("no more", mq::mq_notify(queue, None));
    say!("{:?} {:?} {}", file::read(socket, &mut got), &got[..3], got[31]);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let name = c"behave_notify";
    let _ = mq::mq_unlink(name);
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    let queue = mq::mq_open(name, flags, 0o600, Some(&mq::shape(4, 16))).unwrap_or(0) as i32;
    let _ = signal::handle(libc::SIGUSR1, note, 0, 0);
    show("wrong kind", mq::mq_notify(queue, Some(&mq::event(3, 0, 0))));
    show("wrong signal", mq::mq_notify(queue, Some(&mq::event(0, 65, 0))));
    show("by signal", mq::mq_notify(queue, Some(&mq::event(0, libc::SIGUSR1, 0x1234_5678_9abc))));
    say!("{}", status(queue));
    show("again", mq::mq_notify(queue, Some(&mq::event(0, libc::SIGUSR1, 0))));
    say!("{}", child::run(|| {
        show("another", mq::mq_notify(queue, Some(&mq::event(1, 0, 0))));
        show("not its own", mq::mq_notify(queue, None));
        let _ = mq::send(queue, b"x", 0, None);
        0
    }));
    say!("{}", status(queue));
    show("to an empty queue only", mq::mq_notify(queue, Some(&mq::event(0, libc::SIGUSR1, 1))));
    let _ = mq::send(queue, b"y", 0, None);
    let _ = (mq::receive(queue, 16, None), mq::receive(queue, 16, None));
    let _ = mq::send(queue, b"z", 0, None);
    let _ = mq::receive(queue, 16, None);
    show("by signal", mq::mq_notify(queue, Some(&mq::event(0, libc::SIGUSR1, 2))));
    let receiver = child::start(|| {
        say!("a receiver comes first {:?}", mq::receive(queue, 16, None));
        0
    });
    let _ = time::sleep_ms(40);
    let _ = mq::send(queue, b"for it", 0, None);
    say!("{}", child::end_of(receiver));
    say!("{}", status(queue));
    // Any descriptor of the process that is closed ends it.
    let same = mq::mq_open(name, libc::O_RDONLY, 0, None).unwrap_or(0) as i32;
    let _ = file::close(same);
    say!("{}", status(queue));
    show("by nothing", mq::mq_notify(queue, Some(&mq::event(1, 0, 0))));
    say!("{}", status(queue));
    show("no more", mq::mq_notify(queue, None));
    by_socket(queue);
    let _ = mq::mq_unlink(name);
    0
}
