//! Calls about files.

pub(crate) mod epoll;
pub(crate) mod poll;
