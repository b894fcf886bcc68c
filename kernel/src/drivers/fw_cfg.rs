//! QEMU's fw_cfg: files that the launcher hands over, read by DMA (docs/specs/fw_cfg.rst in QEMU).
//! The job's specification comes this way.
//!
//! One port write moves a whole file: the directory costs one, each file another.

use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{Ordering, fence};
use kiln_core::addr::{PAGE_SIZE, PhysAddr};
use kiln_core::fw_cfg::{self as format, Progress};
use kiln_core::num::{high32, low32, u64_of, usize_of32};

use super::dma::DmaMemory;
use crate::arch::port;
use crate::mm::OutOfMemory;

/// The DMA address register: high half, then low half, both big-endian; the second starts it.
const ADDRESS_HIGH: u16 = 0x514;
const ADDRESS_LOW: u16 = 0x518;
/// Offset of the command within its page; before it lies data.
const COMMAND: usize = PAGE_SIZE - 16;
/// Bytes of the directory read at first: 63 files, more than there are without odd options.
const DIRECTORY_CHUNK: usize = 4 + 63 * 64;
/// Looks at the control word before the device is given up. QEMU is done when the write returns.
const PATIENCE: u32 = 1_000_000;
/// Files longer than this aren't ours.
const MAX_FILE: usize = 8 << 20;

/// Why a file couldn't be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FwCfgError {
    /// There is no such file.
    NotFound,
    /// The device failed or isn't there.
    Device,
    /// No memory for the contents.
    NoMemory,
}

impl fmt::Display for FwCfgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "there is no such file",
            Self::Device => "the device doesn't answer",
            Self::NoMemory => "no memory for it",
        })
    }
}

impl From<OutOfMemory> for FwCfgError {
    fn from(_: OutOfMemory) -> Self {
        Self::NoMemory
    }
}

/// Reads the file `name`.
pub(crate) fn read(name: &str) -> Result<Vec<u8>, FwCfgError> {
    let mut page = DmaMemory::alloc(0)?;
    let entry = find(&mut page, name)?;
    let len = usize_of32(entry.size);
    if len <= COMMAND {
        fetch(&page, entry.selector, len, page.addr())?;
        return copy_of(page.bytes_mut().get(..len));
    }
    if len > MAX_FILE {
        return Err(FwCfgError::NoMemory);
    }
    let mut long = DmaMemory::with_len(len)?;
    fetch(&page, entry.selector, len, long.addr())?;
    copy_of(long.bytes_mut().get(..len))
}

/// How many CPUs QEMU has.
pub(crate) fn cpus() -> Result<u32, FwCfgError> {
    let mut page = DmaMemory::alloc(0)?;
    fetch(&page, format::CPU_COUNT, 2, page.addr())?;
    let bytes = page.bytes_mut().first_chunk().copied();
    Ok(u16::from_le_bytes(bytes.unwrap_or_default()).into())
}

fn find(page: &mut DmaMemory, name: &str) -> Result<format::Entry, FwCfgError> {
    fetch(page, format::DIRECTORY, DIRECTORY_CHUNK, page.addr())?;
    let chunk = page.bytes_mut().get(..DIRECTORY_CHUNK).unwrap_or_default();
    if let Some(entry) = format::find(chunk, name) {
        return Ok(entry);
    }
    let whole = format::entry_count(chunk).map_or(0, format::directory_len);
    if whole <= DIRECTORY_CHUNK || whole > MAX_FILE {
        return Err(FwCfgError::NotFound);
    }
    let mut long = DmaMemory::with_len(whole)?;
    fetch(page, format::DIRECTORY, whole, long.addr())?;
    format::find(long.bytes_mut(), name).ok_or(FwCfgError::NotFound)
}

/// Reads `len` bytes of an item to `to`, with the command at the end of `page`.
fn fetch(page: &DmaMemory, selector: u16, len: usize, to: PhysAddr) -> Result<(), FwCfgError> {
    let len = u32::try_from(len).map_err(|_| FwCfgError::NoMemory)?;
    let command = format::read_command(selector, len, to.raw());
    for (at, byte) in command.into_iter().enumerate() {
        page.write8(COMMAND + at, byte);
    }
    fence(Ordering::SeqCst);
    let address = page.addr().raw() + u64_of(COMMAND);
    // The register's high half is 0 before the first command and after each.
    if high32(address) != 0 {
        port::write_u32(ADDRESS_HIGH, high32(address).to_be());
    }
    port::write_u32(ADDRESS_LOW, low32(address).to_be());
    for _ in 0..PATIENCE {
        let control = core::array::from_fn(|at| page.read8(COMMAND + at));
        match format::progress(control) {
            Progress::Done => return Ok(()),
            Progress::Failed => return Err(FwCfgError::Device),
            Progress::Pending => core::hint::spin_loop(),
        }
    }
    Err(FwCfgError::Device)
}

fn copy_of(bytes: Option<&[u8]>) -> Result<Vec<u8>, FwCfgError> {
    let bytes = bytes.ok_or(FwCfgError::Device)?;
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| FwCfgError::NoMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
