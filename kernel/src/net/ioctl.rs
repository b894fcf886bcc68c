//! ioctl(2) on sockets: queues, marks, and questions about interfaces (netdevice(7)).

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::net::{LOOPBACK_INDEX, LOOPBACK_MTU, family};
use kiln_core::num::low32;
use linux_raw_sys::ioctl as nr;

use super::socket::Protocol;
use crate::fs::Ioctl;

/// Bytes of `struct ifreq`.
const IFREQ: usize = 40;
/// Bytes of the name in it (`IFNAMSIZ`).
const NAME: usize = 16;
/// Requests about interfaces (linux/sockios.h).
const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCGIFADDR: u32 = 0x8915;
const SIOCGIFDSTADDR: u32 = 0x8917;
const SIOCGIFBRDADDR: u32 = 0x8919;
const SIOCGIFNETMASK: u32 = 0x891B;
const SIOCGIFMETRIC: u32 = 0x891D;
const SIOCGIFMTU: u32 = 0x8921;
const SIOCSIFMTU: u32 = 0x8922;
const SIOCGIFHWADDR: u32 = 0x8927;
const SIOCGIFINDEX: u32 = 0x8933;
const SIOCGIFTXQLEN: u32 = 0x8942;
const SIOCETHTOOL: u32 = 0x8946;
const SIOCGIFMAP: u32 = 0x8970;
const SIOCSIFFLAGS: u32 = 0x8914;
/// Those that change something.
const SETTERS: &[u32] = &[
    SIOCSIFFLAGS,
    0x8916,
    0x8918,
    0x891A,
    0x891C,
    0x891E,
    SIOCSIFMTU,
    0x8923,
    0x8924,
    0x8937,
    0x8943,
    0x8971,
];
/// `IFF_UP | IFF_LOOPBACK | IFF_RUNNING`.
const FLAGS: u16 = 0x49;
/// `ARPHRD_LOOPBACK`.
const HARDWARE: u16 = 772;

/// Answers a request.
pub(super) fn ioctl(socket: &dyn Protocol, request: &Ioctl<'_>) -> Result<u64, Errno> {
    let int = |value: u32| {
        let to = UserAddr::new(request.arg);
        request.space.write_val(to, &value).map(|()| 0)
    };
    let clip = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX >> 1);
    match request.command {
        nr::FIONREAD => int(clip(socket.queued()?.0)),
        nr::TIOCOUTQ => int(clip(socket.queued()?.1)),
        0x8905 => int(u32::from(socket.at_mark()?)),
        // SIOCGSTAMP and SIOCGSTAMPNS: no message was stamped.
        0x8906 | 0x8907 => Err(Errno::ENOENT),
        SIOCGIFCONF => configuration(request),
        SIOCGIFNAME..=0x8971 => interface(socket, request),
        _ => Err(Errno::ENOTTY),
    }
}

/// `SIOCGIFCONF`: every interface that has an IPv4 address.
fn configuration(request: &Ioctl<'_>) -> Result<u64, Errno> {
    let at = UserAddr::new(request.arg);
    let [room, _, low, high]: [u32; 4] = request.space.read_val(at)?;
    let buffer = UserAddr::new(u64::from(low) | u64::from(high) << 32);
    let mut used = 0u32;
    if buffer.is_null() {
        used = 40;
    } else if room >= 40 {
        let mut raw = [0; IFREQ];
        put(&mut raw, 0, b"lo");
        put(&mut raw, NAME, &family::INET.to_le_bytes());
        put(&mut raw, NAME + 4, &[127, 0, 0, 1]);
        request.space.copy_out(buffer, &raw)?;
        used = 40;
    }
    request.space.write_val(at, &used)?;
    Ok(0)
}

fn put(raw: &mut [u8; IFREQ], at: usize, bytes: &[u8]) {
    if let Some(to) = raw.get_mut(at..at + bytes.len()) {
        to.copy_from_slice(bytes);
    }
}

/// A question about one interface, by name or number.
fn interface(socket: &dyn Protocol, request: &Ioctl<'_>) -> Result<u64, Errno> {
    let at = UserAddr::new(request.arg);
    let mut raw = [0; IFREQ];
    request.space.copy_in(&mut raw, at)?;
    let data = raw.get(NAME..NAME + 8).and_then(|raw| raw.try_into().ok());
    let data = u64::from_le_bytes(data.unwrap_or([0; 8]));
    let value = low32(data);
    if request.command == SIOCGIFNAME {
        if value != LOOPBACK_INDEX {
            return Err(Errno::ENODEV);
        }
        put(&mut raw, 0, b"lo\0");
        return request.space.copy_out(at, &raw).map(|()| 0);
    }
    let name = raw.get(..NAME).unwrap_or_default();
    let end = name.iter().position(|byte| matches!(byte, 0 | b':'));
    let ours = name.get(..end.unwrap_or(NAME)) == Some(b"lo");
    // Up is what the interface is; down it can't be taken. Nor is its MTU another.
    let as_it_is = match request.command {
        SIOCSIFFLAGS => value & 1 != 0,
        SIOCSIFMTU => value == LOOPBACK_MTU,
        _ => false,
    };
    if as_it_is && ours && request.privileged {
        return Ok(0);
    }
    if SETTERS.contains(&request.command) {
        return Err(if ours { Errno::EPERM } else { Errno::ENODEV });
    }
    let internet = matches!(
        request.command,
        SIOCGIFADDR | SIOCGIFDSTADDR | SIOCGIFBRDADDR | SIOCGIFNETMASK
    );
    if internet && socket.common().family() != family::INET {
        return Err(Errno::ENOTTY);
    }
    if !ours {
        return Err(Errno::ENODEV);
    }
    if request.command == SIOCETHTOOL {
        return ethtool(request, data);
    }
    answer(request.command, &mut raw)?;
    request.space.copy_out(at, &raw).map(|()| 0)
}

/// `SIOCETHTOOL`: there is a link (`ETHTOOL_GLINK`), and packets are stamped by software alone, with no clock of a
/// device's (`ETHTOOL_GET_TS_INFO`).
fn ethtool(request: &Ioctl<'_>, at: u64) -> Result<u64, Errno> {
    let space = request.space;
    let behind = UserAddr::new(at.wrapping_add(4));
    match space.read_val(UserAddr::new(at))? {
        0xAu32 => space.write_val(behind, &1u32)?,
        // All of `struct ethtool_ts_info` behind the command.
        0x41 => space.write_val(behind, &[0x1A, u32::MAX, 0, 0, 0, 0, 0, 0, 0, 0])?,
        _ => return Err(Errno::EOPNOTSUPP),
    }
    Ok(0)
}

fn answer(command: u32, raw: &mut [u8; IFREQ]) -> Result<(), Errno> {
    let mut data = [0u8; IFREQ - NAME];
    let mut fill = |at: usize, bytes: &[u8]| {
        if let Some(to) = data.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    };
    match command {
        SIOCGIFFLAGS => fill(0, &FLAGS.to_le_bytes()),
        SIOCGIFINDEX => fill(0, &LOOPBACK_INDEX.to_le_bytes()),
        SIOCGIFMTU => fill(0, &LOOPBACK_MTU.to_le_bytes()),
        SIOCGIFTXQLEN => fill(0, &1000u32.to_le_bytes()),
        SIOCGIFHWADDR => fill(0, &HARDWARE.to_le_bytes()),
        SIOCGIFMETRIC | SIOCGIFMAP => {}
        SIOCGIFADDR | SIOCGIFDSTADDR | SIOCGIFNETMASK | SIOCGIFBRDADDR => {
            fill(0, &family::INET.to_le_bytes());
            let address = match command {
                SIOCGIFNETMASK => [255, 0, 0, 0],
                SIOCGIFBRDADDR => [0; 4],
                _ => [127, 0, 0, 1],
            };
            fill(4, &address);
        }
        _ => return Err(Errno::ENOTTY),
    }
    put(raw, NAME, &data);
    Ok(())
}
