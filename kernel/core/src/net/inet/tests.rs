//! The table of options, its bounds, and what stands in heads.

use super::*;

#[test]
fn no_option_stands_twice() {
    for (at, row) in TABLE.iter().enumerate() {
        let (level, name) = (row.level, row.name);
        let found = find(level.into(), name.into()).expect("a row");
        assert_eq!(found.0, at, "{level} {name}");
    }
}

#[test]
fn bounds_hold() {
    let mut options = InetOptions::new();
    let set = |o: &mut InetOptions, level, name, v: i32| o.set(level, name, &v.to_le_bytes());
    assert_eq!(options.get(level::IP, ip::TTL), Ok(64));
    assert_eq!(set(&mut options, level::IP, ip::TTL, 0), Err(Errno::EINVAL));
    assert_eq!(
        set(&mut options, level::IP, ip::TTL, 256),
        Err(Errno::EINVAL)
    );
    assert_eq!(set(&mut options, level::IP, ip::TTL, 9), Ok(()));
    assert_eq!(options.hops(false), 9);
    assert_eq!(set(&mut options, level::TCP, tcp::NODELAY, 7), Ok(()));
    assert_eq!(options.get(level::TCP, tcp::NODELAY), Ok(1));
    assert_eq!(options.set(level::IP, ip::TOS, &[16]), Ok(()));
    assert_eq!(options.service(false), 16);
    assert_eq!(options.set(level::TCP, 4, &[16]), Err(Errno::EINVAL));
    for (seconds, kept) in [(-1, 0), (1, 1), (2, 3), (8, 15), (60, 63), (200, 247)] {
        let name = tcp::DEFER_ACCEPT;
        assert_eq!(set(&mut options, level::TCP, name, seconds), Ok(()));
        assert_eq!(options.get(level::TCP, name), Ok(kept));
    }
    assert_eq!(
        set(&mut options, level::TCP, 99, 1),
        Err(Errno::ENOPROTOOPT)
    );
}

#[test]
fn heads_take_whole_words_and_what_ends_in_them() {
    let mut heads = HeadOptions::new();
    assert_eq!(heads.set(&[1, 1, 1, 1, 1]), Ok(()));
    assert_eq!(heads.bytes(), [1, 1, 1, 1, 1, 0, 0, 0]);
    assert_eq!(heads.set(&[7, 7, 4, 0, 0, 0, 0, 0]), Ok(()));
    for bad in [&[7, 40, 4][..], &[7, 2], &[7], &[1; 41]] {
        assert_eq!(heads.set(bad), Err(Errno::EINVAL), "{bad:?}");
    }
    assert_eq!(heads.bytes(), [7, 7, 4, 0, 0, 0, 0, 0]);
    assert_eq!(heads.set(&[]), Ok(()));
    assert_eq!(heads.bytes(), []);
}
