//! Memory: physical frames, page tables, the physmap, kernel stacks, the heap, raw user copies.
//!
//! | module | |
//! | --- | --- |
//! | [`layout`] | where everything is in the kernel's half |
//! | [`boot`] | the first page tables of the kernel's own, the memory map taken over |
//! | [`frame`] | physical frames with reference counts |
//! | [`table`], [`kernel`] | page tables: entries; the kernel's half |
//! | [`paging`] | page tables: a program's half, and the TLB |
//! | [`stack`] | guarded kernel stacks |
//! | [`user`] | copies to and from the current program |
//! | [`dma`], [`mmio`] | memory for devices, registers of devices |
//! | [`vmalloc`] | large blocks of the heap, page by page |
//! | [`heap`], [`kmem`] | the kernel heap, and the promise that it won't run out |
#![allow(
    unsafe_code,
    reason = "this room makes memory out of addresses; each block says why it holds"
)]

pub(crate) mod boot;
mod copy;
pub(crate) mod dma;
pub(crate) mod frame;
pub(crate) mod heap;
pub(crate) mod kernel;
pub(crate) mod kmem;
pub(crate) mod layout;
pub(crate) mod mmio;
pub(crate) mod paging;
mod slab;
pub(crate) mod stack;
pub(crate) mod table;
pub(crate) mod user;
pub(crate) mod vmalloc;

pub(crate) use frame::{FrameRef, OutOfMemory};
