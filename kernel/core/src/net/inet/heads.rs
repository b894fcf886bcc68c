//! [`HeadOptions`]: what IP heads may have besides their fields.

use crate::errno::Errno;

/// What a socket puts into its heads (`IP_OPTIONS`, RFC 791), in whole words.
pub struct HeadOptions {
    bytes: [u8; 40],
    len: usize,
}

impl HeadOptions {
    /// None.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a socket begins so")]
    pub const fn new() -> Self {
        Self {
            bytes: [0; 40],
            len: 0,
        }
    }

    /// As they are told.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Takes others.
    ///
    /// # Errors
    /// `EINVAL` for more than a head has room for, or what doesn't end within it.
    pub fn set(&mut self, options: &[u8]) -> Result<(), Errno> {
        let mut rest = options;
        while let [kind @ 1..=255, after @ ..] = rest {
            rest = match (kind, after) {
                (1, _) => after,
                // A length, and a pointer behind it into what is beyond.
                (_, [len, pointer, ..]) if *len >= 3 && *pointer >= 4 => {
                    rest.get(usize::from(*len)..).ok_or(Errno::EINVAL)?
                }
                _ => return Err(Errno::EINVAL),
            };
        }
        let mut bytes = [0; 40];
        let place = bytes.get_mut(..options.len()).ok_or(Errno::EINVAL)?;
        place.copy_from_slice(options);
        self.len = options.len().next_multiple_of(4);
        self.bytes = bytes;
        Ok(())
    }
}
