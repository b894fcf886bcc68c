//! setuid(2), setresuid(2), setgroups(2) by root and after root is given up.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        tell("start");
        show("setgroups", process::setgroups(&[5, 7, 5]));
        let mut groups = [0; 8];
        let count = process::getgroups(&mut groups).unwrap_or(0);
        say!("groups {:?}", &groups[..count]);
        show("count only", process::getgroups(&mut []));
        show("list too short", process::getgroups(&mut groups[..1]));
        show("setgid", process::setgid(1001));
        show("setuid", process::setuid(1000));
        tell("given up");
        show("setuid back", process::setuid(0));
        show("setresuid back", process::setresuid(0, 0, 0));
        show("setreuid back", process::setreuid(0, 0));
        show("setgid back", process::setgid(0));
        show("setgroups", process::setgroups(&[1]));
        show("no change", process::setresuid(u32::MAX, u32::MAX, u32::MAX));
        show("setuid -1", process::setuid(u32::MAX));
        tell("still");
        0
    }));
    tell("parent");
    0
}

fn tell(label: &str) {
    let (mut r, mut e, mut s) = (9, 9, 9);
    let _ = process::getresuid(&mut r, &mut e, &mut s);
    let (mut gr, mut ge, mut gs) = (9, 9, 9);
    let _ = process::getresgid(&mut gr, &mut ge, &mut gs);
    say!("{label}: uid {r} {e} {s} gid {gr} {ge} {gs}");
}
