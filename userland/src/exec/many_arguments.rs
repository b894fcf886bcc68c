//! execve(2) with much to copy: 2000 arguments, one of 120,000 bytes, 500 variables.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let numbered = |prefix: &str, count: usize| -> Vec<CString> {
        (0..count).map(|i| CString::new(format!("{prefix}{i}={i}")).unwrap_or_default()).collect()
    };
    let words = numbered("word", 2000);
    let env = numbered("VARIABLE", 500);
    let long = CString::new(vec![b'x'; 120_000]).unwrap_or_default();
    let env: Vec<&CStr> = env.iter().map(CString::as_c_str).collect();
    for extra in [words.iter().map(CString::as_c_str).collect(), vec![long.as_c_str()]] {
        let mut args = vec![c"b", c"--helper", c"count"];
        args.extend::<Vec<&CStr>>(extra);
        say!("{}", child::run(|| {
            show("execve", process::execve(super::SELF, &args, &env));
            1
        }));
    }
    0
}
