//! [`SigInfo`]: why a signal was sent, as `siginfo_t` tells it (asm-generic/siginfo.h).

use super::Signal;
use crate::abi;
use crate::addr::UserAddr;

/// Bytes of `siginfo_t` in user memory.
pub const SIGINFO_SIZE: usize = abi::SI_MAX_SIZE as usize;
/// Bytes of the union that any of its members uses.
const FIELDS: usize = 32;
/// Where the union starts.
const FIELDS_AT: usize = 16;

/// Bytes of `struct signalfd_siginfo` (linux/signalfd.h).
pub const SIGNALFD_SIZE: usize = 128;

/// The members of `siginfo_t`'s union.
enum Layout {
    Kill,
    Queue,
    Timer,
    Poll,
    Fault,
    Child,
}

/// A signal and its story. The union of `siginfo_t` is kept as bytes, because
/// `rt_sigqueueinfo` lets a program fill it as it likes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SigInfo {
    /// The signal.
    pub signal: Signal,
    /// `si_errno`; 0 but for odd senders.
    pub errno: i32,
    /// `si_code`: above 0 the kernel says why, 0 and below a program sent it.
    pub code: i32,
    fields: [u8; FIELDS],
    /// A timer sent it, whatever the code says, which a program may write as well.
    by_timer: bool,
}

const fn code(value: u32) -> i32 {
    value.cast_signed()
}

impl SigInfo {
    /// The kernel sent it and there is no more to say (`SI_KERNEL`).
    #[must_use]
    pub const fn kernel(signal: Signal) -> Self {
        Self::bare(signal, code(abi::SI_KERNEL))
    }

    /// Only a code.
    #[must_use]
    pub const fn bare(signal: Signal, code: i32) -> Self {
        Self {
            signal,
            errno: 0,
            code,
            fields: [0; FIELDS],
            by_timer: false,
        }
    }

    /// From a program: kill(2) with `SI_USER`, tgkill(2) with `SI_TKILL`.
    #[must_use]
    pub fn user(signal: Signal, code: i32, pid: u32, uid: u32) -> Self {
        let mut info = Self::bare(signal, code);
        info.put(0, &pid.to_le_bytes());
        info.put(4, &uid.to_le_bytes());
        info
    }

    /// With a value: sigqueue(3) (`SI_QUEUE`) and its like.
    #[must_use]
    pub fn queued(signal: Signal, code: i32, pid: u32, uid: u32, value: u64) -> Self {
        let mut info = Self::user(signal, code, pid, uid);
        info.put(8, &value.to_le_bytes());
        info
    }

    /// A POSIX timer ran out (`SI_TIMER`).
    #[must_use]
    pub fn timer(signal: Signal, id: i32, overrun: i32, value: u64) -> Self {
        let mut info = Self::bare(signal, abi::SI_TIMER);
        info.by_timer = true;
        info.put(0, &id.to_le_bytes());
        info.put(4, &overrun.to_le_bytes());
        info.put(8, &value.to_le_bytes());
        info
    }

    /// A fault at `addr`; the code is `SEGV_MAPERR` and so on.
    #[must_use]
    pub fn fault(signal: Signal, reason: u32, addr: UserAddr) -> Self {
        let mut info = Self::bare(signal, code(reason));
        info.put(0, &addr.raw().to_le_bytes());
        info
    }

    /// A system call at `at` that isn't let through (`SYS_SECCOMP`, `SYS_USER_DISPATCH`).
    #[must_use]
    pub fn refused_call(code: i32, errno: i32, at: u64, number: i32, arch: u32) -> Self {
        let mut info = Self::bare(Signal::SYS, code);
        info.errno = errno;
        info.put(0, &at.to_le_bytes());
        info.put(8, &number.to_le_bytes());
        info.put(12, &arch.to_le_bytes());
        info
    }

    /// A child changed state; `reason` is `CLD_EXITED` and so on, times are in clock ticks.
    #[must_use]
    pub fn child(signal: Signal, child: ChildChange) -> Self {
        let mut info = Self::user(signal, child.code, child.pid, child.uid);
        info.put(8, &child.status.to_le_bytes());
        info.put(16, &child.user_ticks.to_le_bytes());
        info.put(24, &child.system_ticks.to_le_bytes());
        info
    }

    /// Input or output on a descriptor became possible (`POLL_IN` and so on).
    #[must_use]
    pub fn poll(signal: Signal, reason: i32, band: i64, fd: i32) -> Self {
        let mut info = Self::bare(signal, reason);
        info.put(0, &band.to_le_bytes());
        info.put(8, &fd.to_le_bytes());
        info
    }

    /// What a program handed to `rt_sigqueueinfo`; `None` when the number isn't a signal's.
    #[must_use]
    pub fn decode(signal: Signal, bytes: &[u8; SIGINFO_SIZE]) -> Self {
        let mut info = Self::bare(signal, 0);
        info.errno = i32::from_le_bytes(read(bytes, 4));
        info.code = i32::from_le_bytes(read(bytes, 8));
        info.fields = read(bytes, FIELDS_AT);
        info
    }

    /// As a handler or sigtimedwait(2) sees it.
    #[must_use]
    pub fn encode(&self) -> [u8; SIGINFO_SIZE] {
        let mut bytes = [0; SIGINFO_SIZE];
        write(
            &mut bytes,
            0,
            &i32::from(self.signal.number()).to_le_bytes(),
        );
        write(&mut bytes, 4, &self.errno.to_le_bytes());
        write(&mut bytes, 8, &self.code.to_le_bytes());
        write(&mut bytes, FIELDS_AT, &self.fields);
        bytes
    }

    /// As a read of a signalfd(2) gives it (`struct signalfd_siginfo`, linux/signalfd.h).
    #[must_use]
    pub fn encode_for_file(&self) -> [u8; SIGNALFD_SIZE] {
        let mut bytes = [0; SIGNALFD_SIZE];
        let mut put = |at: usize, from: &[u8]| write(&mut bytes, at, from);
        put(0, &u32::from(self.signal.number()).to_le_bytes());
        put(4, &self.errno.to_le_bytes());
        put(8, &self.code.to_le_bytes());
        let part = |at: usize| -> [u8; 4] { read(&self.fields, at) };
        let whole = |at: usize| -> [u8; 8] { read(&self.fields, at) };
        match self.layout() {
            Layout::Kill => (put(12, &part(0)), put(16, &part(4))).0,
            Layout::Queue => {
                put(12, &part(0));
                put(16, &part(4));
                put(44, &part(8));
                put(48, &whole(8));
            }
            Layout::Timer => {
                put(24, &part(0));
                put(32, &part(4));
                put(44, &part(8));
                put(48, &whole(8));
            }
            Layout::Poll => (put(28, &part(0)), put(20, &part(8))).0,
            Layout::Fault => put(72, &whole(0)),
            Layout::Child => {
                put(12, &part(0));
                put(16, &part(4));
                put(40, &part(8));
                put(56, &whole(16));
                put(64, &whole(24));
            }
        }
        bytes
    }

    /// Which member of the union counts (`siginfo_layout` of Linux).
    fn layout(&self) -> Layout {
        let by_kernel = self.code > 0 && self.code < code(abi::SI_KERNEL);
        match self.signal {
            _ if self.code == abi::SI_TIMER => Layout::Timer,
            _ if self.code == abi::SI_SIGIO => Layout::Poll,
            _ if self.code < 0 => Layout::Queue,
            Signal::CHLD if by_kernel => Layout::Child,
            Signal::IO if by_kernel => Layout::Poll,
            Signal::ILL | Signal::FPE | Signal::SEGV | Signal::BUS | Signal::TRAP if by_kernel => {
                Layout::Fault
            }
            // Any other may be one that F_SETSIG asked for (`NSIGPOLL` reasons).
            _ if by_kernel && self.code <= code(abi::POLL_HUP) => Layout::Poll,
            _ => Layout::Kill,
        }
    }

    /// `si_pid` (or the timer's id), by its place in the union.
    #[must_use]
    pub fn pid(&self) -> u32 {
        u32::from_le_bytes(read(&self.fields, 0))
    }

    /// `si_uid` (or the timer's overrun).
    #[must_use]
    pub fn uid(&self) -> u32 {
        u32::from_le_bytes(read(&self.fields, 4))
    }

    /// `si_addr` of a fault.
    #[must_use]
    pub fn addr(&self) -> u64 {
        u64::from_le_bytes(read(&self.fields, 0))
    }

    /// `si_value` of a queued signal.
    #[must_use]
    pub fn value(&self) -> u64 {
        u64::from_le_bytes(read(&self.fields, 8))
    }

    /// The same signal of a timer with another overrun count.
    #[must_use]
    pub fn with_overrun(mut self, overrun: i32) -> Self {
        self.put(4, &overrun.to_le_bytes());
        self
    }

    /// Whether a program made it, rather than the kernel (`SI_FROMUSER`).
    #[must_use]
    pub const fn is_from_user(&self) -> bool {
        self.code <= 0
    }

    /// Whether a timer of timer_create(2) sent it, rather than a program that wrote its code.
    #[must_use]
    pub const fn is_by_timer(&self) -> bool {
        self.by_timer
    }

    /// The same as from somebody else: the timer is no more.
    pub const fn release_timer(&mut self) {
        self.by_timer = false;
    }

    /// Whether it needs room under `RLIMIT_SIGPENDING`. A timer's has its place, and of standard signals the kernel's own
    /// and those of kill(2) are let through: they are few.
    #[must_use]
    pub const fn needs_room(&self) -> bool {
        !self.by_timer && (self.code < 0 || self.signal.is_realtime())
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        write(&mut self.fields, at, bytes);
    }
}

/// What a `SIGCHLD` tells of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChildChange {
    /// `CLD_EXITED` and so on.
    pub code: i32,
    /// The child's process id.
    pub pid: u32,
    /// Its real user id.
    pub uid: u32,
    /// Its exit code, or the signal.
    pub status: i32,
    /// User time in clock ticks (1/100 s).
    pub user_ticks: i64,
    /// System time in clock ticks.
    pub system_ticks: i64,
}

/// `N` bytes at `at`; zeros past the end.
pub(super) fn read<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

/// Puts bytes at `at`, where they fit: every call's place is a constant of a layout.
pub(super) fn write(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_linux_s() {
        let info = SigInfo::queued(Signal::USR1, -1, 7, 8, 0x1122_3344_5566_7788);
        let bytes = info.encode();
        assert_eq!(bytes[0..4], 10i32.to_le_bytes());
        assert_eq!(bytes[8..12], (-1i32).to_le_bytes());
        assert_eq!(bytes[16..20], 7u32.to_le_bytes());
        assert_eq!(bytes[20..24], 8u32.to_le_bytes());
        assert_eq!(bytes[24..32], 0x1122_3344_5566_7788u64.to_le_bytes());
        assert_eq!(SigInfo::decode(Signal::USR1, &bytes), info);
    }

    #[test]
    fn child_fields() {
        let info = SigInfo::child(
            Signal::CHLD,
            ChildChange {
                code: 1,
                pid: 5,
                uid: 6,
                status: 3,
                user_ticks: 10,
                system_ticks: 20,
            },
        );
        let bytes = info.encode();
        assert_eq!(bytes[24..28], 3i32.to_le_bytes());
        assert_eq!(bytes[32..40], 10i64.to_le_bytes());
        assert_eq!(bytes[40..48], 20i64.to_le_bytes());
    }
}
