//! vdso(7): the shared object that AT_SYSINFO_EHDR tells of, its functions and their version.
use crate::out::say;
use crate::sys::vdso::Vdso;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Some(vdso) = Vdso::find() else {
        say!("none");
        return 1;
    };
    say!("a page's start: {}", vdso.base().is_multiple_of(4096));
    for name in [c"clock_gettime", c"gettimeofday", c"time", c"clock_getres", c"getcpu"] {
        let long = std::ffi::CString::new([b"__vdso_", name.to_bytes()].concat()).unwrap_or_default();
        for name in [name, long.as_c_str()] {
            match vdso.function(name) {
                Some((addr, version)) => say!("{name:?} {version:?} in the image {}", addr > vdso.base()),
                None => say!("{name:?} isn't there"),
            }
        }
    }
    say!("no other: {}", vdso.function(c"clock_settime").is_none());
    for segment in vdso.segments().filter(|segment| segment.p_type == libc::PT_LOAD) {
        say!("loaded from {} flags {}", segment.p_offset, segment.p_flags);
    }
    say!("unwind tables: {}", vdso.segments().any(|segment| segment.p_type == libc::PT_GNU_EH_FRAME));
    0
}
