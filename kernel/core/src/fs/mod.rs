//! File-system logic: on-disk formats and the algorithms of the VFS, without locks or frames.

pub mod ext4;
