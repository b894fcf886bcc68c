//! The vDSO's functions answer as the system calls do: the same clocks, errors and null pointers.
use crate::out::say;
use crate::sys::time::{self, now};
use crate::sys::vdso::{self, ClockCall, GetCpu, GetTimeOfDay, Time, Vdso};
use crate::sys::{child, sched};
use std::ffi::CStr;
use std::mem::transmute;
use std::ptr::{null_mut, from_mut};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Some(vdso) = Vdso::find() else { return 1 };
    let address = |name| vdso.function(name).map_or(0, |(addr, _)| addr);
    let Some(clock) = vdso::clock_gettime() else { return 1 };
    for id in [0, 1, 4, 5, 6, 7, 11, 2, 3] {
        let (before, told, after) = (now(id), vdso::now(clock, id), now(id));
        say!("clock {id} between two calls: {}", before <= told && told <= after);
    }
    say!("unknown clocks: {} {} {}", vdso::now(clock, 12), vdso::now(clock, -1), vdso::now(clock, i32::MAX));
    say!("child {}", child::run(|| i32::from(vdso::now(clock, 1) > now(1))));
    // SAFETY: the functions of these names have these types; below, places for answers or null.
    let (getres, day, seconds, cpu) = unsafe {
        (
            transmute::<usize, ClockCall>(address(c"__vdso_clock_getres")),
            transmute::<usize, GetTimeOfDay>(address(c"__vdso_gettimeofday")),
            transmute::<usize, Time>(address(c"__vdso_time")),
            transmute::<usize, GetCpu>(address(c"__vdso_getcpu")),
        )
    };
    for id in [0, 1, 2, 3, 4, 7, 11, 12] {
        let mut resolution = time::spec(7, 7);
        // SAFETY: see above.
        let (answer, null) = unsafe { (getres(id, from_mut(&mut resolution)), getres(id, null_mut())) };
        say!("resolution {id}: {answer} {null} {} {}", resolution.tv_sec, resolution.tv_nsec);
    }
    let before = now(0) / 1000;
    let mut value = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut zone = [7, 7];
    // SAFETY: see above.
    let answers = unsafe {
        [day(from_mut(&mut value), null_mut()), day(null_mut(), from_mut(&mut zone)), day(null_mut(), null_mut())]
    };
    let told = value.tv_sec * 1_000_000 + value.tv_usec;
    say!("time of day {answers:?} between: {}", before <= told && told <= now(0) / 1000);
    say!("zone {zone:?}");
    let mut kept = 0;
    // SAFETY: see above.
    let (first, second) = unsafe { (seconds(from_mut(&mut kept)), seconds(null_mut())) };
    say!("seconds: kept {} near {}", kept == first, second - first < 60 && (first - now(0) / 1_000_000_000).abs() < 60);
    let mut first = [0; 128];
    first[0] = 1;
    let _ = sched::sched_setaffinity(0, size_of_val(&first), &first);
    let (mut number, mut node) = (7, 7);
    // SAFETY: see above.
    let answers = unsafe {
        [cpu(from_mut(&mut number), from_mut(&mut node), null_mut()), cpu(null_mut(), null_mut(), null_mut())]
    };
    say!("cpu {answers:?} {number} {node}");
    0
}
