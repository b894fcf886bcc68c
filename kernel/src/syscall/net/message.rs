//! What sending and receiving share: `struct msghdr`, and arrays of them. Neighbours: [`send`](super::send),
//! [`receive`](super::receive).

use alloc::vec::Vec;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::net::addr::STORAGE;
use kiln_core::net::cmsg::HEADER;
use kiln_core::num::{int_arg, low32, usize_of};

use crate::syscall::fs::io::MAX_COUNT;
use crate::syscall::fs::vectored::vectors;
use crate::syscall::{Call, SysResult};
use crate::vm::IoVec;

/// Most buffers, or messages, of one call (`UIO_MAXIOV`).
const MAX_VECTORS: u64 = 1024;
/// Bytes of `struct mmsghdr`.
const MMSGHDR: u64 = 64;
/// Where its `msg_len` is.
const MMSGHDR_LEN: u64 = 56;
/// Most bytes of a sender's control buffer (`net.core.optmem_max`).
pub(super) const MAX_CONTROL: usize = 131_072;
/// `MSG_CMSG_COMPAT`, for programs of 32 bits.
pub(super) const COMPAT: u32 = 0x8000_0000;

/// `struct msghdr`.
pub(super) struct Header {
    pub(super) name: UserAddr,
    pub(super) name_len: i32,
    vectors: UserAddr,
    vector_count: u64,
    pub(super) control: UserAddr,
    pub(super) control_len: usize,
}

impl Header {
    pub(super) fn read(call: &Call<'_>, at: UserAddr) -> Result<Self, Errno> {
        let words: [u64; 7] = call.space.read_val(at)?;
        let [
            name,
            name_len,
            vectors,
            vector_count,
            control,
            control_len,
            _,
        ] = words;
        let name = UserAddr::new(name);
        let mut name_len = int_arg(name_len);
        if name.is_null() {
            name_len = 0;
        }
        if name_len < 0 {
            return Err(Errno::EINVAL);
        }
        if vector_count > MAX_VECTORS {
            return Err(Errno::EMSGSIZE);
        }
        Ok(Self {
            name,
            name_len: name_len.min(i32::try_from(STORAGE).unwrap_or(i32::MAX)),
            vectors: UserAddr::new(vectors),
            vector_count,
            control: UserAddr::new(control),
            control_len: usize_of(control_len),
        })
    }

    pub(super) fn buffers(&self, call: &Call<'_>) -> Result<Vec<IoVec>, Errno> {
        vectors(call.space, self.vectors, self.vector_count)
    }
}

/// A buffer as one vector; EFAULT for one that no program can have.
pub(super) fn single(base: UserAddr, len: usize) -> Result<IoVec, Errno> {
    let len = len.min(MAX_COUNT);
    if !base.range_is_user(len) {
        return Err(Errno::EFAULT);
    }
    Ok(IoVec { base, len })
}

/// Goes through an array of `struct mmsghdr`, while `go_on` says so after each: `one` carries a message
/// out and answers its length, which is told behind it. An error after the first one isn't told.
pub(super) fn each_message(
    call: &Call<'_>,
    at: UserAddr,
    count: u32,
    mut one: impl FnMut(UserAddr) -> SysResult,
    go_on: impl Fn() -> bool,
) -> SysResult {
    let (mut done, mut here) = (0, at);
    while done < u64::from(count).min(MAX_VECTORS) {
        let told = one(here).and_then(|len| {
            let to = here.checked_add(MMSGHDR_LEN).ok_or(Errno::EFAULT)?;
            call.space.write_val(to, &low32(len))
        });
        match told {
            Ok(()) => done += 1,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        if !go_on() {
            break;
        }
        here = here.checked_add(MMSGHDR).ok_or(Errno::EFAULT)?;
    }
    Ok(done)
}

const _: () = assert!(HEADER == 16, "struct cmsghdr");
