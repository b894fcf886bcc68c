//! The bench: Kiln and Linux side by side in the same QEMU, turn by turn.
//!
//! [`guest`] is a kernel that can be booted and measured, [`boot`] the measure of the way from
//! QEMU's exec to its exit, [`micro`] that of single operations, [`scale`] of these as what surrounds them grows, [`jobs`] that of whole
//! runs, [`counts`] what a change must not raise; Linux (`linux::kernel`) and [`empty`] are the
//! yardsticks, [`stats`] the arithmetic, [`plot`] a picture of ratios.

pub mod boot;
pub mod counts;
pub mod empty;
pub mod guest;
pub mod jobs;
pub mod micro;
pub mod plot;
mod programs;
pub mod scale;
pub mod stats;
