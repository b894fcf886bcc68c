//! Mount options (ext4(5)): which there are, what values they take, and how `/proc/mounts` shows them.
//!
//! None changes how this implementation works; what was asked for is kept, to be told ([`Shown`]).

use crate::errno::Errno;
use alloc::vec::Vec;

/// The options, in the order in which Linux shows them. A value is a number (`=#`, the usual one following), one of some
/// words (`=`), or anything (`:`). What holds anyway is marked `-`, and isn't shown.
const NAMES: &str = "-sb: minixdf -bsddf grpid -nogrpid -block_validity noblock_validity dioread_nolock -dioread_lock \
    discard -nodiscard -delalloc nodelalloc -journal_checksum -nojournal_checksum norecovery abort -barrier \
    nobarrier noauto_da_alloc -auto_da_alloc noinit_itable -user_xattr -acl nouid32 debug quota usrquota grpquota \
    -noquota nombcache -i_version -oldalloc -orlov -mblk_io_submit -nomblk_io_submit -bh -nobh -reservation \
    -noreservation resuid=#0 resgid=#0 errors=-continue,panic,remount-ro commit=#5 min_batch_time=#0 \
    max_batch_time=#15000 stripe=#0 data=ordered,writeback data_err=-ignore,abort inode_readahead_blks=#32 \
    init_itable=#10 max_dir_size_kb=#0 jqfmt=vfsold,vfsv0,vfsv1 usrjquota: grpjquota: -journal_ioprio: \
    -journal_dev: -journal_path:";

/// The options one by one: whether each is shown, its name, and what [`NAMES`] has behind that.
fn all() -> impl Iterator<Item = (bool, &'static [u8], &'static [u8])> {
    NAMES.as_bytes().split(|byte| *byte == b' ').map(|entry| {
        let hidden = entry.first() == Some(&b'-');
        let entry = entry.get(usize::from(hidden)..).unwrap_or_default();
        let (name, values) = entry.split_at(name_len(entry));
        (!hidden, name, values)
    })
}

/// Where what is said of an option's value begins.
fn name_len(option: &[u8]) -> usize {
    let end = option.iter().position(|byte| matches!(byte, b'=' | b':'));
    end.unwrap_or(option.len())
}

/// Whether a value is one to be shown; `None` when it is none. `values` is what [`NAMES`] has behind the name.
fn check_value(values: &[u8], value: Option<&[u8]>) -> Option<bool> {
    let (Some((kind, usual)), Some(value)) = (values.split_first(), value) else {
        return (values.is_empty() && value.is_none()).then_some(true);
    };
    if let (b'=', Some((b'#', usual))) = (kind, usual.split_first()) {
        let number = value.iter().all(u8::is_ascii_digit) && (1..10).contains(&value.len());
        return number.then_some(value != b"0" && value != usual);
    }
    let mut words = usual.split(|byte| *byte == b',');
    let shown = words.clone().any(|word| word == value) || *kind == b':';
    let is_word = shown || words.any(|word| word.strip_prefix(b"-") == Some(value));
    is_word.then_some(shown)
}

/// The option that is meant: some have two names, and some say by a number whether they are on.
fn meant<'a>(name: &'a [u8], value: Option<&'a [u8]>) -> (&'a [u8], Option<&'a [u8]>) {
    match (name, value) {
        (b"barrier", Some(b"0")) => (b"nobarrier", None),
        (b"barrier", Some(_)) => (name, None),
        (b"noload", _) => (b"norecovery", value),
        (b"bsdgroups", _) => (b"grpid", value),
        _ => (name, value),
    }
}

/// Whether the option `no` is `option` turned off.
fn is_opposite(no: &[u8], option: &[u8]) -> bool {
    no.strip_prefix(b"no") == Some(option)
}

/// EINVAL unless there is an option of that name that takes the value.
///
/// # Errors
/// `EINVAL`.
pub fn check_option(name: &[u8], value: Option<&[u8]>) -> Result<(), Errno> {
    let (name, value) = meant(name, value);
    let found = all().find(|(_, known, _)| *known == name);
    let known = found.and_then(|(.., values)| check_value(values, value));
    known.map(drop).ok_or(Errno::EINVAL)
}

/// What a mounted file system was asked for, where that isn't what holds anyway: as `/proc/mounts` has it, each with a comma
/// in front.
#[derive(Debug, Default)]
pub struct Shown(pub Vec<u8>);

impl Shown {
    /// Takes options that commas separate, in place of those from before that they contradict. `mounted`: how data goes to the
    /// disk can't be changed any more.
    ///
    /// # Errors
    /// `EINVAL` for what isn't one; `ENOMEM`.
    pub fn take(&mut self, options: &[u8], mounted: bool) -> Result<(), Errno> {
        for option in options.split(|byte| *byte == b',') {
            if option.is_empty() {
                continue;
            }
            let (name, value) = option.split_at(name_len(option));
            let (name, value) = meant(name, value.get(1..));
            check_option(name, value)?;
            if name == b"data" && mounted && self.find(name) != Some(option) {
                return Err(Errno::EINVAL);
            }
            self.set(name, value)?;
        }
        Ok(())
    }

    /// An option of that name, as it is shown.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&[u8]> {
        let mut shown = self.0.split(|byte| *byte == b',');
        shown.find(|option| option.get(..name_len(option)) == Some(name))
    }

    /// Writes the list anew with that option in its place.
    fn set(&mut self, name: &[u8], value: Option<&[u8]>) -> Result<(), Errno> {
        let mut list = Vec::new();
        let most = self.0.len() + name.len() + value.unwrap_or_default().len() + 2;
        list.try_reserve_exact(most).map_err(|_| Errno::ENOMEM)?;
        for (shown, known, values) in all() {
            if known == name {
                if shown && check_value(values, value) == Some(true) {
                    list.push(b',');
                    list.extend_from_slice(name);
                    if let Some(value) = value {
                        list.push(b'=');
                        list.extend_from_slice(value);
                    }
                }
            } else if let Some(old) = self.find(known)
                && !is_opposite(known, name)
                && !is_opposite(name, known)
            {
                list.push(b',');
                list.extend_from_slice(old);
            }
        }
        self.0 = list;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn shown(lists: &[&str]) -> Result<String, Errno> {
        let mut shown = Shown::default();
        for (list, mounted) in lists.iter().zip([false, true, true]) {
            shown.take(list.as_bytes(), mounted)?;
        }
        Ok(String::from_utf8(shown.0).unwrap())
    }

    /// As Linux 6.1's `/proc/mounts` has them.
    #[test]
    fn lists() {
        for (lists, wanted) in [
            (&[""][..], ""),
            (&["acl,user_xattr,,errors=continue,commit=5,barrier"], ""),
            (
                &["commit=7,errors=remount-ro"],
                ",errors=remount-ro,commit=7",
            ),
            (&["data=journal,commit=x"], "refused"),
            (&["commit=8,data=journal"], "refused"),
            (&["data=ordered"], ",data=ordered"),
            (&["", "data=writeback"], "refused"),
            (&["data=writeback", "data=writeback"], ",data=writeback"),
            (&["barrier=0", "discard"], ",discard,nobarrier"),
            (&["barrier=0", "barrier=1"], ""),
            (&["nodiscard", "discard", "nodiscard"], ""),
            (&["noload,bsdgroups"], ",grpid,norecovery"),
            (&["commit=9", "commit=0"], ""),
            (
                &["usrjquota=a.user,jqfmt=vfsv0"],
                ",jqfmt=vfsv0,usrjquota=a.user",
            ),
        ] {
            let got = shown(lists).unwrap_or_else(|_| "refused".into());
            assert_eq!(got, wanted, "{lists:?}");
        }
    }

    #[test]
    fn refused() {
        for option in [
            "wrong",
            "err",
            "=1",
            "noacl",
            "nouser_xattr",
            "errors=bad",
            "commit",
            "commit=-1",
            "dax",
            "debug=1",
        ] {
            assert_eq!(shown(&[option]), Err(Errno::EINVAL), "{option}");
        }
        assert_eq!(check_option(b"errors", Some(b"panic")), Ok(()));
        assert_eq!(check_option(b"errors", None), Err(Errno::EINVAL));
    }
}
