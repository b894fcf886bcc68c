//! getauxval(3): the entries of the auxiliary vector that programs rely on.
use crate::out::say;
use crate::sys::process;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("PAGESZ {}", get(libc::AT_PAGESZ));
    say!("CLKTCK {}", get(libc::AT_CLKTCK));
    say!("PHENT {}", get(libc::AT_PHENT));
    say!("FLAGS {}", get(libc::AT_FLAGS));
    say!("SECURE {}", get(libc::AT_SECURE));
    say!("BASE {}", get(libc::AT_BASE));
    say!("ids {}", [
        (libc::AT_UID, process::getuid()), (libc::AT_EUID, process::geteuid()),
        (libc::AT_GID, process::getgid()), (libc::AT_EGID, process::getegid()),
    ].iter().all(|(key, id)| Ok(get(*key)) == *id));
    say!("PLATFORM {:?}", string(libc::AT_PLATFORM));
    let name = string(libc::AT_EXECFN);
    say!("EXECFN names behave: {}", name.to_bytes().ends_with(b"behave") || name == super::SELF);
    headers();
    random();
    // CPUID.1:EDX's bits of x87, TSC, MSRs, MMX, FXSR, SSE, SSE2: every x86-64 has them.
    let basic = 1 | 1 << 4 | 1 << 5 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26;
    say!("HWCAP has the basics: {}", get(libc::AT_HWCAP) & basic == basic);
    say!("MINSIGSTKSZ is enough: {}", get(libc::AT_MINSIGSTKSZ) >= 1024);
    0
}

/// The program headers are in memory where AT_PHDR says, and AT_ENTRY is in a text segment.
fn headers() {
    let (addr, count) = (get(libc::AT_PHDR), get(libc::AT_PHNUM));
    // SAFETY: AT_PHDR points to AT_PHNUM headers of this program, mapped for its whole life.
    let all = unsafe { std::slice::from_raw_parts(addr as *const libc::Elf64_Phdr, count) };
    let own = all.iter().find(|h| h.p_type == libc::PT_PHDR).map_or(0, |h| h.p_vaddr as usize);
    let bias = if own == 0 { 0 } else { addr - own };
    let entry = get(libc::AT_ENTRY);
    let text = all.iter().any(|h| {
        let start = bias + h.p_vaddr as usize;
        h.p_type == libc::PT_LOAD && h.p_flags & 1 != 0 && (start..start + h.p_memsz as usize).contains(&entry)
    });
    say!("headers: some {} entry in text {text}", count > 3);
}

/// AT_RANDOM: 16 bytes, not all alike.
fn random() {
    // SAFETY: AT_RANDOM points to 16 bytes for the process's whole life.
    let bytes = unsafe { *(get(libc::AT_RANDOM) as *const [u8; 16]) };
    say!("RANDOM not constant: {}", bytes.iter().any(|b| *b != bytes[0]));
}

fn get(key: u64) -> usize {
    // SAFETY: only looks a number up.
    unsafe { libc::getauxval(key) as usize }
}

fn string(key: u64) -> &'static CStr {
    match get(key) {
        0 => c"(none)",
        // SAFETY: string entries point to the initial stack's strings.
        addr => unsafe { CStr::from_ptr(addr as *const std::ffi::c_char) },
    }
}
