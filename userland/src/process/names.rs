//! prctl(2): PR_SET_NAME and PR_GET_NAME, 15 bytes kept; a child inherits it, exec sets it.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    set(c"short");
    get();
    set(c"twenty characters !!");
    get();
    say!("{}", child::run(|| { get(); 0 }));
    let path = CString::new(crate::exec::own_path()).unwrap_or_default();
    show("symlink", file::symlink(&path, c"a-rather-long-name-for-a-program"));
    say!("{}", child::run(|| {
        let args = [c"zero", c"--helper", c"name"];
        show("exec", process::execve(c"./a-rather-long-name-for-a-program", &args, &[]));
        1
    }));
    show("bad pointer", process::prctl(libc::PR_SET_NAME, 8, 0, 0, 0));
    show("unknown option", process::prctl(9999, 0, 0, 0, 0));
    0
}

fn set(name: &CStr) {
    show("set", process::prctl(libc::PR_SET_NAME, name.as_ptr() as usize, 0, 0, 0));
}

fn get() {
    let mut name = [0u8; 16];
    let result = process::prctl(libc::PR_GET_NAME, name.as_mut_ptr() as usize, 0, 0, 0);
    say!("{:?} {result:?}", CStr::from_bytes_until_nul(&name).unwrap_or_default());
}
