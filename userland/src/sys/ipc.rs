//! System V IPC.

use super::{Arg, Res, call, calls};

calls! {
    fn shmget(key: i32, size: usize, flags: i32) = SYS_shmget;
    fn shmat(id: i32, addr: usize, flags: i32) = SYS_shmat;
    fn shmdt(addr: usize) = SYS_shmdt;
    fn shmctl(id: i32, command: i32, out: Option<&mut [u64; 16]>) = SYS_shmctl;
    fn semget(key: i32, count: i32, flags: i32) = SYS_semget;
    fn semctl(id: i32, number: i32, command: i32, arg: usize) = SYS_semctl;
    fn msgget(key: i32, flags: i32) = SYS_msgget;
    fn msgctl(id: i32, command: i32, out: Option<&mut [u64; 16]>) = SYS_msgctl;
}

/// A `sembuf`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Op(pub(crate) u16, pub(crate) i16, pub(crate) i16);

/// semop(2).
pub(crate) fn semop(id: i32, ops: &[Op]) -> Res {
    // SAFETY: the slice is as many structures as are told.
    unsafe {
        call(
            libc::SYS_semop,
            [id.arg(), ops.as_ptr() as usize, ops.len(), 0, 0, 0],
        )
    }
}

/// semtimedop(2).
pub(crate) fn semtimedop(id: i32, ops: &[Op], time: &libc::timespec) -> Res {
    // SAFETY: the slice is as many structures as are told.
    unsafe {
        call(
            libc::SYS_semtimedop,
            [id.arg(), ops.as_ptr() as usize, ops.len(), time.arg(), 0, 0],
        )
    }
}

/// msgsnd(2).
pub(crate) fn msgsnd(id: i32, kind: i64, text: &[u8], flags: i32) -> Res {
    let mut message = kind.to_ne_bytes().to_vec();
    message.extend_from_slice(text);
    // SAFETY: the message is as long as is told.
    unsafe {
        call(
            libc::SYS_msgsnd,
            [
                id.arg(),
                message.as_ptr() as usize,
                text.len(),
                flags.arg(),
                0,
                0,
            ],
        )
    }
}

/// msgrcv(2): type and text.
pub(crate) fn msgrcv(
    id: i32,
    room: usize,
    kind: i64,
    flags: i32,
) -> Result<(i64, String), super::Errno> {
    let mut message = vec![0u8; 8 + room];
    // SAFETY: the buffer has the room that is told.
    let len = unsafe {
        call(
            libc::SYS_msgrcv,
            [
                id.arg(),
                message.as_mut_ptr() as usize,
                room,
                kind.arg(),
                flags.arg(),
                0,
            ],
        )
    }?;
    let kind = i64::from_ne_bytes(message[..8].try_into().unwrap_or_default());
    Ok((
        kind,
        String::from_utf8_lossy(&message[8..8 + len]).into_owned(),
    ))
}

/// An id, or -1 with the error printed.
pub(crate) fn id_or_say(label: &str, result: Res) -> i32 {
    super::event::fd_or_say(label, result)
}
