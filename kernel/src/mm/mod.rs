//! Memory: physical frames, page tables, the physmap, kernel stacks, the heap, raw user copies.
//!
//! | module | |
//! | --- | --- |
//! | [`layout`] | where everything is in the kernel's half |
//! | [`boot`] | the first page tables of the kernel's own, the memory map taken over |
//! | [`frame`] | physical frames with reference counts |
//! | [`table`], [`kernel`] | page tables: entries; the kernel's half |
//! | [`stack`] | guarded kernel stacks |
//! | [`heap`], [`kmem`] | the kernel heap, and the promise that it won't run out |
#![allow(
    unsafe_code,
    reason = "this room makes memory out of addresses; each block says why it holds"
)]

pub(crate) mod boot;
pub(crate) mod frame;
pub(crate) mod heap;
pub(crate) mod kernel;
pub(crate) mod kmem;
pub(crate) mod layout;
pub(crate) mod stack;
pub(crate) mod table;

pub(crate) use frame::{FrameRef, OutOfMemory};
