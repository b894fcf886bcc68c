//! [vdso] in /proc/self/maps: its rights, what mprotect(2), mremap(2) and munmap(2) make of it, and that
//! a child has it.
use crate::out::{say, show};
use crate::sys::memory::{Map, mprotect};
use crate::sys::vdso::{self, GetCpu, Vdso};
use crate::sys::{call, child, time};
use std::ffi::CStr;

/// The range and rights of the mapping with this name.
fn mapping(name: &str) -> Option<(usize, usize, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with(name))?;
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?, words.next()?.to_owned()))
}

fn get_cpu(at: usize) -> i32 {
    // SAFETY: the function at this place of the image has this type; null pointers are allowed.
    unsafe { std::mem::transmute::<usize, GetCpu>(at)(std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut()) }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (Some(image), Some(code), Some(data)) = (Vdso::find(), mapping("[vdso]"), mapping("[vvar]")) else {
        say!("not mapped");
        return 1;
    };
    say!("[vdso] {} where the vector says {}", code.2, code.0 == image.base());
    say!("[vvar] {} below it {}", data.2, data.1 <= code.0);
    let Some((function, _)) = image.function(c"__vdso_getcpu") else { return 1 };
    show("data to be written", mprotect(data.0, data.1 - data.0, libc::PROT_READ | libc::PROT_WRITE));
    say!("write to the code: {}", child::run(|| {
        // SAFETY: the fault ends the process.
        unsafe { std::arch::asm!("mov byte ptr [{0}], 0", in(reg) code.0) };
        0
    }));
    say!("write to the data: {}", child::run(|| {
        // SAFETY: the fault ends the process.
        unsafe { std::arch::asm!("mov byte ptr [{0}], 0", in(reg) data.0) };
        0
    }));
    let len = code.1 - code.0;
    // SAFETY: nothing in this program calls the vDSO while it is away.
    show("grow", unsafe { call(libc::SYS_mremap, [code.0, len, len + 4096, libc::MREMAP_MAYMOVE as usize, 0, 0]) });
    say!("moved: {}", child::run(move || {
        let Ok(place) = Map::anon(len) else { return 1 };
        let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as usize;
        // SAFETY: as above; the place is this program's own.
        let moved = unsafe { call(libc::SYS_mremap, [code.0, len, len, flags, place.addr, 0]) };
        say!("to the place asked for: {}", moved == Ok(place.addr));
        say!("still [vdso]: {}", mapping("[vdso]").is_some_and(|now| now.0 == place.addr));
        say!("works there: {}", get_cpu(place.addr + (function - code.0)));
        0
    }));
    say!("unmapped: {}", child::run(move || {
        // SAFETY: as above.
        show("munmap", unsafe { call(libc::SYS_munmap, [code.0, len, 0, 0, 0, 0]) });
        say!("gone: {}", mapping("[vdso]").is_none());
        i32::from(time::monotonic() <= 0)
    }));
    say!("a child's works: {}", child::run(move || get_cpu(function)));
    say!("writable for a debugger's breakpoint: {}", child::run(move || {
        show("mprotect", mprotect(code.0, len, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC));
        // SAFETY: the page is writable now, and the byte gets the value it has.
        unsafe { std::arch::asm!("mov al, [{0}]", "mov [{0}], al", in(reg) function, out("al") _) };
        get_cpu(function)
    }));
    say!("nobody else's: {}", get_cpu(function));
    i32::from(vdso::clock_gettime().is_none())
}
