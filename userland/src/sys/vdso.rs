//! The vDSO as a dynamic linker sees it: found through the auxiliary vector, its symbols by the ELF
//! tables in memory.

use std::ffi::{CStr, c_char};

/// The image of the vDSO, mapped where `base` says.
pub(crate) struct Vdso {
    base: usize,
    symbols: usize,
    names: usize,
    hash: usize,
    versions: usize,
    definitions: usize,
}

/// A word of the image.
fn word<T: Copy>(addr: usize) -> T {
    // SAFETY: the tables lie in the image, which is mapped and never written to.
    unsafe { (addr as *const T).read_unaligned() }
}

fn text<'a>(addr: usize) -> &'a CStr {
    // SAFETY: a string of the image's tables.
    unsafe { CStr::from_ptr(addr as *const c_char) }
}

impl Vdso {
    /// The one of this process.
    pub(crate) fn find() -> Option<Self> {
        // SAFETY: only looks a number up.
        let base = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } as usize;
        if base == 0 || word::<[u8; 4]>(base) != *b"\x7fELF" {
            return None;
        }
        let mut found = Self {
            base,
            symbols: 0,
            names: 0,
            hash: 0,
            versions: 0,
            definitions: 0,
        };
        let [tag, value] = [0, 8];
        let mut at = base
            + found
                .segments()
                .find(|h| h.p_type == libc::PT_DYNAMIC)?
                .p_vaddr as usize;
        while word::<u64>(at + tag) != 0 {
            let place = base + word::<usize>(at + value);
            match word::<u64>(at + tag) {
                4 => found.hash = place,
                5 => found.names = place,
                6 => found.symbols = place,
                0x6fff_fff0 => found.versions = place,
                0x6fff_fffc => found.definitions = place,
                _ => {}
            }
            at += 16;
        }
        Some(found)
    }

    /// Where it lies.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// Its program headers.
    pub(crate) fn segments(&self) -> impl Iterator<Item = libc::Elf64_Phdr> {
        let header: libc::Elf64_Ehdr = word(self.base);
        let table = self.base + header.e_phoff as usize;
        (0..usize::from(header.e_phnum))
            .map(move |at| word(table + at * size_of::<libc::Elf64_Phdr>()))
    }

    /// The name of the version that a symbol has, by the version's index.
    fn version(&self, index: u16) -> &CStr {
        let mut at = self.definitions;
        loop {
            // struct Elf64_Verdef: index at 4, first name's distance at 12, the next's at 16.
            if word::<u16>(at + 4) == index {
                let name = at + word::<u32>(at + 12) as usize;
                return text(self.names + word::<u32>(name) as usize);
            }
            match word::<u32>(at + 16) {
                0 => return c"(none)",
                next => at += next as usize,
            }
        }
    }

    /// A function and its version, found as through the hash table: from its bucket on.
    pub(crate) fn function(&self, name: &CStr) -> Option<(usize, &CStr)> {
        let (buckets, bucket_at) = (word::<u32>(self.hash), self.hash + 8);
        let chain_at = bucket_at + 4 * buckets as usize;
        let mut index = word::<u32>(bucket_at + 4 * (elf_hash(name) % buckets) as usize) as usize;
        while index != 0 {
            let symbol: libc::Elf64_Sym = word(self.symbols + index * size_of::<libc::Elf64_Sym>());
            if text(self.names + symbol.st_name as usize) == name && symbol.st_shndx != 0 {
                let version = word::<u16>(self.versions + 2 * index);
                return Some((
                    self.base + symbol.st_value as usize,
                    self.version(version & 0x7fff),
                ));
            }
            index = word::<u32>(chain_at + 4 * index) as usize;
        }
        None
    }
}

/// The hash of DT_HASH tables (System V ABI).
fn elf_hash(name: &CStr) -> u32 {
    name.to_bytes().iter().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add((*byte).into());
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// `clock_gettime` and `clock_getres` of the vDSO.
pub(crate) type ClockCall = unsafe extern "C" fn(i32, *mut libc::timespec) -> i32;
/// `getcpu` of the vDSO.
pub(crate) type GetCpu = unsafe extern "C" fn(*mut u32, *mut u32, *mut u8) -> i32;
/// `gettimeofday` of the vDSO.
pub(crate) type GetTimeOfDay = unsafe extern "C" fn(*mut libc::timeval, *mut [i32; 2]) -> i32;
/// `time` of the vDSO.
pub(crate) type Time = unsafe extern "C" fn(*mut i64) -> i64;

/// The vDSO's clock_gettime.
pub(crate) fn clock_gettime() -> Option<ClockCall> {
    let (addr, _) = Vdso::find()?.function(c"__vdso_clock_gettime")?;
    // SAFETY: the function of this name has this type.
    Some(unsafe { std::mem::transmute::<usize, ClockCall>(addr) })
}

/// A clock as the vDSO tells it, in nanoseconds; the error as a negative number.
pub(crate) fn now(call: ClockCall, clock: i32) -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a place for the answer.
    match unsafe { call(clock, &raw mut time) } {
        0 => time.tv_sec * 1_000_000_000 + time.tv_nsec,
        error => error.into(),
    }
}
