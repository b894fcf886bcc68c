//! Options that file systems without a disk don't have: EINVAL from mount(2), and from fsconfig(2) at once.
use super::alone;
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::file::{self, fd, fsconfig, fsopen};
use std::ffi::{CStr, CString};

/// `FSCONFIG_SET_FLAG`, `FSCONFIG_SET_STRING`.
const SET_FLAG: u32 = 0;
const SET_STRING: u32 = 1;

fn tried(kind: &CStr, options: &str) {
    let text = CString::new(options).unwrap_or_default();
    show(&format!("{kind:?} {options}"), file::mount(c"none", c"m", kind, 0, Some(&text)));
    let _ = file::umount2(c"m", 0);
}

fn one(kind: &CStr, key: &CStr, value: Option<&CStr>) {
    let context = fd(fsopen(kind, 0)).unwrap_or(-1);
    let command = if value.is_some() { SET_STRING } else { SET_FLAG };
    show(&format!("{kind:?} {key:?} {value:?}"), fsconfig(context, command, Some(key), value, 0));
    let _ = file::close(context);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"m", 0o755);
    for kind in [c"proc", c"sysfs", c"cgroup2", c"devpts", c"mqueue", c"tmpfs"] {
        for options in ["nonsense", "nonsense=1", "", "size"] {
            tried(kind, options);
        }
        // Before 6.13 or so this one looked at them when it was made.
        if kind != c"devpts" {
            one(kind, c"nonsense", None);
            one(kind, c"nonsense", Some(c"1"));
        }
    }
    for options in ["hidepid=0", "hidepid=off", "hidepid=3", "hidepid=", "hidepid", "gid=0", "gid=x", "subset=all"] {
        tried(c"proc", options);
    }
    for options in ["mode=620", "mode=9", "uid=x", "max=10", "newinstance"] {
        tried(c"devpts", options);
    }
    for kind in [c"proc", c"sysfs"] {
        let _ = file::mount(c"none", c"m", kind, 0, None);
        show("remount", file::mount(c"none", c"m", kind, libc::MS_REMOUNT, None));
        show("with another", file::mount(c"none", c"m", kind, libc::MS_REMOUNT, Some(c"nonsense=1")));
        let _ = file::umount2(c"m", 0);
    }
    one(c"cgroup2", c"nsdelegate", Some(c"1"));
    0
}
