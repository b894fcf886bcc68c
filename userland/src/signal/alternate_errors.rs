//! sigaltstack(2): too small is ENOMEM, unknown flags EINVAL, SS_DISABLE and SS_AUTODISARM work.
use crate::out::{say, show};
use crate::sys::memory::Map;
use crate::sys::{Plain, child, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(65_536) else { return 1 };
    let with = |flags: i32, size: usize| {
        let mut stack = libc::stack_t::zeroed();
        stack.ss_sp = map.addr as *mut _;
        stack.ss_flags = flags;
        stack.ss_size = size;
        stack
    };
    show("2047", signal::sigaltstack(Some(&with(0, 2047)), None));
    show("100", signal::sigaltstack(Some(&with(0, 100)), None));
    show("65536", signal::sigaltstack(Some(&with(0, 65_536)), None));
    show("SS_ONSTACK", signal::sigaltstack(Some(&with(1, 65_536)), None));
    show("flag 4", signal::sigaltstack(Some(&with(4, 65_536)), None));
    show("flag 3", signal::sigaltstack(Some(&with(3, 65_536)), None));
    show("SS_AUTODISARM", signal::sigaltstack(Some(&with(1 << 31, 65_536)), None));
    let tell = |label: &str| {
        let mut now = libc::stack_t::zeroed();
        let _ = signal::sigaltstack(None, Some(&mut now));
        say!("{label}: flags {:#x} size {} set {}", now.ss_flags, now.ss_size, !now.ss_sp.is_null());
    };
    tell("now");
    say!("{}", child::run(|| {
        tell("a forked child");
        0
    }));
    show("SS_DISABLE", signal::sigaltstack(Some(&with(2, 0)), None));
    tell("disabled");
    0
}
