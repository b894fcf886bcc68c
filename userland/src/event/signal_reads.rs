//! signalfd: what a read tells of each kind of signal, several at once, and what stays pending.
use crate::out::say;
use crate::sys::event::{fd_or_say, kill, rt_sigqueueinfo, signalfd4};
use crate::sys::{Plain, child, file, process, signal};
use std::ffi::CStr;

fn bits(signals: &[i32]) -> u64 {
    signals.iter().fold(0, |set, signal| set | 1 << (signal - 1))
}

fn tell(fd: i32, room: usize) {
    let mut buf = vec![0u8; room];
    let len = match file::read(fd, &mut buf) {
        Ok(len) => len,
        Err(errno) => return say!("read {room}: {errno}"),
    };
    say!("read {room}: {len}");
    for info in buf[..len].chunks_exact(128) {
        let word = |at: usize| i32::from_ne_bytes(info[at..at + 4].try_into().unwrap_or_default());
        let own = word(12) == process::getpid().unwrap_or(0) as i32;
        let long = u64::from_ne_bytes(info[48..56].try_into().unwrap_or_default());
        say!(
            "  {} errno {} code {} own pid {own} uid {} fd {} tid {} band {} overrun {} trap {} status {} int {} ptr {long:#x}",
            signal::name(word(0)), word(4), word(8), word(16), word(20), word(24), word(28), word(32), word(36), word(40), word(44)
        );
        say!("  rest {}", info[72..].iter().all(|byte| *byte == 0));
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pid = process::getpid().unwrap_or(0) as i32;
    let all = bits(&[libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD, libc::SIGTERM, 40, 41]);
    let _ = signal::block(all);
    let fd = fd_or_say("signalfd", signalfd4(-1, Some(&all), 8, libc::SFD_NONBLOCK));
    tell(fd, 128);
    tell(fd, 127);
    let _ = kill(pid, libc::SIGUSR1);
    tell(fd, 128);
    let mut info = libc::siginfo_t::zeroed();
    info.si_signo = 40;
    info.si_code = -1;
    // SAFETY: the fields of rt_sigqueueinfo's union lie inside the structure.
    unsafe {
        let words = (&raw mut info).cast::<i32>();
        words.add(4).write(pid);
        words.add(5).write(0);
        words.add(6).write(0x1234);
        words.add(7).write(0x5678);
    }
    for _ in 0..3 {
        let _ = rt_sigqueueinfo(pid, 40, &info);
    }
    let _ = signal::raise(libc::SIGUSR2);
    let _ = signal::raise(libc::SIGUSR2);
    tell(fd, 256);
    tell(fd, 1000);
    let end = child::start(|| 3);
    let _ = child::wait(end);
    let mut buf = [0u8; 128];
    let _ = file::read(fd, &mut buf);
    say!("child: signal {} code {} status {}", buf[0], buf[8], buf[40]);
    let _ = kill(pid, libc::SIGTERM);
    let same = |r: crate::sys::Res| r.map(|got| got as i32 == fd);
    say!("narrower {:?}", same(signalfd4(fd, Some(&bits(&[libc::SIGUSR1])), 8, 0)));
    tell(fd, 128);
    say!("pending {}", signal::mask_names(signal::pending()));
    say!("wider {:?}", same(signalfd4(fd, Some(&all), 8, 0)));
    tell(fd, 128);
    say!("pending {}", signal::mask_names(signal::pending()));
    0
}
