//! Options of overlay mounts (Documentation/filesystems/overlayfs.rst of Linux), and the values of the
//! attributes that it keeps in its layers.

use crate::errno::Errno;
use alloc::vec::Vec;

/// What was asked for. Paths are as they were given, without their backslashes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `lowerdir`: the topmost first.
    pub lower: Vec<Vec<u8>>,
    /// `upperdir`
    pub upper: Option<Vec<u8>>,
    /// `workdir`
    pub work: Option<Vec<u8>>,
}

/// Layers below that there may be (`OVL_MAX_STACK`).
const MOST_LAYERS: usize = 500;

impl Options {
    /// Takes options that commas separate.
    ///
    /// # Errors
    /// EINVAL for one that isn't known or asks for what isn't there; ENOMEM.
    pub fn parse(text: &[u8]) -> Result<Self, Errno> {
        let mut options = Self::default();
        for option in split(text, b',') {
            if option.is_empty() {
                continue;
            }
            let at = option.iter().position(|byte| *byte == b'=');
            let (key, value) = option.split_at(at.unwrap_or(option.len()));
            options.set(key, value.get(1..))?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Errno> {
        match (key, value) {
            (b"lowerdir", Some(value)) => {
                self.lower.clear();
                for path in split(value, b':') {
                    // Two colons mark layers that hold data alone, which there aren't.
                    if path.is_empty() || self.lower.len() == MOST_LAYERS {
                        return Err(Errno::EINVAL);
                    }
                    self.lower.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                    self.lower.push(plain(path)?);
                }
            }
            (b"upperdir", Some(value)) => self.upper = Some(plain(value)?),
            (b"workdir", Some(value)) => self.work = Some(plain(value)?),
            (b"redirect_dir", Some(b"off" | b"nofollow" | b"follow"))
            | (b"index" | b"nfs_export" | b"metacopy", Some(b"off"))
            | (b"xino", Some(b"off" | b"auto" | b"on"))
            | (b"uuid", Some(b"on" | b"off" | b"null" | b"auto"))
            | (b"default_permissions" | b"volatile", None) => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// The parts between separators that no backslash precedes.
fn split(text: &[u8], by: u8) -> impl Iterator<Item = &[u8]> {
    let mut escaped = false;
    text.split(move |byte| {
        let is_separator = *byte == by && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_separator
    })
}

/// A copy without backslashes, but for those that one precedes.
fn plain(text: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(text.len())
        .map_err(|_| Errno::ENOMEM)?;
    let mut escaped = false;
    for byte in text {
        if *byte == b'\\' && !escaped {
            escaped = true;
            continue;
        }
        escaped = false;
        copy.push(*byte);
    }
    Ok(copy)
}

/// The attribute that makes a directory hide what is below it, where it says `y`.
pub const OPAQUE: &[u8] = b"trusted.overlay.opaque";
/// The attribute that says where a file was copied up from.
pub const ORIGIN: &[u8] = b"trusted.overlay.origin";
/// The attribute that says that a directory holds files from elsewhere.
pub const IMPURE: &[u8] = b"trusted.overlay.impure";
/// What the names of overlay's own attributes begin with.
pub const PREFIX: &[u8] = b"trusted.overlay.";
/// What such names of programs' own begin with in the layers.
pub const ESCAPED: &[u8] = b"trusted.overlay.overlay.";
/// The value that turns an attribute on.
pub const YES: &[u8] = b"y";

/// Bytes of an origin's value.
pub const ORIGIN_LEN: usize = 29;

/// An origin's value: the head of a file handle (`struct ovl_fb`: version, magic, length, flags,
/// type), no universal identifier, the inode's number there.
#[must_use]
pub fn origin(ino: u64) -> [u8; ORIGIN_LEN] {
    let mut value = [0; ORIGIN_LEN];
    value[1] = 0xFB;
    value[2] = 29;
    value[4] = 0x81;
    let (_, number) = value.split_at_mut(ORIGIN_LEN - 8);
    number.copy_from_slice(&ino.to_le_bytes());
    value
}

/// The inode's number from an origin's value that [`origin`] made.
#[must_use]
pub fn origin_ino(value: &[u8]) -> Option<u64> {
    let number: [u8; 8] = value.get(ORIGIN_LEN - 8..)?.try_into().ok()?;
    let ino = u64::from_le_bytes(number);
    (value == origin(ino)).then_some(ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers() {
        let all = Options::parse(b"lowerdir=/a:/b\\:c:/d\\\\e,upperdir=/u\\,v,workdir=/w").unwrap();
        assert_eq!(all.lower, [&b"/a"[..], b"/b:c", b"/d\\e"]);
        assert_eq!(all.upper.as_deref(), Some(&b"/u,v"[..]));
        assert_eq!(all.work.as_deref(), Some(&b"/w"[..]));
        for bad in [
            "lowerdir=",
            "lowerdir=/a::/b",
            "upper=/x",
            "redirect_dir=on",
            "lowerdir",
        ] {
            assert_eq!(Options::parse(bad.as_bytes()), Err(Errno::EINVAL), "{bad}");
        }
        assert!(Options::parse(b"redirect_dir=off,xino=on,volatile").is_ok());
    }

    #[test]
    fn origins() {
        assert_eq!(origin_ino(&origin(77)), Some(77));
        assert_eq!(origin_ino(b"y"), None);
        assert_eq!(origin_ino(&[0; ORIGIN_LEN]), None);
    }
}
