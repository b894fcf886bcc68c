//! The vDSO's image, `vdso.S`: its bytes lie among the kernel's constants, and `vm::vdso` copies them
//! into the page that programs see.

use core::arch::global_asm;

use kiln_core::vdso::{
    COARSE, COARSE_NS, MODE, OFFSETS, SCALE, SEQUENCE, SERVED, START, ZONE, elf_hash, gnu_hash,
};

use super::tables;

/// `LINUX_VERSION_CODE` of the version that uname(2) tells of.
const LINUX_VERSION: u32 = 6 << 16 | 1 << 8;

global_asm!(
    include_str!("vdso.S"),
    sequence = const SEQUENCE,
    mode = const MODE,
    start = const START,
    scale = const SCALE,
    zone = const ZONE,
    offsets = const OFFSETS,
    served = const SERVED,
    coarse = const COARSE,
    coarse_ns = const COARSE_NS,
    cpu_number = const tables::CPU_NUMBER,
    linux_version = const LINUX_VERSION,
    elf_hash_own = const elf_hash("linux-vdso.so.1"),
    elf_hash_version = const elf_hash("LINUX_2.6"),
    hash_version = const gnu_hash("LINUX_2.6"),
    hash_clock_gettime = const gnu_hash("clock_gettime"),
    hash_vdso_clock_gettime = const gnu_hash("__vdso_clock_gettime"),
    hash_gettimeofday = const gnu_hash("gettimeofday"),
    hash_vdso_gettimeofday = const gnu_hash("__vdso_gettimeofday"),
    hash_time = const gnu_hash("time"),
    hash_vdso_time = const gnu_hash("__vdso_time"),
    hash_clock_getres = const gnu_hash("clock_getres"),
    hash_vdso_clock_getres = const gnu_hash("__vdso_clock_getres"),
    hash_getcpu = const gnu_hash("getcpu"),
    hash_vdso_getcpu = const gnu_hash("__vdso_getcpu"),
);

unsafe extern "C" {
    static vdso_start: [u8; 0];
    static vdso_end: [u8; 0];
}

/// The bytes of the ELF image.
pub(crate) fn image() -> &'static [u8] {
    let start = &raw const vdso_start;
    let len = (&raw const vdso_end).addr() - start.addr();
    // SAFETY: both labels bound one section of constants, which nobody ever writes and programs never
    // see: what they map is a copy.
    unsafe { core::slice::from_raw_parts(start.cast::<u8>(), len) }
}
