//! What of the caller's memory the line for a call shows: [`collect`] looks at it before the call
//! (what goes in) and after it (what comes out) and keeps it in [`Pieces`].
//!
//! This is the half of tracing that must be where the memory is; it knows sizes and where a
//! pointer leads, and no names. The other half, which makes the line, runs in the launcher.

use super::wire::Pieces;
use super::{Arg, ELEMENTS, Memory};
use crate::num::{low32, u64_of, usize_of};

/// Bytes of a buffer that a line shows (strace's default for `-s`).
pub(super) const SHOWN: usize = 32;
/// Bytes of a path or a string that are kept.
const TEXT: usize = 4096;
/// Set in an address: not the bytes there are kept, but how many entries the list there has.
pub(super) const COUNT: u64 = 1 << 63;
/// The longest list that is counted.
const MOST_COUNTED: u64 = 100_000;
/// `struct msghdr`: seven words (linux/socket.h).
const MSGHDR_WORDS: usize = 7;
/// The longest `sockaddr` (`struct __kernel_sockaddr_storage`, linux/socket.h).
const SOCKADDR: u64 = 128;

/// Which look it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Before the call runs.
    Before,
    /// After it has answered this, an error as Linux's negative number.
    After(u64),
}

/// Keeps what the line will show of the caller's memory.
pub fn collect(
    args: &[Arg],
    values: [u64; 6],
    phase: Phase,
    memory: &dyn Memory,
    pieces: &mut Pieces,
) {
    let mut look = Look {
        values,
        result: match phase {
            // -MAX_ERRNO (linux/err.h).
            Phase::After(result) if result < 0xFFFF_FFFF_FFFF_F001 => result,
            _ => 0,
        },
        memory,
        pieces,
    };
    for (index, (arg, value)) in args.iter().zip(values).enumerate() {
        if value == 0 {
            continue;
        }
        match phase {
            Phase::Before => look.going_in(*arg, index, value),
            Phase::After(_) => look.coming_out(*arg, index, value),
        }
    }
}

/// Size of what a pointer of this kind leads to, when that doesn't depend on anything, and whether
/// it goes in and comes out. The structures are Linux's for x86-64.
const fn fixed(arg: Arg) -> Option<(u64, bool, bool)> {
    Some(match arg {
        Arg::WaitStatus | Arg::IntOut => (4, false, true),
        Arg::LenPtr => (4, true, true),
        Arg::SchedParam => (4, true, false),
        Arg::SchedParamOut => (4, false, true),
        Arg::SigSet => (8, true, false),
        Arg::SigSetOut | Arg::FdPair | Arg::LongOut => (8, false, true),
        Arg::OffPtr => (8, true, true),
        Arg::EpollEvent => (12, true, false),
        Arg::Timespec | Arg::RlimitIn | Arg::TimevalIn | Arg::Utimbuf => (16, true, false),
        Arg::TimespecOut | Arg::Remainder | Arg::RlimitOut | Arg::TimevalOut => (16, false, true),
        Arg::Timeval => (16, true, true),
        Arg::Stack | Arg::OpenHow => (24, true, false),
        Arg::StackOut => (24, false, true),
        Arg::SigAction | Arg::Timespecs | Arg::Itimerval | Arg::Itimerspec => (32, true, false),
        Arg::SigActionOut | Arg::ItimervalOut | Arg::ItimerspecOut | Arg::Tms | Arg::Rusage => {
            (32, false, true)
        }
        Arg::SigInfo => (48, false, true),
        Arg::SigEvent | Arg::CloneArgs => (64, true, false),
        Arg::Stat => (64, false, true),
        Arg::Sysinfo => (112, false, true),
        Arg::Statfs => (120, false, true),
        Arg::Utsname => (130, false, true),
        Arg::Statx => (144, false, true),
        _ => return None,
    })
}

/// What the third argument of an `ioctl` leads to, at most, by its command: a terminal's settings
/// (`struct termios`, asm-generic/termbits.h) or a small number.
const fn ioctl_size(command: u64) -> u64 {
    match command {
        0x5401..=0x5404 => 36,
        _ => 8,
    }
}

struct Look<'a> {
    values: [u64; 6],
    result: u64,
    memory: &'a dyn Memory,
    pieces: &'a mut Pieces,
}

impl Look<'_> {
    fn value(&self, index: usize) -> u64 {
        self.values.get(index).copied().unwrap_or(0)
    }

    fn going_in(&mut self, arg: Arg, index: usize, value: u64) {
        let next = self.value(index + 1);
        if let Some((size, true, _)) = fixed(arg) {
            return self.bytes(value, size);
        }
        match arg {
            Arg::Path => self.text(value),
            Arg::In => self.bytes(value, next.min(u64_of(SHOWN))),
            Arg::SockAddr => self.bytes(value, u64::from(low32(next)).min(SOCKADDR)),
            Arg::SockOpt => self.bytes(value, u64::from(low32(next)).min(SOCKADDR)),
            Arg::CpuSet => self.bytes(value, self.value(index.wrapping_sub(1)).min(SOCKADDR)),
            Arg::Groups => self.list(value, low32(self.value(0)), 4),
            Arg::PollFds => self.list(value, low32(next), 8),
            Arg::FdSet => self.bytes(value, (self.value(0).min(1024)).div_ceil(64) * 8),
            Arg::IoVec => self.vectors(value, next, u64::MAX),
            Arg::IoVecOut => self.list(value, low32(next), 16),
            Arg::MsgHdr => self.message(value, u64::MAX),
            Arg::Argv => self.strings(value),
            Arg::Envp => self.count(value, |look, at, number| {
                let entry = look.word(at.wrapping_add(number.wrapping_mul(8)));
                entry.filter(|entry| *entry != 0).map(|_| 1)
            }),
            Arg::IoctlArg => self.bytes(value, ioctl_size(self.value(1))),
            // Operations that wait (linux/futex.h); others have a number here.
            Arg::FutexTimeout if matches!(low32(self.value(1)) & 127, 0 | 6 | 9 | 11 | 13) => {
                self.bytes(value, 16);
            }
            // F_GETLK to F_SETLKW and their OFD forms: struct flock (asm-generic/fcntl.h).
            Arg::FcntlArg if matches!(low32(self.value(1)), 5..=7 | 36..=38) => {
                self.bytes(value, 32);
            }
            // PR_SET_NAME (linux/prctl.h).
            Arg::PrctlArg if self.value(0) == 15 => self.text(value),
            _ => {}
        }
    }

    fn coming_out(&mut self, arg: Arg, index: usize, value: u64) {
        let next = self.value(index + 1);
        if let Some((size, _, true)) = fixed(arg) {
            return self.bytes(value, size);
        }
        match arg {
            Arg::Out | Arg::OutHex => self.bytes(value, self.result.min(u64_of(SHOWN))),
            Arg::OutStr => self.text(value),
            Arg::SockAddrOut | Arg::SockOptOut => {
                let len = self.word(next).map_or(0, low32);
                self.bytes(value, u64::from(len).min(SOCKADDR));
            }
            Arg::CpuSetOut => self.bytes(value, self.result.min(SOCKADDR)),
            Arg::Groups => self.list(value, low32(self.result), 4),
            Arg::PollFds => self.list(value, low32(next), 8),
            Arg::FdSet => self.bytes(value, (self.value(0).min(1024)).div_ceil(64) * 8),
            Arg::EpollEvents => self.list(value, low32(self.result), 12),
            Arg::IoVecOut => self.vectors(value, next, self.result),
            Arg::MsgHdrOut => self.message(value, self.result),
            Arg::Dirents => self.entries(value),
            Arg::IoctlArg => self.bytes(value, ioctl_size(self.value(1))),
            // F_GETLK and F_OFD_GETLK.
            Arg::FcntlArg if matches!(low32(self.value(1)), 5 | 36) => self.bytes(value, 32),
            // PR_GET_NAME.
            Arg::PrctlArg if self.value(0) == 16 => self.text(value),
            _ => {}
        }
    }

    /// Keeps `len` bytes, if all of them can be read.
    fn bytes(&mut self, address: u64, len: u64) {
        self.pieces.keep(address, usize_of(len), self.memory);
    }

    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        let read = self.memory.read(address, &mut bytes);
        read.then(|| u64::from_le_bytes(bytes))
    }

    /// Keeps a text with the NUL at its end, as much of it as is looked at.
    fn text(&mut self, address: u64) {
        let mut len = 0;
        let mut chunk = [0; SHOWN];
        while len < TEXT {
            let at = address.wrapping_add(u64_of(len));
            // Never across the end of a page, behind which there may be nothing.
            let room = SHOWN - usize_of(at % u64_of(SHOWN));
            let part = chunk.get_mut(..room).unwrap_or_default();
            if !self.memory.read(at, part) {
                break;
            }
            match part.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    len += end + 1;
                    break;
                }
                None => len += room,
            }
        }
        self.bytes(address, u64_of(len));
    }

    /// Keeps `count` things of `size` bytes, as many as are shown.
    fn list(&mut self, address: u64, count: u32, size: u64) {
        let count = u64::from(count).min(u64_of(ELEMENTS));
        self.bytes(address, count * size);
    }

    /// Keeps vectors and the first bytes of what they point to, of `total` bytes.
    fn vectors(&mut self, address: u64, count: u64, total: u64) {
        self.list(address, low32(count), 16);
        let mut left = total;
        for index in 0..u64::from(low32(count)).min(u64_of(ELEMENTS)) {
            let at = address.wrapping_add(16 * index);
            let (Some(base), Some(len)) = (self.word(at), self.word(at.wrapping_add(8))) else {
                return;
            };
            let len = len.min(left);
            left -= len;
            self.bytes(base, len.min(u64_of(SHOWN)));
        }
    }

    /// Keeps a message's header, address, vectors and control data.
    fn message(&mut self, address: u64, total: u64) {
        let mut words = [0; MSGHDR_WORDS];
        for (index, place) in words.iter_mut().enumerate() {
            let Some(word) = self.word(address.wrapping_add(8 * u64_of(index))) else {
                return;
            };
            *place = word;
        }
        self.bytes(address, 8 * u64_of(MSGHDR_WORDS));
        let [name, name_len, vectors, count, control, control_len, _] = words;
        self.bytes(name, u64::from(low32(name_len)).min(SOCKADDR));
        self.vectors(vectors, count.min(u64::from(u32::MAX)), total);
        self.bytes(control, control_len.min(SOCKADDR));
    }

    /// Keeps a list of strings that ends with a null pointer.
    fn strings(&mut self, address: u64) {
        // One more than is shown: that there are more shows, too.
        for index in 0..=u64_of(ELEMENTS) {
            let at = address.wrapping_add(8 * index);
            self.bytes(at, 8);
            match self.word(at) {
                None | Some(0) => return,
                Some(string) => self.text(string),
            }
        }
    }

    /// Keeps how many entries a list has. `step` answers how far an entry of this number or at
    /// this distance is from the next, and `None` at the end.
    fn count(&mut self, address: u64, step: impl Fn(&Self, u64, u64) -> Option<u64>) {
        let mut count: u64 = 0;
        while count < MOST_COUNTED && step(self, address, count).is_some() {
            count += 1;
        }
        self.pieces.keep_word(address | COUNT, count);
    }

    /// Keeps how many directory entries there are (`struct linux_dirent64`: their length is the
    /// half word at 16; the same in `struct linux_dirent`).
    fn entries(&mut self, address: u64) {
        let (mut count, mut at) = (0, 0);
        while at < self.result {
            let mut len = [0; 2];
            let place = address.wrapping_add(at).wrapping_add(16);
            if !self.memory.read(place, &mut len) || len == [0; 2] {
                break;
            }
            at += u64::from(u16::from_le_bytes(len));
            count += 1;
        }
        self.pieces.keep_word(address | COUNT, count);
    }
}
