//! core(5): all threads are in a core, as they were, and whatever they do when one of them dies, the process ends.
use super::core_file::{are_here, core, dumped, limit, map, word};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, process, signal, task, time};
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::thread;

/// What the busy thread has in R15 and XMM7.
const MARK: u64 = 0x1122_3344_5566_7788;
const ROUNDS: usize = 3;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    limit(u64::MAX);
    all_are_there();
    for (what, body) in [
        ("come and go", come_and_go as fn()),
        ("die at once", die_at_once),
        ("exec", exec),
        ("fork", fork),
        ("are killed", are_killed),
    ] {
        let mut ends = BTreeSet::new();
        for _ in 0..ROUNDS {
            let pid = child::start(|| {
                body();
                7
            });
            let status = child::wait(pid).map_or(0, |status| status.0);
            let told = core().is_some_and(|core| !core.notes().is_empty());
            ends.insert((status & 0x7F, told == (status & 0x80 != 0) || !are_here()));
        }
        // Which one won is a matter of luck.
        let usual = [libc::SIGSEGV, libc::SIGKILL, 0].map(|signal| (signal, true));
        say!("{what}: {}", ends.iter().all(|end| usual.contains(end)));
    }
    0
}

fn tid() -> i32 {
    process::gettid().unwrap_or(0) as i32
}

fn die() {
    let _ = signal::tgkill(process::getpid().unwrap_or(0) as i32, tid(), libc::SIGSEGV);
}

fn busy() -> ! {
    // SAFETY: never comes back, and touches nothing.
    unsafe {
        std::arch::asm!("mov r15, {mark}", "movq xmm7, r15", "2:", "pause", "jmp 2b", mark = in(reg) MARK, options(noreturn));
    }
}

fn all_are_there() {
    let page = map(4096, 3, libc::MAP_SHARED);
    let tids: [&AtomicI32; 2] = [0, 1].map(|index| {
        // SAFETY: an aligned word of the map, which outlives it.
        unsafe { AtomicI32::from_ptr(page.word(index).as_ptr().cast()) }
    });
    let pid = child::start(|| {
        let _ = thread::spawn(|| {}).join();
        thread::scope(|scope| {
            scope.spawn(|| {
                tids[0].store(tid(), SeqCst);
                let _ = signal::pause();
            });
            scope.spawn(|| {
                tids[1].store(tid(), SeqCst);
                busy()
            });
            task::until_asleep_there(tids[0]);
            while tids[1].load(SeqCst) == 0 {}
            let _ = time::sleep_ms(20);
            die();
        });
        7
    });
    show("told of", dumped(pid).then_some(0).or((!are_here()).then_some(0)).ok_or(crate::sys::Errno(0)));
    let Some(core) = core() else {
        return say!("all: {}", !are_here());
    };
    let notes = core.notes();
    let of = |kind| notes.iter().filter(move |note| note.0 == kind).map(|note| note.1);
    let found: BTreeSet<u64> = of(1).map(|status| word::<4>(status, 32)).collect();
    let expected: BTreeSet<u64> = [pid, tids[0].load(SeqCst), tids[1].load(SeqCst)].map(|tid| tid as u64).into();
    say!("all: {} {} {}", found == expected, of(2).count(), of(1).next().map_or(0, |first| word::<4>(first, 32)) == pid as u64);
    let thread = |tid: &AtomicI32| {
        let is_its = |(status, _): &(&[u8], &[u8])| word::<4>(status, 32) == tid.load(SeqCst) as u64;
        of(1).zip(of(2)).find(is_its).unwrap_or_default()
    };
    let register = |status, index: usize| word::<8>(status, 112 + 8 * index);
    let has_stack = |status| core.at(register(status, 19), 8).is_some();
    let (waits, _) = thread(tids[0]);
    say!("waits: {} {}", has_stack(waits), register(waits, 15) == libc::SYS_pause as u64);
    let (busy, fpu) = thread(tids[1]);
    say!("busy: {} {} {}", has_stack(busy), register(busy, 0) == MARK, word::<8>(fpu, 160 + 16 * 7) == MARK);
}

fn come_and_go() {
    for _ in 0..2 {
        thread::spawn(|| while thread::Builder::new().stack_size(64 << 10).spawn(|| {}).is_ok() {});
    }
    let _ = time::sleep_ms(1);
    die();
}

fn die_at_once() {
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(die);
        }
    });
}

fn exec() {
    thread::spawn(|| process::execve(c"/proc/self/exe", &[c"behave", c"--helper", c"exit", c"0"], &[]));
    let _ = thread::spawn(die).join();
}

fn fork() {
    thread::spawn(|| {
        loop {
            let _ = child::end_of(child::start(|| 0));
        }
    });
    let _ = time::sleep_ms(1);
    die();
}

fn are_killed() {
    let pid = process::getpid().unwrap_or(0) as i32;
    thread::spawn(move || signal::kill(pid, libc::SIGKILL));
    let _ = thread::spawn(die).join();
}
