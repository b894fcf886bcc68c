//! Processor time of another process and of another thread, read while they run and while they sleep;
//! clock_nanosleep(2) and timers on such clocks.
use crate::out::{say, show, show_ok};
use crate::sys::{child, process, signal, time};
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

static FIRED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    FIRED.fetch_add(1, Ordering::Relaxed);
}

/// The precise clock of a process or thread.
const fn clock(number: i32, thread: bool) -> i32 {
    (!number) << 3 | if thread { 4 } else { 0 } | 2
}

fn spin() -> i32 {
    loop {
        std::hint::spin_loop();
    }
}

/// Waits until the clock has gone on by so many milliseconds; whether it did in good time.
fn goes_on(id: i32, ms: i64) -> bool {
    let (start, patience) = (time::now(id), time::monotonic() + 20_000_000_000);
    while time::now(id) - start < ms * 1_000_000 {
        if time::monotonic() > patience {
            return false;
        }
        let _ = time::sleep_ms(2);
    }
    true
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let hog = child::start(spin);
    say!("a busy process's goes on: {}", goes_on(clock(hog, false), 30));
    let before = time::now(clock(hog, false));
    show("sleep on it", time::clock_nanosleep(clock(hog, false), 0, &time::spec(0, 20_000_000), None));
    say!("not early: {}", time::now(clock(hog, false)) - before >= 20_000_000);
    let _ = signal::handle(libc::SIGUSR1, on_signal, 0, 0);
    let mut event = [0u64; 8];
    event[1] = libc::SIGUSR1 as u64;
    let mut id = 0;
    let start = time::now(clock(hog, false));
    show_ok("timer", time::timer_create(clock(hog, false), Some(&event), &mut id));
    show("set", time::timer_settime(id, 0, &[0, 0, 0, 20_000_000], None));
    while FIRED.load(Ordering::Relaxed) == 0 && goes_on(clock(hog, false), 1) {}
    say!("fired {} not early {}", FIRED.load(Ordering::Relaxed), time::now(clock(hog, false)) - start >= 20_000_000);
    let _ = signal::kill(hog, libc::SIGKILL);
    say!("{}", child::end_of(hog));
    let sleeper = child::start(|| time::sleep_ms(60_000).map_or(1, |_| 0));
    let _ = time::sleep_ms(50);
    let then = time::now(clock(sleeper, false));
    let _ = time::sleep_ms(50);
    say!("a sleeper's stands: {}", time::now(clock(sleeper, false)) - then < 20_000_000);
    let _ = signal::kill(sleeper, libc::SIGKILL);
    say!("{}", child::end_of(sleeper));
    threads();
    0
}

fn threads() {
    let (tid, stop) = (AtomicI32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            tid.store(process::gettid().unwrap_or(0) as i32, Ordering::SeqCst);
            while !stop.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
        });
        while tid.load(Ordering::SeqCst) == 0 {
            let _ = time::sleep_ms(1);
        }
        let id = clock(tid.load(Ordering::SeqCst), true);
        say!("a busy thread's goes on: {}", goes_on(id, 20));
        let own = time::now(libc::CLOCK_THREAD_CPUTIME_ID);
        let before = time::now(id);
        say!("and on: {}", goes_on(id, 20));
        let (own, its) = (time::now(libc::CLOCK_THREAD_CPUTIME_ID) - own, time::now(id) - before);
        say!("more than the waiting one's: {}", its > own);
        say!("the process's has both: {}", time::now(libc::CLOCK_PROCESS_CPUTIME_ID) >= time::now(id));
        show("sleep on the thread's", time::clock_nanosleep(id, 0, &time::spec(0, 10_000_000), None));
        let target = time::now(id) + 10_000_000;
        let until = time::spec(target / 1_000_000_000, target % 1_000_000_000);
        show("until", time::clock_nanosleep(id, libc::TIMER_ABSTIME, &until, None));
        say!("not early: {}", time::now(id) >= target);
        let own = clock(process::gettid().unwrap_or(0) as i32, true);
        show("on one's own", time::clock_nanosleep(own, 0, &time::spec(0, 1), None));
        stop.store(true, Ordering::SeqCst);
    });
}
