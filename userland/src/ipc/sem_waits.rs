//! Semaphores: waiting for a value and for zero, timeouts, removal and signals while waiting.
use crate::out::{say, show};
use crate::sys::event::kill;
use crate::sys::ipc::{Op, id_or_say, semctl, semget, semop, semtimedop};
use crate::sys::{child, signal, task, time};
use std::ffi::CStr;

extern "C" fn handler(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

fn until(id: i32, command: i32, wanted: usize) {
    while semctl(id, 0, command, 0) != Ok(wanted) && semctl(id, 0, command, 0).is_ok() {
        let _ = time::sleep_ms(2);
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let id = id_or_say("semget", semget(libc::IPC_PRIVATE, 1, 0o600));
    let taker = child::start(|| i32::from(semop(id, &[Op(0, -2, 0)]).is_err()));
    until(id, libc::GETNCNT, 1);
    show("one", semop(id, &[Op(0, 1, 0)]));
    show("still one waits", semctl(id, 0, libc::GETNCNT, 0));
    show("two", semop(id, &[Op(0, 1, 0)]));
    show("taken at once", semctl(id, 0, libc::GETVAL, 0));
    say!("{}", child::end_of(taker));
    let _ = semop(id, &[Op(0, 1, 0)]);
    let zero = child::start(|| i32::from(semop(id, &[Op(0, 0, 0)]).is_err()));
    until(id, libc::GETZCNT, 1);
    show("none waits to grow", semctl(id, 0, libc::GETNCNT, 0));
    show("to zero", semop(id, &[Op(0, -1, 0)]));
    say!("{}", child::end_of(zero));
    let start = time::monotonic();
    show("late", semtimedop(id, &[Op(0, -1, 0)], &time::spec(0, 30_000_000)));
    say!("not early {}", time::monotonic() - start >= 30_000_000);
    show("bad time", semtimedop(id, &[Op(0, -1, 0)], &time::spec(0, -1)));
    show("bad time, no wait", semtimedop(id, &[Op(0, 1, 0)], &time::spec(0, -1)));
    let waiter = child::start(|| {
        let _ = signal::handle(libc::SIGUSR1, handler, libc::SA_RESTART, 0);
        show("interrupted", semop(id, &[Op(0, -1, 0)]));
        show("removed", semop(id, &[Op(0, -1, 0)]));
        0
    });
    until(id, libc::GETNCNT, 1);
    let _ = kill(waiter, libc::SIGUSR1);
    task::until_asleep(waiter);
    until(id, libc::GETNCNT, 1);
    let _ = semctl(id, 0, libc::IPC_RMID, 0);
    say!("{}", child::end_of(waiter));
    0
}
