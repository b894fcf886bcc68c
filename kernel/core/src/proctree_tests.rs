//! Tests of [`ProcessTree`]: numbers, groups, sessions, orphans.

use super::*;

type Tree = ProcessTree<u32, u32>;

fn fork(tree: &mut Tree, parent: u32) -> u32 {
    let pid = tree.add_thread(None, Ok).unwrap();
    tree.add_process(pid, parent, pid).unwrap();
    pid
}

fn reap(tree: &mut Tree, pid: u32) {
    tree.hand_over_children(pid, 1, |_, _| {});
    tree.remove_thread(pid);
    tree.remove_process(pid);
}

/// PID 1, and a shell as PID 2 that leads a session.
fn shell() -> Tree {
    let mut tree = Tree::new();
    assert_eq!(fork(&mut tree, 0), 1);
    assert_eq!(fork(&mut tree, 1), 2);
    tree.start_session(2).unwrap();
    tree
}

#[test]
fn numbers_come_round_and_skip_the_used() {
    let mut tree = shell();
    for expected in 3..PID_MAX {
        let pid = fork(&mut tree, 2);
        assert_eq!(pid, expected);
        if expected != 400 {
            reap(&mut tree, pid);
        }
    }
    assert_eq!(fork(&mut tree, 2), 300);
    // A group outlives its leader, and so does the number.
    let leader = fork(&mut tree, 2);
    assert_eq!(leader, 301);
    let member = fork(&mut tree, leader);
    tree.set_group(leader, 0, 0).unwrap();
    tree.set_group(leader, 302, 301).unwrap();
    reap(&mut tree, leader);
    assert_eq!(tree.standing(member).map(|at| at.parent), Some(1));
    assert!(tree.is_used(301));
    reap(&mut tree, member);
    assert!(!tree.is_used(301));
}

#[test]
fn setpgid_rules() {
    let mut tree = shell();
    let (a, b) = (fork(&mut tree, 2), fork(&mut tree, 2));
    assert_eq!(
        tree.set_group(2, 0, 0),
        Err(Errno::EPERM),
        "a session leader"
    );
    assert_eq!(tree.set_group(2, 3, -1), Err(Errno::EINVAL));
    assert_eq!(tree.set_group(2, 99, 0), Err(Errno::ESRCH));
    assert_eq!(tree.set_group(a, 4, 0), Err(Errno::ESRCH), "not its child");
    assert_eq!(tree.set_group(2, 3, 77), Err(Errno::EPERM), "no such group");
    tree.set_group(2, 3, 0).unwrap();
    tree.set_group(2, 4, 3).unwrap();
    assert_eq!(tree.standing(b).map(|at| at.group), Some(a));
    tree.mark_executed(b);
    assert_eq!(tree.set_group(2, 4, 4), Err(Errno::EACCES));
    let c = fork(&mut tree, a);
    tree.start_session(c).unwrap();
    assert_eq!(
        tree.set_group(a, 5, 3),
        Err(Errno::EPERM),
        "another session"
    );
    assert_eq!(tree.start_session(c), Err(Errno::EPERM));
    assert_eq!(tree.start_session(a), Err(Errno::EPERM), "leads a group");
}

#[test]
fn orphaned_groups() {
    let mut tree = shell();
    let job = fork(&mut tree, 2);
    tree.set_group(2, 3, 0).unwrap();
    let child = fork(&mut tree, job);
    assert!(!tree.is_orphaned(job, None));
    assert!(
        tree.is_orphaned(job, Some(job)),
        "only the child would be left"
    );
    assert!(
        tree.is_orphaned(2, None),
        "the session leader's parent is outside"
    );
    assert_eq!(tree.orphaned_by(job), Ok(std::vec![job]));
    assert_eq!(tree.orphaned_by(2), Ok(std::vec![job]));
    assert_eq!(tree.reaper_of(child, |pid| *pid == 2), 2);
    assert_eq!(tree.reaper_of(child, |_| false), 1);
    reap(&mut tree, job);
    assert!(tree.is_orphaned(job, None));
    assert_eq!(tree.standing(child).map(|at| at.parent), Some(1));
}
