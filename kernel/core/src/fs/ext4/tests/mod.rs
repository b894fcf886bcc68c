//! Tests against e2fsprogs: images that mke2fs made, and images that e2fsck must call clean.

mod crash;
mod fuzz;
mod image;
mod linux;
mod list;
mod model;
mod random;
mod read;
mod write;
