//! Credentials as the man pages have them change.

use super::ids::KEEP;
use super::*;
use alloc::vec;

#[test]
fn root_drops_to_a_user_for_good() {
    let mut cred = Credentials::new(0, 0);
    cred.set_uid(1000).unwrap();
    assert_eq!(cred.uids, Ids::all(1000));
    assert_eq!(cred.caps.permitted, CapSet::EMPTY);
    assert_eq!(cred.set_uid(0), Err(Errno::EPERM));
    assert_eq!(cred.set_resuid([KEEP, 0, KEEP]), Err(Errno::EPERM));
}

#[test]
fn saved_id_brings_rights_back() {
    let mut cred = Credentials::new(0, 0);
    cred.set_resuid([KEEP, 1000, KEEP]).unwrap();
    assert!(!cred.has(abi::CAP_KILL));
    assert_eq!(cred.caps.permitted, CapSet::FULL);
    cred.set_resuid([KEEP, 0, KEEP]).unwrap();
    assert!(cred.has(abi::CAP_KILL));
}

#[test]
fn setreuid_swaps() {
    let mut cred = Credentials::new(1000, 1000);
    cred.uids.effective = 2000;
    cred.set_reuid(2000, 1000).unwrap();
    assert_eq!((cred.uids.real, cred.uids.effective), (2000, 1000));
    assert_eq!(cred.uids.saved, 1000);
    assert_eq!(cred.set_reuid(5, KEEP), Err(Errno::EPERM));
}

#[test]
fn fsuid_takes_file_capabilities_along() {
    let mut cred = Credentials::new(0, 0);
    assert_eq!(cred.set_fsuid(1000), 0);
    assert!(!cred.has(abi::CAP_DAC_OVERRIDE));
    assert!(cred.has(abi::CAP_KILL));
    assert_eq!(cred.set_fsuid(0), 1000);
    assert!(cred.has(abi::CAP_DAC_OVERRIDE));
}

#[test]
fn exec_of_setuid_root() {
    let user = Credentials::new(1000, 1000);
    let of_root = FileRights {
        uid: Some(0),
        ..FileRights::default()
    };
    let (new, effect) = user.for_exec(&of_root, false, &|| false).unwrap();
    assert!(effect.secure && effect.private);
    assert_eq!(new.uids.real, 1000);
    assert_eq!(new.uids.saved, 0);
    assert!(new.has(abi::CAP_SETUID));
    let (kept, effect) = user.for_exec(&of_root, false, &|| true).unwrap();
    assert!(effect.secure && !effect.private);
    assert_eq!((kept.uids, kept.caps), (user.uids, user.caps));
    let (kept, effect) = user.for_exec(&of_root, true, &|| false).unwrap();
    assert!(!effect.secure && !effect.private);
    assert_eq!(kept.uids, user.uids);
    let (plain, effect) = user
        .for_exec(&FileRights::default(), false, &|| true)
        .unwrap();
    assert!(!effect.secure);
    assert_eq!(plain.caps.permitted, CapSet::EMPTY);
}

#[test]
fn exec_of_a_file_with_capabilities() {
    let mut value = [0; 20];
    value[..4].copy_from_slice(&0x0200_0001u32.to_le_bytes());
    value[4] = 1 << abi::CAP_KILL;
    let caps = FileCaps::parse(&value);
    assert!(caps.is_some_and(|caps| caps.effective));
    let file = FileRights {
        caps,
        ..FileRights::default()
    };
    let user = Credentials::new(1000, 1000);
    let (new, effect) = user.for_exec(&file, false, &|| false).unwrap();
    assert!(effect.secure && effect.private && new.has(abi::CAP_KILL));
    assert_eq!(new.caps.permitted, CapSet::EMPTY.with(abi::CAP_KILL));
    let (new, _) = user.for_exec(&file, true, &|| false).unwrap();
    assert_eq!(new.caps.permitted, CapSet::EMPTY);
    let mut bounded = user;
    bounded.caps.bounding = CapSet::EMPTY;
    let refused = bounded.for_exec(&file, false, &|| false);
    assert_eq!(refused.err(), Some(Errno::EPERM));
    assert_eq!(FileCaps::parse(&value[..12]), None);
    value[3] = 9;
    assert_eq!(FileCaps::parse(&value), None);
}

#[test]
fn capset_only_shrinks() {
    let mut cred = Credentials::new(0, 0);
    let one = CapSet::EMPTY.with(abi::CAP_KILL);
    cred.set_caps(one, one, CapSet::EMPTY).unwrap();
    assert_eq!(
        cred.set_caps(one, CapSet::FULL, CapSet::EMPTY),
        Err(Errno::EPERM)
    );
    assert_eq!(cred.raise_ambient(abi::CAP_KILL), Err(Errno::EPERM));
    cred.set_caps(one, one, one).unwrap();
    cred.raise_ambient(abi::CAP_KILL).unwrap();
    assert!(cred.caps.ambient.contains(abi::CAP_KILL));
}

#[test]
fn groups_and_signals() {
    let mut cred = Credentials::new(0, 0);
    cred.set_groups(vec![30, 10, 20]).unwrap();
    assert!(cred.in_group(20) && cred.in_group(0) && !cred.in_group(5));
    let user = Credentials::new(1000, 1000);
    assert!(cred.may_signal(&user) && !user.may_signal(&cred));
    assert!(user.may_signal(&Credentials::new(1000, 5)));
}
