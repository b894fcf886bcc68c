//! Who may have which port, and who gets what.

use super::*;

fn claim(text: &str, port: u16) -> Claim {
    let ip: IpAddr = text.parse().expect("an address");
    Claim {
        local: Endpoint { ip, port },
        v6: ip.is_ipv6(),
        v6_only: false,
        peer: None,
        reuse_addr: false,
        reuse_port: false,
        uid: 0,
        listening: false,
    }
}

#[test]
fn ports_that_not_everybody_may_have_are_never_chosen() {
    for (first, last) in [
        (0, 60_999),
        (1, 60_999),
        (1023, 1024),
        (2000, 1999),
        (1024, 65_536),
    ] {
        assert_eq!(set_ephemeral(first, last), Err(Errno::EINVAL));
    }
    assert_eq!(ephemeral(), (32_768, 60_999));
}

#[test]
fn one_address_has_one_owner() {
    let mut table = PortTable::new();
    let mut next = 0;
    let mut put = |claim: Claim| {
        next += 1;
        table.claim(next, claim, next, 0)
    };
    assert_eq!(put(claim("127.0.0.1", 80)), Ok(()));
    assert_eq!(put(claim("127.0.0.1", 80)), Err(Errno::EADDRINUSE));
    assert_eq!(put(claim("0.0.0.0", 80)), Err(Errno::EADDRINUSE));
    assert_eq!(put(claim("::", 80)), Err(Errno::EADDRINUSE));
    assert_eq!(put(claim("127.0.0.2", 80)), Ok(()));
    assert_eq!(put(claim("::1", 80)), Ok(()));
    assert_eq!(put(claim("127.0.0.1", 81)), Ok(()));
    let only = Claim {
        v6_only: true,
        ..claim("::", 81)
    };
    assert_eq!(put(only), Ok(()));
}

#[test]
fn reuse_shares_except_with_listeners() {
    let mut table = PortTable::new();
    let reuse = Claim {
        reuse_addr: true,
        ..claim("0.0.0.0", 80)
    };
    assert_eq!(table.claim(1, reuse, 1, 0), Ok(()));
    assert_eq!(table.claim(2, reuse, 2, 0), Ok(()));
    assert!(table.change(1, 80, |claim| claim.listening = true));
    assert_eq!(table.claim(3, reuse, 3, 0), Err(Errno::EADDRINUSE));
    let ports = Claim {
        reuse_port: true,
        listening: true,
        ..claim("0.0.0.0", 90)
    };
    assert_eq!(table.claim(4, ports, 4, 0), Ok(()));
    assert_eq!(table.claim(5, ports, 5, 0), Ok(()));
    let other = Claim { uid: 7, ..ports };
    assert_eq!(table.claim(6, other, 6, 0), Err(Errno::EADDRINUSE));
    let to = claim("127.0.0.1", 90).local;
    let mut seen = [0; 7];
    for _ in 0..10 {
        let found = *table.find(to, None, true, false).expect("a listener");
        seen[found] += 1;
    }
    assert_eq!((seen[4], seen[5]), (5, 5));
}

#[test]
fn closed_connections_keep_the_port_for_a_minute() {
    let mut table = PortTable::new();
    assert_eq!(table.claim(1, claim("127.0.0.1", 80), 1, 0), Ok(()));
    assert_eq!(table.release(1, 80, 0, Some(60)), Some(1));
    let again = claim("127.0.0.1", 80);
    assert_eq!(table.claim(2, again, 2, 59), Err(Errno::EADDRINUSE));
    assert_eq!(table.claim(2, again, 2, 60), Ok(()));
}

#[test]
fn the_nearest_gets_it() {
    let mut table = PortTable::new();
    let reuse = |text| Claim {
        reuse_addr: true,
        ..claim(text, 53)
    };
    for (id, text) in ["0.0.0.0", "::", "127.0.0.1"].into_iter().enumerate() {
        table.enter(id as u64, reuse(text), id).expect("room");
    }
    let to = |text| claim(text, 53).local;
    assert_eq!(table.find(to("127.0.0.1"), None, false, true), Some(&2));
    assert_eq!(table.find(to("127.0.0.9"), None, false, true), Some(&0));
    assert_eq!(table.find(to("::1"), None, false, true), Some(&1));
    let peer = claim("127.0.0.1", 9).local;
    let connected = Claim {
        peer: Some(peer),
        ..reuse("127.0.0.1")
    };
    table.enter(9, connected, 9).expect("room");
    assert_eq!(
        table.find(to("127.0.0.1"), Some(peer), false, true),
        Some(&9)
    );
    assert_eq!(table.find(to("127.0.0.1"), None, false, true), Some(&2));
}

#[test]
fn ports_run_out() {
    let mut table = PortTable::new();
    let any = claim("127.0.0.1", 0);
    for id in 0..28_232 {
        let seed = 12_345 + u32::try_from(id).expect("small");
        let port = table.free_port(id, &any, seed, 0).expect("a port");
        let mut claim = any;
        claim.local.port = port;
        assert_eq!(table.claim(id, claim, (), 0), Ok(()));
    }
    assert_eq!(table.free_port(u64::MAX, &any, 1, 0), None);
}
