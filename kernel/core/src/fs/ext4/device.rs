//! [`Device`]: the disk beneath the file system, as the ext4 room wants it.

/// The device failed; what failed is the device's to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceError;

/// A disk, or an image file. Offsets and lengths are in bytes and multiples of 512.
///
/// The calls are synchronous: the caller sleeps inside. Only metadata (and the contents read or
/// written through [`super::Ext4::read`] and [`super::Ext4::write`]) passes here; a kernel's page
/// cache moves file data itself, to where [`super::Ext4::map`] says it lies.
pub trait Device {
    /// The device's size in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` from byte `offset` on.
    ///
    /// # Errors
    /// When any part couldn't be read.
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), DeviceError>;

    /// Writes `buffer` from byte `offset` on.
    ///
    /// # Errors
    /// When any part couldn't be written.
    fn write(&mut self, offset: u64, buffer: &[u8]) -> Result<(), DeviceError>;

    /// Makes all that was written durable.
    ///
    /// # Errors
    /// When the device can't promise it.
    fn flush(&mut self) -> Result<(), DeviceError>;

    /// These bytes aren't needed any more. A hint.
    ///
    /// # Errors
    /// When the device failed at it.
    fn discard(&mut self, offset: u64, length: u64) -> Result<(), DeviceError> {
        let _ = (offset, length);
        Ok(())
    }
}
