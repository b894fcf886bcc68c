//! What /proc/net/snmp counts of connections and datagrams. Others may be counted at the same time.
use crate::out::say;
use crate::sys::{file, net};
use libc::{AF_INET, AF_INET6, MSG_DONTWAIT, MSG_PEEK, SOCK_DGRAM, SOCK_STREAM};
use std::collections::BTreeMap;
use std::ffi::CStr;

/// Every count by its name.
fn counts() -> BTreeMap<String, i64> {
    let text = std::fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let mut all = BTreeMap::new();
    for pair in lines.chunks(2) {
        let [names, values] = pair else { continue };
        let (protocol, names) = names.split_once(": ").unwrap_or_default();
        let values = values.split_whitespace().skip(1);
        for (name, value) in names.split_whitespace().zip(values) {
            all.insert(format!("{protocol}.{name}"), value.parse().unwrap_or(-1));
        }
    }
    all
}

fn compare(label: &str, before: &BTreeMap<String, i64>, least: &[(&str, i64)]) {
    let after = counts();
    for (name, by) in least {
        let grown = after.get(*name).zip(before.get(*name)).map(|(after, before)| after - before >= *by);
        say!("{label}: {name} {grown:?}");
    }
}

/// Whether nothing was counted of IPv4's datagrams, one of the times that it is done at least.
fn is_uncounted(what: &dyn Fn()) -> bool {
    let udp = || counts().into_iter().filter(|(name, _)| name.starts_with("Udp.")).collect::<Vec<_>>();
    (0..50).any(|_| {
        let before = udp();
        what();
        before == udp()
    })
}

/// Looking isn't receiving, and other protocols aren't UDP over IPv4.
fn uncounted() {
    let r = net::open(AF_INET, SOCK_DGRAM);
    let _ = net::bind(r, &net::loopback(false, 0));
    let s = net::open(AF_INET, SOCK_DGRAM);
    say!("{:?}", net::send_to(s, b"one", 0, &net::name(r).unwrap_or_default()));
    say!("looked {}", is_uncounted(&|| drop(net::text(r, 10, MSG_DONTWAIT | MSG_PEEK))));
    let before = counts();
    say!("{}", net::text(r, 10, MSG_DONTWAIT));
    compare("received", &before, &[("Udp.InDatagrams", 1)]);
    let r = net::open(AF_INET6, SOCK_DGRAM);
    let _ = net::bind(r, &net::loopback(true, 0));
    let addr = net::name(r).unwrap_or_default();
    let s = net::open(AF_INET6, SOCK_DGRAM);
    let both = || {
        let _ = net::send_to(s, b"one", 0, &addr);
        drop(net::text(r, 10, MSG_DONTWAIT));
    };
    say!("IPv6 {}", is_uncounted(&both));
    let _ = file::close(r);
    say!("IPv6, to nobody {}", is_uncounted(&|| _ = net::send_to(s, b"one", 0, &addr)));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let known = counts();
    for name in ["Tcp.RtoAlgorithm", "Tcp.MaxConn", "Tcp.RetransSegs", "Udp.RcvbufErrors"] {
        say!("{name} {:?}", known.get(name).filter(|_| !name.ends_with('s')));
    }
    let l = net::open(AF_INET, SOCK_STREAM);
    let _ = net::bind(l, &net::loopback(false, 0));
    let addr = net::name(l).unwrap_or_default();
    let c = net::open(AF_INET, SOCK_STREAM);
    say!("{:?}", net::connect(c, &addr));
    compare("refused", &known, &[("Tcp.ActiveOpens", 1), ("Tcp.AttemptFails", 1), ("Tcp.OutRsts", 1)]);
    let before = counts();
    let _ = net::listen(l, 1);
    say!("{:?}", net::connect(c, &addr));
    let (a, _) = net::accept(l, 0).unwrap_or_default();
    compare("made", &before, &[("Tcp.ActiveOpens", 1), ("Tcp.PassiveOpens", 1), ("Tcp.CurrEstab", 2)]);
    say!("{:?}", net::send(c, b"unread", 0));
    let _ = file::close(a);
    compare("reset", &before, &[("Tcp.EstabResets", 2), ("Tcp.OutRsts", 1)]);
    let before = counts();
    let r = net::open(AF_INET, SOCK_DGRAM);
    let _ = net::bind(r, &net::loopback(false, 0));
    let addr = net::name(r).unwrap_or_default();
    let s = net::open(AF_INET, SOCK_DGRAM);
    say!("{:?} {:?}", net::send_to(s, b"one", 0, &addr), net::send_to(s, b"two", 0, &addr));
    say!("{}", net::text(r, 10, MSG_DONTWAIT));
    let _ = file::close(r);
    say!("{:?}", net::send_to(s, b"three", 0, &addr));
    compare("sent", &before, &[("Udp.OutDatagrams", 3), ("Udp.InDatagrams", 1), ("Udp.NoPorts", 1)]);
    uncounted();
    0
}
