//! uname(2): Linux on x86_64.
use crate::out::{say, show};
use crate::sys::{Plain, process};
use std::ffi::{CStr, c_char};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut name = libc::utsname::zeroed();
    show("uname", process::uname(&mut name));
    say!("sysname {:?} machine {:?}", text(&name.sysname), text(&name.machine));
    let release = text(&name.release);
    let numbers: Vec<&str> = release.split(['.', '-']).collect();
    say!("release begins with numbers: {}", numbers.iter().take(2).all(|n| n.parse::<u32>().is_ok()));
    say!("node name: {}", !text(&name.nodename).is_empty());
    say!("version begins with #: {}", text(&name.version).starts_with('#'));
    0
}

fn text(field: &[c_char]) -> String {
    field.iter().take_while(|c| **c != 0).map(|c| char::from(c.cast_unsigned())).collect()
}
