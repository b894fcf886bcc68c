//! [`Perm`]: who may use an IPC object (ipc/util.c's rules), and its form in memory.

use crate::abi;
use crate::cred::Credentials;
use crate::errno::Errno;

/// Bytes of `struct ipc64_perm` (asm-generic/ipcbuf.h).
pub const PERM_SIZE: usize = 48;
/// `IPC_PRIVATE`.
pub const PRIVATE: i32 = 0;
/// `IPC_CREAT`, `IPC_EXCL`, `IPC_NOWAIT` (linux/ipc.h).
pub const CREAT: u32 = 0o1000;
/// See [`CREAT`].
pub const EXCL: u32 = 0o2000;
/// See [`CREAT`].
pub const NOWAIT: u32 = 0o4000;

/// Owner and permissions of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Perm {
    /// What it is found by; [`PRIVATE`] for none.
    pub key: i32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Who made it.
    pub cuid: u32,
    /// And with which group.
    pub cgid: u32,
    /// Permission bits, and flags of the kind's own.
    pub mode: u32,
}

impl Perm {
    /// Of something new.
    #[must_use]
    pub fn new(key: i32, flags: u32, creds: &Credentials) -> Self {
        let (uid, gid) = (creds.uids.effective, creds.gids.effective);
        Self {
            key,
            uid,
            gid,
            cuid: uid,
            cgid: gid,
            mode: flags & 0o777,
        }
    }

    /// Whether the bits of `flags`, wherever among the nine they stand, are granted.
    ///
    /// # Errors
    /// `EACCES`.
    pub fn check(&self, flags: u32, creds: &Credentials) -> Result<(), Errno> {
        let wanted = flags >> 6 | flags >> 3 | flags;
        let user = creds.uids.effective;
        let granted = if user == self.cuid || user == self.uid {
            self.mode >> 6
        } else if creds.in_group(self.cgid) || creds.in_group(self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        if wanted & !granted & 0o7 != 0 && !creds.has(abi::CAP_IPC_OWNER) {
            return Err(Errno::EACCES);
        }
        Ok(())
    }

    /// Whether its owner asks, or one who may act as such.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn check_owner(&self, creds: &Credentials) -> Result<(), Errno> {
        let user = creds.uids.effective;
        if user == self.cuid || user == self.uid || creds.has(abi::CAP_SYS_ADMIN) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// As `IPC_STAT` shows it; the sequence number is the id's.
    #[must_use]
    pub fn encode(&self, id: i32) -> [u8; PERM_SIZE] {
        let sequence = id.cast_unsigned() >> super::SLOT_BITS;
        let words = [
            self.key.cast_unsigned(),
            self.uid,
            self.gid,
            self.cuid,
            self.cgid,
            self.mode,
            sequence,
        ];
        let mut bytes = [0; PERM_SIZE];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// What `IPC_SET` changes, from the structure's bytes.
    ///
    /// # Errors
    /// EINVAL when nobody can have the user's or the group's number.
    pub fn set(&mut self, bytes: &[u8; PERM_SIZE]) -> Result<(), Errno> {
        let word = |index: usize| {
            let part = bytes.chunks_exact(4).nth(index);
            let part = part.and_then(|part| part.try_into().ok());
            u32::from_le_bytes(part.unwrap_or([0; 4]))
        };
        if word(1) == u32::MAX || word(2) == u32::MAX {
            return Err(Errno::EINVAL);
        }
        (self.uid, self.gid) = (word(1), word(2));
        self.mode = self.mode & !0o777 | word(5) & 0o777;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, gid: u32) -> Credentials {
        Credentials::new(uid, gid)
    }

    #[test]
    fn owner_group_and_others() {
        let perm = Perm {
            mode: 0o640,
            ..Perm::new(7, 0, &user(10, 20))
        };
        let read = |uid, gid| perm.check(0o444, &user(uid, gid));
        let write = |uid, gid| perm.check(0o222, &user(uid, gid));
        assert_eq!((read(10, 9), write(10, 9)), (Ok(()), Ok(())));
        assert_eq!((read(11, 20), write(11, 20)), (Ok(()), Err(Errno::EACCES)));
        assert_eq!(read(11, 21), Err(Errno::EACCES));
        assert_eq!((read(0, 0), write(0, 0)), (Ok(()), Ok(())));
        assert_eq!(perm.check_owner(&user(11, 20)), Err(Errno::EPERM));
        assert_eq!(perm.check_owner(&user(0, 0)), Ok(()));
    }

    #[test]
    fn bytes() {
        let mut perm = Perm::new(-2, 0o1666, &user(1, 2));
        let bytes = perm.encode(5 << 15 | 3);
        assert_eq!(bytes[..4], [0xFE, 0xFF, 0xFF, 0xFF]);
        assert_eq!(bytes[20..28], [0xB6, 1, 0, 0, 5, 0, 0, 0]);
        let mut changed = bytes;
        (changed[4], changed[8], changed[20], changed[16]) = (9, 8, 7, 99);
        perm.mode |= 0o10000;
        perm.set(&changed).unwrap();
        assert_eq!((perm.uid, perm.gid, perm.cuid, perm.cgid), (9, 8, 1, 2));
        assert_eq!(perm.mode, 0o10000 | 0o407);
    }
}
