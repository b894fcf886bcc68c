//! `/proc/net` and `/proc/sys/net`: the tables of sockets and of the one interface (proc(5)).

/// Appends formatted text to a [`Text`].
macro_rules! put {
    ($out:expr, $($format:tt)*) => { $out.put(format_args!($($format)*)) };
}

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::errno::Errno;
use kiln_core::net::addr::Endpoint;
use kiln_core::net::ports;
use kiln_core::num::u64_of;

use super::common::Common;
use super::inet::address::{Address, TCP_PORTS, UDP_PORTS};
use super::inet::tcp::TcpSock;
use super::inet::udp::DgramSock;
use super::inet::{counts, raw};
use super::{packet, unix};
use crate::arch::time::now_ns;
use crate::fs::memory::try_push;
use crate::fs::procfs::{Content, INT_MAX, SystemFile, Text, number_file, pair};

/// Bytes of a line of IPv4's tables, padded with blanks, and of their headings.
const TCP_LINE: usize = 149;
const UDP_LINE: usize = 127;

/// Kept for who asks: nothing goes on to anywhere else, and TCP has no segments that could be lost.
static FORWARD: AtomicU64 = AtomicU64::new(0);
static RECOVERY: AtomicU64 = AtomicU64::new(1);
static SACK: AtomicU64 = AtomicU64::new(1);

pub(crate) const FILES: &[SystemFile] = &[
    SystemFile::readable("net/dev", dev),
    SystemFile::fixed(
        "net/if_inet6",
        "00000000000000000000000000000001 01 80 10 80       lo\n",
    ),
    SystemFile::fixed(
        "net/netlink",
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n",
    ),
    SystemFile::readable("net/raw", |out| raw_sockets(out, false)),
    SystemFile::readable("net/raw6", |out| raw_sockets(out, true)),
    SystemFile::readable("net/route", |out| {
        let head =
            b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
        heading(out, head, 127)
    }),
    SystemFile::fixed(
        "net/ipv6_route",
        "00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000001 00000000 80200001       lo\n",
    ),
    SystemFile::fixed(
        "net/arp",
        "IP address       HW type     Flags       HW address            Mask     Device\n",
    ),
    SystemFile::fixed(
        "net/packet",
        "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n",
    ),
    SystemFile::readable("net/snmp", snmp),
    SystemFile::readable("net/sockstat", sockstat),
    SystemFile::readable("net/tcp", |out| tcp(out, false)),
    SystemFile::readable("net/tcp6", |out| tcp(out, true)),
    SystemFile::readable("net/udp", |out| udp(out, false)),
    SystemFile::readable("net/udp6", |out| udp(out, true)),
    SystemFile::readable("net/unix", unix_sockets),
    SystemFile::fixed("sys/net/core/optmem_max", "131072\n"),
    SystemFile::fixed("sys/net/core/rmem_default", "212992\n"),
    SystemFile::fixed("sys/net/core/rmem_max", "212992\n"),
    SystemFile::fixed("sys/net/core/somaxconn", "4096\n"),
    SystemFile::fixed("sys/net/core/wmem_default", "212992\n"),
    SystemFile::fixed("sys/net/core/wmem_max", "212992\n"),
    number_file!("sys/net/ipv4/ip_forward", FORWARD, 0, INT_MAX),
    SystemFile {
        path: "sys/net/ipv4/ip_local_port_range",
        mode: 0o644,
        text: Content::Told(|out| {
            let (first, last) = ports::ephemeral();
            put!(out, "{}\t{}\n", u32::from(first), u32::from(last))
        }),
        write: Some(|text| {
            let (first, last) = ports::ephemeral();
            let [first, last] = pair(text, [first.into(), last.into()])?;
            ports::set_ephemeral(first, last)
        }),
    },
    SystemFile::fixed("sys/net/ipv4/ip_unprivileged_port_start", "1024\n"),
    SystemFile {
        path: "sys/net/ipv4/ping_group_range",
        mode: 0o644,
        text: Content::Told(raw::show_groups),
        write: Some(raw::set_groups),
    },
    SystemFile::fixed("sys/net/ipv4/tcp_congestion_control", "cubic\n"),
    SystemFile::fixed(
        "sys/net/ipv4/tcp_allowed_congestion_control",
        "reno cubic\n",
    ),
    SystemFile::fixed(
        "sys/net/ipv4/tcp_available_congestion_control",
        "reno cubic\n",
    ),
    SystemFile::fixed("sys/net/ipv4/tcp_fin_timeout", "60\n"),
    SystemFile::fixed("sys/net/ipv4/tcp_max_syn_backlog", "4096\n"),
    number_file!("sys/net/ipv4/tcp_recovery", RECOVERY, 0, 255),
    SystemFile::fixed("sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
    number_file!("sys/net/ipv4/tcp_sack", SACK, 0, 255),
    SystemFile::fixed("sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n"),
    SystemFile::fixed("sys/net/ipv6/bindv6only", "0\n"),
    SystemFile::fixed("sys/net/ipv6/conf/all/disable_ipv6", "0\n"),
    SystemFile::fixed("sys/net/ipv6/conf/lo/disable_ipv6", "0\n"),
    SystemFile::fixed("sys/net/unix/max_dgram_qlen", "10\n"),
];

fn heading(out: &mut Text, text: &[u8], width: usize) -> Result<(), Errno> {
    let text = core::str::from_utf8(text).unwrap_or_default();
    put!(out, "{text:<width$}\n")
}

const TCP_HEAD: &[u8] = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const TCP6_HEAD: &[u8] = b"  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const UDP_HEAD: &[u8] = b"   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
const UDP6_HEAD: &[u8] = b"  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";

fn dev(out: &mut Text) -> Result<(), Errno> {
    out.bytes(b"Inter-|   Receive                                                |  Transmit\n")?;
    out.bytes(b" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n")?;
    out.bytes(b"    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n")
}

/// An address as the tables show it: words in the machine's order, then the port.
fn shown(out: &mut Text, end: Endpoint, v6: bool) -> Result<(), Errno> {
    let word = |octets: [u8; 4]| u32::from_le_bytes(octets);
    match (end.ip, v6) {
        (IpAddr::V4(ip), false) => put!(out, "{:08X}", word(ip.octets()))?,
        _ => {
            for octets in end.as_v6().octets().as_chunks::<4>().0 {
                put!(out, "{:08X}", word(*octets))?;
            }
        }
    }
    put!(out, ":{:04X}", end.port)
}

/// What a line of a table tells.
struct Row {
    address: Address,
    state: u8,
    queues: (usize, usize),
    ino: u64,
}

impl Row {
    fn of(common: &Common, address: Address, state: u8, queues: (usize, usize)) -> Self {
        Self {
            address,
            state,
            queues,
            ino: common.ino.load(Ordering::Relaxed),
        }
    }

    fn write(&self, out: &mut Text, index: usize, digits: usize) -> Result<(), Errno> {
        let v6 = self.address.v6;
        put!(out, "{index:>digits$}: ")?;
        shown(out, self.address.local, v6)?;
        out.bytes(b" ")?;
        let peer = self.address.peer.unwrap_or(Endpoint::unspecified(v6));
        shown(out, peer, v6)?;
        let (sent, waiting) = self.queues;
        put!(
            out,
            " {:02X} {sent:08X}:{waiting:08X} 00:00000000 00000000 {:>5}        0 {}",
            self.state,
            self.address.uid,
            self.ino
        )
    }
}

/// Ends a line at its width.
fn finish(out: &mut Text, line: &Text, v6: bool, width: usize) -> Result<(), Errno> {
    let text = core::str::from_utf8(line.as_bytes()).unwrap_or_default();
    match v6 {
        true => put!(out, "{text}\n"),
        false => put!(out, "{text:<width$}\n"),
    }
}

/// The sockets of TCP that have a port.
fn tcp_sockets() -> Result<Vec<Weak<TcpSock>>, Errno> {
    let mut all = Vec::new();
    for (_, owner) in TCP_PORTS.lock().iter(now_ns()) {
        if let Some(owner) = owner {
            try_push(&mut all, owner.clone())?;
        }
    }
    Ok(all)
}

fn number(out: &mut Text, number: u64) -> Result<(), Errno> {
    put!(out, " {number}")
}

/// What is counted of TCP and UDP, and how many connections there are (netstat(8)).
fn snmp(out: &mut Text) -> Result<(), Errno> {
    let all = tcp_sockets()?;
    let all = all.iter().filter_map(Weak::upgrade);
    let connected = all
        .filter(|one| matches!(one.state_number(), 1 | 8))
        .count();
    out.bytes(b"Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\nTcp: 1 200 120000 -1")?;
    number(out, counts::ACTIVE_OPENS.get())?;
    number(out, counts::PASSIVE_OPENS.get())?;
    number(out, counts::ATTEMPT_FAILS.get())?;
    number(out, counts::ESTAB_RESETS.get())?;
    number(out, u64_of(connected))?;
    out.bytes(b" 0 0 0 0")?;
    number(out, counts::OUT_RSTS.get())?;
    out.bytes(b" 0\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\nUdp:")?;
    number(out, counts::IN_DATAGRAMS.get())?;
    number(out, counts::NO_PORTS.get())?;
    number(out, counts::NO_ROOM.get())?;
    number(out, counts::OUT_DATAGRAMS.get())?;
    number(out, counts::NO_ROOM.get())?;
    out.bytes(b" 0 0 0 0\n")
}

fn tcp(out: &mut Text, v6: bool) -> Result<(), Errno> {
    match v6 {
        true => out.bytes(TCP6_HEAD)?,
        false => heading(out, TCP_HEAD, TCP_LINE)?,
    }
    let mut rows = Vec::new();
    for socket in tcp_sockets()?.iter().filter_map(Weak::upgrade) {
        let (state, address) = (socket.state_number(), socket.ends());
        // A port alone is nothing to show: the socket isn't in any state.
        if address.v6 != v6 || state == 7 {
            continue;
        }
        let queues = match state {
            10 => (0, socket.waiting().0),
            _ => socket.queue_lengths(),
        };
        let row = Row::of(socket.shared(), address, state, queues);
        try_push(&mut rows, row)?;
    }
    for (index, row) in rows.iter().enumerate() {
        let mut line = Text::default();
        row.write(&mut line, index, 4)?;
        match row.state {
            10 => line.bytes(b" 1 0000000000000000 100 0 0 10 0")?,
            _ => line.bytes(b" 1 0000000000000000 20 0 0 10 -1")?,
        }
        finish(out, &line, v6, TCP_LINE)?;
    }
    Ok(())
}

fn udp(out: &mut Text, v6: bool) -> Result<(), Errno> {
    let mut all = Vec::new();
    for (_, owner) in UDP_PORTS.lock().iter(now_ns()) {
        if let Some(owner) = owner.and_then(alloc::sync::Weak::upgrade) {
            try_push(&mut all, owner)?;
        }
    }
    match v6 {
        true => out.bytes(UDP6_HEAD)?,
        false => heading(out, UDP_HEAD, UDP_LINE)?,
    }
    datagrams(out, v6, &all, (5, UDP_LINE))
}

fn raw_sockets(out: &mut Text, v6: bool) -> Result<(), Errno> {
    match v6 {
        true => out.bytes(UDP6_HEAD)?,
        // One blank less than UDP's, and nothing behind it.
        false => heading(out, UDP_HEAD.get(1..).unwrap_or_default(), 0)?,
    }
    datagrams(out, v6, &raw::list()?, (4, 0))
}

fn datagrams(
    out: &mut Text,
    v6: bool,
    all: &[Arc<DgramSock>],
    (digits, width): (usize, usize),
) -> Result<(), Errno> {
    let mut index = 0;
    for socket in all {
        let address = socket.ends();
        if address.v6 != v6 {
            continue;
        }
        let state = if address.peer.is_some() { 1 } else { 7 };
        let queues = (0, socket.held());
        let mut line = Text::default();
        let row = Row::of(socket.shared(), address, state, queues);
        row.write(&mut line, index, digits)?;
        put!(line, " 2 0000000000000000 {}", socket.drops())?;
        finish(out, &line, v6, width)?;
        index += 1;
    }
    Ok(())
}

fn unix_sockets(out: &mut Text) -> Result<(), Errno> {
    out.bytes(b"Num       RefCount Protocol Flags    Type St Inode Path\n")?;
    for socket in unix::list()? {
        let references = Arc::strong_count(&socket);
        let (flags, kind, state, ino, name) = socket.describe_line();
        put!(
            out,
            "0000000000000000: {references:08X} 00000000 {flags:08X} {kind:04X} {state:02X} {ino:>5}"
        )?;
        if !name.is_empty() {
            out.bytes(b" ")?;
            out.bytes(&name)?;
        }
        out.bytes(b"\n")?;
    }
    Ok(())
}

fn sockstat(out: &mut Text) -> Result<(), Errno> {
    let (tcp, udp) = (TCP_PORTS.lock().len(), UDP_PORTS.lock().len());
    let used = unix::list()?.len() + tcp + udp;
    let pages = packet::in_use() / kiln_core::addr::PAGE_SIZE;
    put!(out, "sockets: used {used}\n")?;
    put!(
        out,
        "TCP: inuse {tcp} orphan 0 tw 0 alloc {tcp} mem {pages}\n"
    )?;
    put!(out, "UDP: inuse {udp} mem 0\nUDPLITE: inuse 0\n")?;
    let raw = raw::list()?.len();
    put!(out, "RAW: inuse {raw}\nFRAG: inuse 0 memory 0\n")
}
