//! File-system logic: on-disk formats and the algorithms of the VFS, without locks or frames.
//!
//! | module | what |
//! | --- | --- |
//! | [`attr`] | file types, device numbers, times, an inode's attributes |
//! | [`stamp`] | the times that inodes are stamped with |
//! | [`perm`] | who may do what to an inode |
//! | [`flags`] | what `open` was asked for |
//! | [`stat`], [`dirent`] | structures as programs see them |
//! | [`index`] | a directory in memory, with stable cursors |
//! | [`pipe`] | the ring of a pipe |
//! | [`locks`] | record locks and `flock` |
//! | [`loopdev`] | loop devices as programs describe them |
//! | [`xattr`] | extended attributes in memory |
//! | [`erofs`] | the read-only image the root is seeded from |
//! | [`ext4`] | the disk format of `/in` and `/out` |

pub mod acl;
pub mod attr;
pub mod dirent;
pub mod erofs;
pub mod ext4;
pub mod flags;
pub mod index;
pub mod inotify;
pub mod locks;
pub mod loopdev;
pub mod overlay;
pub mod partition;
pub mod perm;
pub mod pipe;
pub mod stamp;
pub mod stat;
pub mod tmpfs;
pub mod xattr;
