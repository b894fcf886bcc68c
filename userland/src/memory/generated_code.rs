//! Code written into memory runs once it is executable, and anew after it was changed (a
//! just-in-time compiler's life).
use crate::out::say;
use crate::sys::memory::{Map, PAGE};
use libc::{PROT_EXEC as X, PROT_READ as R, PROT_WRITE as W};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok(map) = Map::anon(PAGE) else { return 1 };
    for value in [1u8, 77, 255] {
        let _ = map.protect(0, PAGE, R | W);
        write(&map, value);
        let _ = map.protect(0, PAGE, R | X);
        say!("{}", call(&map));
    }
    let _ = map.protect(0, PAGE, R | W | X);
    for value in 0..100u8 {
        write(&map, value);
        if call(&map) != u32::from(value) {
            say!("wrong at {value}");
        }
    }
    say!("writable and executable at once: fine");
    0
}

/// `mov eax, value; ret`
fn write(map: &Map, value: u8) {
    for (i, byte) in [0xb8, value, 0, 0, 0, 0xc3].into_iter().enumerate() {
        map.set(i, byte);
    }
}

fn call(map: &Map) -> u32 {
    // SAFETY: the page holds a function that gives a constant.
    let code = unsafe { std::mem::transmute::<usize, extern "C" fn() -> u32>(map.addr) };
    code()
}
