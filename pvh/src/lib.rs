//! The Xen PVH boot protocol: what the loader hands to the kernel, decoded from bytes.
#![no_std]
