//! Options of tmpfs (tmpfs(5)): [`Options`] as mount(2) takes them.

use crate::errno::Errno;
use crate::fs::attr::MODE_BITS;

/// What was asked for; `None` where nothing was said. A limit of 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Pages that its files may have.
    pub pages: Option<u64>,
    /// Inodes that there may be.
    pub inodes: Option<u64>,
    /// The root's permissions.
    pub mode: Option<u32>,
    /// The root's owner.
    pub uid: Option<u32>,
    /// The root's group.
    pub gid: Option<u32>,
    /// When pages may be huge ones: they aren't, and it is told.
    pub huge: Option<&'static str>,
}

/// When pages may be huge ones.
const HUGE: [&str; 4] = ["never", "always", "within_size", "advise"];

/// Bytes in a page.
const PAGE: u64 = 4096;

impl Options {
    /// Takes options that commas separate. `memory` is how many pages there are, for percentages.
    ///
    /// # Errors
    /// EINVAL for one that isn't known, or whose value is none.
    pub fn parse(text: &[u8], memory: u64) -> Result<Self, Errno> {
        let mut options = Self::default();
        for option in text.split(|byte| *byte == b',') {
            if option.is_empty() {
                continue;
            }
            let at = option.iter().position(|byte| *byte == b'=');
            let (key, value) = match at {
                Some(at) => (option.get(..at), option.get(at + 1..)),
                None => (Some(option), None),
            };
            options.set(key.unwrap_or_default(), value, memory)?;
        }
        Ok(options)
    }

    /// Takes one option.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn set(&mut self, key: &[u8], value: Option<&[u8]>, memory: u64) -> Result<(), Errno> {
        let text = match value {
            Some(value) => Some(core::str::from_utf8(value).map_err(|_| Errno::EINVAL)?),
            None => None,
        };
        let value = text.ok_or(Errno::EINVAL);
        match key {
            b"size" => {
                let (size, rest) = amount(value?)?;
                let bytes = match rest {
                    "" => size,
                    "%" => (u128::from(size) * u128::from(memory * PAGE) / 100)
                        .try_into()
                        .map_err(|_| Errno::EINVAL)?,
                    _ => return Err(Errno::EINVAL),
                };
                self.pages = Some(bytes.div_ceil(PAGE));
            }
            b"nr_blocks" => self.pages = Some(whole(value?)?),
            b"nr_inodes" => self.inodes = Some(whole(value?)?),
            b"mode" => {
                let mode = u32::from_str_radix(value?, 8).map_err(|_| Errno::EINVAL)?;
                self.mode = Some(mode & MODE_BITS);
            }
            b"uid" => self.uid = Some(value?.parse().map_err(|_| Errno::EINVAL)?),
            b"gid" => self.gid = Some(value?.parse().map_err(|_| Errno::EINVAL)?),
            b"huge" => {
                let value = value?;
                let known = HUGE.into_iter().find(|known| *known == value);
                self.huge = Some(known.ok_or(Errno::EINVAL)?);
            }
            // Memory is one node; inode numbers have 64 bits.
            b"mpol" => {
                value?;
            }
            b"inode32" | b"inode64" if text.is_none() => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// A number as `memparse` of Linux reads it, decimal, octal or hexadecimal with a unit behind it;
/// and what follows.
fn amount(text: &str) -> Result<(u64, &str), Errno> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix));
    let (number, rest) = digits.split_at(end.unwrap_or(digits.len()));
    let number = match number {
        "" => 0,
        number => u64::from_str_radix(number, radix).map_err(|_| Errno::EINVAL)?,
    };
    let mut rest = rest.chars();
    let shift = match rest.clone().next().map(|unit| unit.to_ascii_lowercase()) {
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        Some('p') => 50,
        Some('e') => 60,
        _ => return Ok((number, rest.as_str())),
    };
    rest.next();
    let number = number.checked_mul(1 << shift).ok_or(Errno::EINVAL)?;
    Ok((number, rest.as_str()))
}

fn whole(text: &str) -> Result<u64, Errno> {
    match amount(text)? {
        (number, "") => Ok(number),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let pages = |text: &str| Options::parse(text.as_bytes(), 1000).map(|all| all.pages);
        assert_eq!(pages("size=8192"), Ok(Some(2)));
        assert_eq!(pages("size=1"), Ok(Some(1)));
        assert_eq!(pages("size=2M,mode=700"), Ok(Some(512)));
        assert_eq!(pages("size=0x1000"), Ok(Some(1)));
        assert_eq!(pages("size=50%"), Ok(Some(500)));
        assert_eq!(pages("nr_blocks=3"), Ok(Some(3)));
        assert_eq!(pages("size=0"), Ok(Some(0)));
        assert_eq!(pages("size=1q"), Err(Errno::EINVAL));
        assert_eq!(pages("size=1kk"), Err(Errno::EINVAL));
        assert_eq!(pages("size"), Err(Errno::EINVAL));
    }

    #[test]
    fn the_rest() {
        let all = Options::parse(b"nr_inodes=2k,mode=0755,uid=7,gid=8", 1).unwrap();
        assert_eq!(all.inodes, Some(2048));
        assert_eq!(
            (all.mode, all.uid, all.gid),
            (Some(0o755), Some(7), Some(8))
        );
        for bad in [
            "uid=-1",
            "uid=x",
            "mode=9",
            "what",
            "what=1",
            "inode64=1",
            "huge=big",
        ] {
            assert_eq!(
                Options::parse(bad.as_bytes(), 1),
                Err(Errno::EINVAL),
                "{bad}"
            );
        }
        assert_eq!(Options::parse(b",,", 1), Ok(Options::default()));
    }
}
