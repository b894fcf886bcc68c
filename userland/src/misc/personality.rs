//! personality(2): 0 at the start, query, set, inherited.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

const ADDR_NO_RANDOMIZE: u32 = 0x004_0000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("query", process::personality(u32::MAX));
    show("set", process::personality(ADDR_NO_RANDOMIZE));
    show("query", process::personality(u32::MAX));
    say!("{}", child::run(|| {
        show("child", process::personality(u32::MAX));
        0
    }));
    show("back", process::personality(0));
    0
}
