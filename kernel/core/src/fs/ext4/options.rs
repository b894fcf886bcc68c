//! Mount options (ext4(5)): which there are. None changes how this implementation works, but what isn't one is refused.

use crate::errno::Errno;

/// Their names.
const NAMES: &str = "abort acl auto_da_alloc barrier bh block_validity bsddf bsdgroups commit data data_err dax debug \
    delalloc dioread_lock dioread_nolock discard errors grpid grpjquota grpquota i_version init_itable \
    inode_readahead_blks jqfmt journal_async_commit journal_checksum journal_dev journal_ioprio journal_path lazytime \
    max_batch_time max_dir_size_kb mblk_io_submit min_batch_time minixdf noacl noauto_da_alloc nobarrier nobh \
    noblock_validity nodelalloc nodiscard nogrpid noinit_itable nojournal_checksum nolazytime noload \
    nomblk_io_submit nombcache norecovery noquota nouid32 nouser_xattr oldalloc orlov prjquota quota \
    reservation noreservation resgid resuid sb stripe sysvgroups user_xattr usrjquota usrquota";

/// EINVAL unless there is an option of that name.
///
/// # Errors
/// `EINVAL`.
pub fn check_option(name: &[u8]) -> Result<(), Errno> {
    let mut known = NAMES.split_ascii_whitespace();
    let found = known.any(|known| known.as_bytes() == name);
    found.then_some(()).ok_or(Errno::EINVAL)
}

/// The same of all in a list, separated by commas, with values or without.
///
/// # Errors
/// `EINVAL`.
pub fn check_options(options: &[u8]) -> Result<(), Errno> {
    let all = options.split(|byte| *byte == b',');
    all.filter(|option| !option.is_empty())
        .try_for_each(|option| {
            let name = option.split(|byte| *byte == b'=').next();
            check_option(name.unwrap_or_default())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(check_options(b""), Ok(()));
        assert_eq!(check_options(b"acl,errors=remount-ro,,commit=5"), Ok(()));
        assert_eq!(check_options(b"acl,wrong"), Err(Errno::EINVAL));
        assert_eq!(check_options(b"err"), Err(Errno::EINVAL));
        assert_eq!(check_options(b"=1"), Err(Errno::EINVAL));
    }
}
