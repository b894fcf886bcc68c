//! The Xen PVH boot protocol: what the loader hands to the kernel, decoded from bytes.
//!
//! [`BootInfo::read`] turns the physical address that arrives in EBX into an owned, checked
//! [`BootInfo`]; it sees memory only through [`PhysMemory`], so it is safe code and its tests run
//! on the host. [`mod@entry`] (bare metal only) holds the ELF note and the 32-bit entry point.
//! The layout is that of Xen's `public/arch-x86/hvm/start_info.h`.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(target_os = "none")]
#[allow(unsafe_code, reason = "the entry point is assembly")]
pub mod entry;
mod reader;

use core::fmt;
use reader::Reader;

/// Where the kernel image is linked: its virtual addresses are this plus the physical ones.
pub const KERNEL_VMA: u64 = 0xFFFF_FFFF_8000_0000;
/// Bytes of physical memory that [`mod@entry`]'s page tables map, at 0 and at [`KERNEL_VMA`].
pub const BOOT_MAPPED: u64 = 1 << 30;
/// First word of `hvm_start_info`.
pub const MAGIC: u32 = 0x336e_c578;
/// Most memory map entries taken over.
pub const MAX_REGIONS: usize = 32;
/// Most modules taken over.
pub const MAX_MODULES: usize = 8;
/// Longest command line accepted, without its NUL: Linux's `COMMAND_LINE_SIZE` on x86, less one.
pub const MAX_CMDLINE: usize = 2047;

const START_INFO_LEN: usize = 56;
const MODULE_LEN: usize = 32;
const REGION_LEN: usize = 24;

/// Physical memory, as far as it can be read.
pub trait PhysMemory {
    /// The `len` bytes at physical address `addr`; `None` where they can't all be read.
    fn bytes(&self, addr: u64, len: usize) -> Option<&[u8]>;
}

/// A range of physical memory, `start..end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PhysRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl PhysRange {
    /// The range of `len` bytes from `start`; `None` where it would leave the address space.
    #[must_use]
    pub const fn new(start: u64, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(end) => Some(Self { start, end }),
            None => None,
        }
    }

    /// Bytes in it.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `other` lies within it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// What a region of the memory map is for (the E820 numbers).
///
/// A word wide and 0 by default, so that an empty list is nothing but zeros and filling it one loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u64)]
pub enum RegionKind {
    /// Everything else: leave it alone.
    #[default]
    Reserved,
    /// Usable memory (1).
    Ram,
}

/// One entry of the memory map.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Region {
    /// Where.
    pub range: PhysRange,
    /// What.
    pub kind: RegionKind,
}

/// Why the loader's information was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The first word isn't [`MAGIC`]: not started through PVH.
    BadMagic(u32),
    /// A version without a memory map.
    BadVersion(u32),
    /// This structure lies where it can't be read.
    Unreadable(&'static str, u64),
    /// More entries than the kernel takes over.
    TooMany(&'static str, u32),
    /// This range wraps round the end of the address space.
    Wraps(&'static str, u64),
    /// The memory map names no usable memory.
    NoMemory,
    /// The command line has no end within [`MAX_CMDLINE`] bytes.
    LongCommandLine,
    /// The module at this address doesn't lie in usable memory.
    ModuleOutside(u64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadMagic(magic) => write!(f, "not started through PVH: magic {magic:#x}"),
            Self::BadVersion(version) => write!(f, "start info version {version} is too old"),
            Self::Unreadable(what, addr) => write!(f, "the {what} at {addr:#x} can't be read"),
            Self::TooMany(what, count) => write!(f, "too many {what}: {count}"),
            Self::Wraps(what, addr) => write!(f, "the {what} at {addr:#x} has no end"),
            Self::NoMemory => write!(f, "the memory map names no usable memory"),
            Self::LongCommandLine => {
                write!(f, "the command line is longer than {MAX_CMDLINE} bytes")
            }
            Self::ModuleOutside(addr) => {
                write!(f, "the module at {addr:#x} isn't in usable memory")
            }
        }
    }
}

/// A list of bounded length.
#[derive(Clone, Copy, Debug)]
pub struct List<T, const N: usize> {
    items: [T; N],
    len: usize,
}

impl<T: Copy, const N: usize> List<T, N> {
    const fn new(empty: T) -> Self {
        Self {
            items: [empty; N],
            len: 0,
        }
    }

    /// What is in it.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, item: T) -> Option<()> {
        *self.items.get_mut(self.len)? = item;
        self.len += 1;
        Some(())
    }
}

/// What the loader handed over: lists copied, the command line and the modules where they lie.
#[derive(Clone, Copy, Debug)]
pub struct BootInfo {
    /// The memory map, empty entries left out.
    pub regions: List<Region, MAX_REGIONS>,
    /// The modules; the first is the initial root.
    pub modules: List<PhysRange, MAX_MODULES>,
    /// The command line without its NUL; empty when there is none.
    pub cmdline: PhysRange,
}

impl BootInfo {
    /// Reads and checks the `hvm_start_info` at `start_info`.
    ///
    /// # Errors
    /// [`Error`] names the first thing that isn't as the protocol says.
    pub fn read(memory: &impl PhysMemory, start_info: u64) -> Result<Self, Error> {
        let header = Reader::at(memory, "start info", start_info, START_INFO_LEN)?;
        if header.u32(0) != MAGIC {
            return Err(Error::BadMagic(header.u32(0)));
        }
        // Version 0 has no memory map; later versions only append to version 1.
        if header.u32(4) == 0 {
            return Err(Error::BadVersion(0));
        }
        let mut info = Self {
            regions: List::new(Region::default()),
            modules: List::new(PhysRange::default()),
            cmdline: read_cmdline(memory, header.u64(24))?,
        };
        read_regions(memory, header.u64(40), header.u32(48), &mut info.regions)?;
        read_modules(memory, header.u64(16), header.u32(12), &mut info.modules)?;
        match info
            .modules
            .as_slice()
            .iter()
            .find(|module| !info.is_ram(**module))
        {
            Some(module) => Err(Error::ModuleOutside(module.start)),
            None => Ok(info),
        }
    }

    /// The ranges of usable memory, in the loader's order.
    pub fn ram(&self) -> impl Iterator<Item = PhysRange> + '_ {
        let regions = self.regions.as_slice().iter();
        regions
            .filter(|region| region.kind == RegionKind::Ram)
            .map(|region| region.range)
    }

    fn is_ram(&self, range: PhysRange) -> bool {
        self.ram().any(|ram| ram.contains(range))
    }
}

fn read_regions(
    memory: &impl PhysMemory,
    addr: u64,
    count: u32,
    list: &mut List<Region, MAX_REGIONS>,
) -> Result<(), Error> {
    for entry in reader::entries(memory, "memory map", addr, count, REGION_LEN)? {
        let range = PhysRange::new(entry.u64(0), entry.u64(8))
            .ok_or(Error::Wraps("memory region", entry.u64(0)))?;
        let kind = if entry.u32(16) == 1 {
            RegionKind::Ram
        } else {
            RegionKind::Reserved
        };
        if !range.is_empty() {
            list.push(Region { range, kind })
                .ok_or(Error::TooMany("memory regions", count))?;
        }
    }
    if list
        .as_slice()
        .iter()
        .any(|region| region.kind == RegionKind::Ram)
    {
        Ok(())
    } else {
        Err(Error::NoMemory)
    }
}

fn read_modules(
    memory: &impl PhysMemory,
    addr: u64,
    count: u32,
    list: &mut List<PhysRange, MAX_MODULES>,
) -> Result<(), Error> {
    for entry in reader::entries(memory, "module list", addr, count, MODULE_LEN)? {
        let range = PhysRange::new(entry.u64(0), entry.u64(8))
            .ok_or(Error::Wraps("module", entry.u64(0)))?;
        list.push(range).ok_or(Error::TooMany("modules", count))?;
    }
    Ok(())
}

fn read_cmdline(memory: &impl PhysMemory, addr: u64) -> Result<PhysRange, Error> {
    if addr == 0 {
        return Ok(PhysRange::default());
    }
    for len in 0..=MAX_CMDLINE {
        let at = addr
            .checked_add(len as u64)
            .ok_or(Error::Wraps("command line", addr))?;
        if Reader::at(memory, "command line", at, 1)?.u8(0) == 0 {
            return Ok(PhysRange {
                start: addr,
                end: at,
            });
        }
    }
    Err(Error::LongCommandLine)
}

#[cfg(test)]
mod tests;
