//! `SOL_SOCKET`'s options (socket(7), asm-generic/socket.h): what is kept, its bounds, and what is
//! refused.

use super::level;
use crate::errno::Errno;

/// Names of options (asm-generic/socket.h).
#[allow(missing_docs, reason = "Linux's own names")]
pub mod so {
    pub const DEBUG: u32 = 1;
    pub const REUSEADDR: u32 = 2;
    pub const TYPE: u32 = 3;
    pub const ERROR: u32 = 4;
    pub const DONTROUTE: u32 = 5;
    pub const BROADCAST: u32 = 6;
    pub const SNDBUF: u32 = 7;
    pub const RCVBUF: u32 = 8;
    pub const KEEPALIVE: u32 = 9;
    pub const OOBINLINE: u32 = 10;
    pub const NO_CHECK: u32 = 11;
    pub const PRIORITY: u32 = 12;
    pub const LINGER: u32 = 13;
    pub const BSDCOMPAT: u32 = 14;
    pub const REUSEPORT: u32 = 15;
    pub const PASSCRED: u32 = 16;
    pub const PEERCRED: u32 = 17;
    pub const RCVLOWAT: u32 = 18;
    pub const SNDLOWAT: u32 = 19;
    pub const RCVTIMEO: u32 = 20;
    pub const SNDTIMEO: u32 = 21;
    pub const BINDTODEVICE: u32 = 25;
    pub const ATTACH_FILTER: u32 = 26;
    pub const DETACH_FILTER: u32 = 27;
    pub const PEERNAME: u32 = 28;
    pub const TIMESTAMP: u32 = 29;
    pub const ACCEPTCONN: u32 = 30;
    pub const PEERSEC: u32 = 31;
    pub const SNDBUFFORCE: u32 = 32;
    pub const RCVBUFFORCE: u32 = 33;
    pub const PASSSEC: u32 = 34;
    pub const TIMESTAMPNS: u32 = 35;
    pub const MARK: u32 = 36;
    pub const TIMESTAMPING: u32 = 37;
    pub const PROTOCOL: u32 = 38;
    pub const DOMAIN: u32 = 39;
    pub const RXQ_OVFL: u32 = 40;
    pub const WIFI_STATUS: u32 = 41;
    pub const PEEK_OFF: u32 = 42;
    pub const NOFCS: u32 = 43;
    pub const LOCK_FILTER: u32 = 44;
    pub const SELECT_ERR_QUEUE: u32 = 45;
    pub const BUSY_POLL: u32 = 46;
    pub const MAX_PACING_RATE: u32 = 47;
    pub const BPF_EXTENSIONS: u32 = 48;
    pub const INCOMING_CPU: u32 = 49;
    pub const ATTACH_BPF: u32 = 50;
    pub const MEMINFO: u32 = 55;
    pub const INCOMING_NAPI_ID: u32 = 56;
    pub const COOKIE: u32 = 57;
    pub const PEERGROUPS: u32 = 59;
    pub const ZEROCOPY: u32 = 60;
    pub const BINDTOIFINDEX: u32 = 62;
    pub const RCVTIMEO_NEW: u32 = 66;
    pub const SNDTIMEO_NEW: u32 = 67;
    pub const PASSPIDFD: u32 = 76;
    pub const PEERPIDFD: u32 = 77;
}

/// What a send buffer holds at first (`net.core.wmem_default`), and can be made to
/// (`net.core.wmem_max`).
pub const BUFFER: u32 = 212_992;
/// Smallest send buffer (`SOCK_MIN_SNDBUF`).
const MIN_SNDBUF: u32 = 4608;
/// Smallest receive buffer (`SOCK_MIN_RCVBUF`).
const MIN_RCVBUF: u32 = 2304;
/// What a TCP socket's receive buffer holds at first (`net.ipv4.tcp_rmem`).
pub const TCP_RCVBUF: u32 = 131_072;
/// What a TCP socket's send buffer holds at first, once connected over the loopback.
pub const TCP_SNDBUF: u32 = 2_626_560;

/// `SOF_TIMESTAMPING_MASK` (linux/net_tstamp.h), without the clock of a device.
const STAMPING: i32 = (1 << 15) - 1;
/// `SOF_TIMESTAMPING_RX_SOFTWARE` and `SOF_TIMESTAMPING_SOFTWARE`.
const STAMPS: i32 = 1 << 3 | 1 << 4;

/// Switches: one bit for each option that is only on or off, by its number.
const SWITCHES: &[u32] = &[
    so::DEBUG,
    so::REUSEADDR,
    so::DONTROUTE,
    so::BROADCAST,
    so::KEEPALIVE,
    so::OOBINLINE,
    so::NO_CHECK,
    so::REUSEPORT,
    so::PASSCRED,
    so::PASSSEC,
    so::RXQ_OVFL,
    so::ZEROCOPY,
    so::LOCK_FILTER,
    so::SELECT_ERR_QUEUE,
    so::WIFI_STATUS,
    so::NOFCS,
];

/// A socket's options at the level of sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    switches: u64,
    pass_pidfd: bool,
    /// `SO_TIMESTAMP` and `SO_TIMESTAMPNS`.
    pub timestamp: Stamp,
    /// `SO_TIMESTAMPING`'s flags.
    stamping: i32,
    /// They ask for the time of arrival, of a socket whose messages have it.
    pub stamps: bool,
    /// Seconds of `SO_LINGER`, when it is on.
    pub linger: Option<u32>,
    linger_seconds: u32,
    /// Bytes the send buffer holds, overhead included.
    pub sndbuf: u32,
    /// Bytes the receive buffer holds, overhead included.
    pub rcvbuf: u32,
    /// Somebody set them.
    pub sndbuf_set: bool,
    /// As `sndbuf_set`.
    pub rcvbuf_set: bool,
    /// Bytes that a read waits for.
    pub rcvlowat: u32,
    /// Nanoseconds that a read waits; 0: for ever.
    pub rcvtimeo: u64,
    /// Nanoseconds that a write waits; 0: for ever.
    pub sndtimeo: u64,
    priority: u32,
    mark: u32,
    /// Where `MSG_PEEK` begins, when it doesn't at the front.
    pub peek_off: i32,
    busy_poll: u32,
    pacing: u32,
    incoming_cpu: i32,
    /// The interface that alone counts; 0: any.
    pub device: u32,
}

/// Whether and how the time of arrival is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamp {
    /// Not.
    Off,
    /// As `struct timeval`.
    Micro,
    /// As `struct timespec`.
    Nano,
}

/// What setting an option may need.
#[derive(Clone, Copy, Debug)]
pub struct Rights {
    /// `CAP_NET_ADMIN`.
    pub admin: bool,
    /// `CAP_NET_RAW`.
    pub net_raw: bool,
    /// An internet socket.
    pub inet: bool,
    /// A raw socket, or a netlink socket.
    pub raw: bool,
    /// A unix socket.
    pub unix: bool,
}

/// What an option answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// An `int`.
    Int(i32),
    /// Two `int`s (`struct linger`).
    Pair(i32, i32),
    /// `struct timeval`.
    Time(u64),
    /// Eight bytes.
    Long(u64),
}

/// An `int` as an option has it.
///
/// # Errors
/// `EINVAL` when it is too short.
pub fn int(value: &[u8]) -> Result<i32, Errno> {
    let raw = value.get(..4).and_then(|raw| raw.try_into().ok());
    raw.map(i32::from_le_bytes).ok_or(Errno::EINVAL)
}

impl Options {
    /// What a new socket has.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            switches: 0,
            pass_pidfd: false,
            timestamp: Stamp::Off,
            stamping: 0,
            stamps: false,
            linger: None,
            linger_seconds: 0,
            sndbuf: BUFFER,
            rcvbuf: BUFFER,
            sndbuf_set: false,
            rcvbuf_set: false,
            rcvlowat: 1,
            rcvtimeo: 0,
            sndtimeo: 0,
            priority: 0,
            mark: 0,
            peek_off: -1,
            busy_poll: 0,
            pacing: u32::MAX,
            incoming_cpu: -1,
            device: 0,
        }
    }

    /// Whether a switch is on.
    #[must_use]
    pub const fn has(&self, name: u32) -> bool {
        self.switches & (1 << (name & 63)) != 0
    }

    /// Whether the sender's descriptor is wanted (`SO_PASSPIDFD`).
    #[must_use]
    pub const fn pass_pidfd(&self) -> bool {
        self.pass_pidfd
    }

    /// Turns a switch on or off.
    pub fn switch(&mut self, name: u32, on: bool) {
        let bit = 1 << (name & 63);
        self.switches = self.switches & !bit | if on { bit } else { 0 };
    }

    /// `setsockopt` at `SOL_SOCKET`.
    ///
    /// # Errors
    /// As Linux: `EINVAL` for a value that is short or out of bounds, `EPERM`, `EACCES`,
    /// `EDOM`, and `ENOPROTOOPT` for what can't be set.
    pub fn set(&mut self, name: u32, value: &[u8], rights: Rights) -> Result<(), Errno> {
        if name == so::BINDTODEVICE {
            let end = value.iter().position(|byte| *byte == 0);
            let index = match value.get(..end.unwrap_or(value.len())).unwrap_or_default() {
                b"" => 0,
                b"lo" => 1,
                _ => return Err(Errno::ENODEV),
            };
            return self.bind_to_device(index, rights);
        }
        let number = int(value)?;
        let on = number != 0;
        if SWITCHES.contains(&name) {
            return self.set_switch(name, number, rights);
        }
        match name {
            so::SNDBUF => self.set_sndbuf(number.min(BUFFER.cast_signed())),
            so::RCVBUF => self.set_rcvbuf(number.min(BUFFER.cast_signed())),
            so::SNDBUFFORCE | so::RCVBUFFORCE if !rights.admin => return Err(Errno::EPERM),
            so::SNDBUFFORCE => self.set_sndbuf(number.max(0)),
            so::RCVBUFFORCE => self.set_rcvbuf(number.max(0)),
            so::LINGER => self.set_linger(value)?,
            so::RCVLOWAT => self.rcvlowat = lowat(number),
            so::RCVTIMEO | so::RCVTIMEO_NEW => self.rcvtimeo = timeout(value)?,
            so::SNDTIMEO | so::SNDTIMEO_NEW => self.sndtimeo = timeout(value)?,
            so::PRIORITY if (0..=6).contains(&number) || rights.admin => {
                self.priority = number.cast_unsigned();
            }
            so::MARK if rights.admin => self.mark = number.cast_unsigned(),
            so::PRIORITY | so::MARK => return Err(Errno::EPERM),
            so::TIMESTAMP if on => self.timestamp = Stamp::Micro,
            so::TIMESTAMPNS if on => self.timestamp = Stamp::Nano,
            so::TIMESTAMP | so::TIMESTAMPNS => self.timestamp = Stamp::Off,
            _ => return self.set_other(name, number, rights),
        }
        Ok(())
    }

    fn set_other(&mut self, name: u32, number: i32, rights: Rights) -> Result<(), Errno> {
        match name {
            so::BSDCOMPAT => {}
            so::PASSPIDFD if rights.unix => self.pass_pidfd = number != 0,
            so::PEEK_OFF if rights.raw => return Err(Errno::EOPNOTSUPP),
            so::PEEK_OFF => self.peek_off = number.max(-1),
            so::BUSY_POLL if number < 0 => return Err(Errno::EINVAL),
            so::BUSY_POLL if rights.admin => self.busy_poll = number.cast_unsigned(),
            so::BUSY_POLL => return Err(Errno::EPERM),
            so::MAX_PACING_RATE => self.pacing = number.cast_unsigned(),
            so::BINDTOIFINDEX => return self.bind_to_device(number, rights),
            so::ATTACH_BPF => return Err(Errno::EINVAL),
            so::TIMESTAMPING if number & !STAMPING != 0 => return Err(Errno::EINVAL),
            so::TIMESTAMPING => {
                self.stamping = number;
                self.stamps = rights.inet && number & STAMPS == STAMPS;
            }
            so::INCOMING_CPU => self.incoming_cpu = number,
            so::PASSPIDFD => return Err(Errno::EOPNOTSUPP),
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    fn set_switch(&mut self, name: u32, number: i32, rights: Rights) -> Result<(), Errno> {
        let on = number != 0;
        match name {
            so::DEBUG if on && !rights.admin => return Err(Errno::EACCES),
            so::REUSEPORT if on && !rights.inet => return Err(Errno::EOPNOTSUPP),
            so::PASSCRED | so::PASSSEC if !rights.unix && rights.inet => {
                return Err(Errno::EOPNOTSUPP);
            }
            so::LOCK_FILTER if self.has(name) && !on => return Err(Errno::EPERM),
            so::ZEROCOPY if !rights.inet || rights.raw => return Err(Errno::EOPNOTSUPP),
            so::ZEROCOPY if !(0..=1).contains(&number) => return Err(Errno::EINVAL),
            _ => {}
        }
        self.switch(name, on);
        Ok(())
    }

    fn set_sndbuf(&mut self, number: i32) {
        // Twice, for the overhead (socket(7)); a negative number wraps to a large one first.
        let twice = number.cast_unsigned().min(i32::MAX as u32 / 2) * 2;
        self.sndbuf = if number < 0 { BUFFER * 2 } else { twice }.max(MIN_SNDBUF);
        self.sndbuf_set = true;
    }

    fn set_rcvbuf(&mut self, number: i32) {
        let twice = number.cast_unsigned().min(i32::MAX as u32 / 2) * 2;
        self.rcvbuf = if number < 0 { BUFFER * 2 } else { twice }.max(MIN_RCVBUF);
        self.rcvbuf_set = true;
    }

    fn set_linger(&mut self, value: &[u8]) -> Result<(), Errno> {
        let seconds = int(value.get(4..).unwrap_or_default())?;
        let on = int(value)? != 0;
        if on {
            self.linger_seconds = seconds.cast_unsigned();
        }
        self.linger = on.then_some(self.linger_seconds);
        Ok(())
    }

    /// Binds it to an interface by number, or to none; to leave one takes a right.
    fn bind_to_device(&mut self, index: i32, rights: Rights) -> Result<(), Errno> {
        if self.device != 0 && !rights.net_raw {
            return Err(Errno::EPERM);
        }
        if index < 0 {
            return Err(Errno::EINVAL);
        }
        self.device = index.cast_unsigned();
        Ok(())
    }

    /// `getsockopt` at `SOL_SOCKET`, of what is kept here.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that isn't.
    pub fn get(&self, name: u32) -> Result<Value, Errno> {
        let int = |number: u32| Ok(Value::Int(number.cast_signed()));
        if SWITCHES.contains(&name) {
            return int(u32::from(self.has(name)));
        }
        match name {
            so::SNDBUF => int(self.sndbuf),
            so::RCVBUF => int(self.rcvbuf),
            so::LINGER => Ok(Value::Pair(
                i32::from(self.linger.is_some()),
                self.linger_seconds.cast_signed(),
            )),
            so::RCVLOWAT => int(self.rcvlowat),
            so::SNDLOWAT => int(1),
            so::RCVTIMEO | so::RCVTIMEO_NEW => Ok(Value::Time(self.rcvtimeo)),
            so::SNDTIMEO | so::SNDTIMEO_NEW => Ok(Value::Time(self.sndtimeo)),
            so::PRIORITY => int(self.priority),
            so::MARK => int(self.mark),
            so::BSDCOMPAT | so::INCOMING_NAPI_ID => int(0),
            so::TIMESTAMP => int(u32::from(self.timestamp == Stamp::Micro)),
            so::TIMESTAMPNS => int(u32::from(self.timestamp == Stamp::Nano)),
            so::PEEK_OFF => Ok(Value::Int(self.peek_off)),
            so::BUSY_POLL => int(self.busy_poll),
            so::MAX_PACING_RATE if self.pacing == u32::MAX => Ok(Value::Long(u64::MAX)),
            so::MAX_PACING_RATE => Ok(Value::Long(self.pacing.into())),
            so::BINDTOIFINDEX => int(self.device),
            so::PASSPIDFD => int(u32::from(self.pass_pidfd)),
            so::INCOMING_CPU => Ok(Value::Int(self.incoming_cpu)),
            // And the clock of no device.
            so::TIMESTAMPING => Ok(Value::Pair(self.stamping, 0)),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

fn lowat(number: i32) -> u32 {
    match number {
        0 => 1,
        number if number < 0 => i32::MAX.cast_unsigned(),
        number => number.cast_unsigned(),
    }
}

/// Nanoseconds of a tick at 250 Hz.
const TICK_NS: u64 = 4_000_000;

/// Nanoseconds of a `struct timeval`; 0 means for ever.
fn timeout(value: &[u8]) -> Result<u64, Errno> {
    let word = |at: usize| {
        let raw = value.get(at..at + 8).and_then(|raw| raw.try_into().ok());
        raw.map(i64::from_le_bytes).ok_or(Errno::EINVAL)
    };
    let (seconds, micros) = (word(0)?, word(8)?);
    let Ok(micros) = u64::try_from(micros) else {
        return Err(Errno::EDOM);
    };
    if micros >= 1_000_000 {
        return Err(Errno::EDOM);
    }
    // A negative time: not at all, as near as that comes.
    let Ok(seconds) = u64::try_from(seconds) else {
        return Ok(1);
    };
    let ns = seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(micros * 1000);
    // In ticks, as Linux keeps and tells it.
    Ok(ns.div_ceil(TICK_NS).saturating_mul(TICK_NS))
}

/// Whether a level is the sockets' own.
#[must_use]
pub const fn is_socket_level(number: i32) -> bool {
    number == level::SOCKET
}

#[cfg(test)]
mod tests;
