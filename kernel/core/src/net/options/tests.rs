//! Options with their bounds.

use super::*;

const NOBODY: Rights = Rights {
    admin: false,
    net_raw: false,
    inet: true,
    raw: false,
    unix: false,
};

#[test]
fn buffers_are_doubled_and_bounded() {
    let mut options = Options::new();
    let mut try_one = |number: i32| {
        options
            .set(so::SNDBUF, &number.to_le_bytes(), NOBODY)
            .expect("set");
        options.get(so::SNDBUF).expect("known")
    };
    assert_eq!(try_one(0), Value::Int(4608));
    assert_eq!(try_one(5000), Value::Int(10_000));
    assert_eq!(try_one(10_000_000), Value::Int(425_984));
}

#[test]
fn times_have_bounds() {
    let time = |s: i64, us: i64| [s.to_le_bytes(), us.to_le_bytes()].concat();
    let mut options = Options::new();
    let mut set = |value: &[u8]| options.set(so::RCVTIMEO, value, NOBODY);
    assert_eq!(set(&time(1, 1_000_000)), Err(Errno::EDOM));
    assert_eq!(set(&time(1, -1)), Err(Errno::EDOM));
    assert_eq!(set(&[0; 8]), Err(Errno::EINVAL));
    assert_eq!(set(&time(2, 5)), Ok(()));
    assert_eq!(options.rcvtimeo, 2_004_000_000);
}

#[test]
fn what_needs_rights_is_refused() {
    let mut options = Options::new();
    let one = 1i32.to_le_bytes();
    assert_eq!(options.set(so::DEBUG, &one, NOBODY), Err(Errno::EACCES));
    assert_eq!(options.set(so::MARK, &one, NOBODY), Err(Errno::EPERM));
    assert_eq!(options.set(so::TYPE, &one, NOBODY), Err(Errno::ENOPROTOOPT));
    assert_eq!(
        options.set(so::REUSEADDR, &one[..3], NOBODY),
        Err(Errno::EINVAL)
    );
    assert_eq!(options.set(so::REUSEADDR, &one, NOBODY), Ok(()));
    assert!(options.has(so::REUSEADDR) && !options.has(so::BROADCAST));
}
