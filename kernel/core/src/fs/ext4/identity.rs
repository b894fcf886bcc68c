//! What a file system is called.

use super::Ext4;
use super::bytes::{part, put_slice};
use super::device::Device;
use super::error::{Error, Result};

/// `s_volume_name`: where it is, and its length.
const LABEL_AT: usize = 0x78;
const LABEL: usize = 16;

impl<D: Device> Ext4<D> {
    /// The label; behind it are zeroes.
    #[must_use]
    pub fn label(&self) -> &[u8] {
        part(&self.sup.raw, LABEL_AT..LABEL_AT + LABEL).unwrap_or_default()
    }

    /// Changes the label, which is on the disk with the next commit.
    ///
    /// # Errors
    /// When the superblock can't be changed.
    pub fn set_label(&mut self, label: &[u8]) -> Result<()> {
        if !self.writable {
            return Err(Error::ReadOnly);
        }
        put_slice(&mut self.sup.raw, LABEL_AT, label)?;
        self.write_super()
    }
}
