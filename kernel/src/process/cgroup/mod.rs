//! Control groups (cgroups(7), version 2): a tree of [`Cgroup`]s in which every process has its place, with a limit of
//! threads (`pids`), times, freezing and killing of whole branches.
//!
//! [`tree`] is the file system `cgroup2`, [`files`] what its files tell and take, [`members`] who is in which group
//! and how they move, [`freeze`] how they stand still.
//!
//! The root has no counts: a process in it (`None` in its [`Group`]) costs nothing here. Below it counts are kept for
//! a group and all below it together, so a change goes up the line to the root.
//!
//! Lock order: [`MOVING`], a process's group, [`TREE`], a group's lists.

mod files;
mod freeze;
mod members;
mod tree;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use kiln_core::cgroup::{MAX, PIDS};
use kiln_core::errno::Errno;

use crate::fs::Inode;
use crate::fs::memory::try_push;
use crate::fs::text::Changes;
use crate::sched::Mutex;
use crate::sync::{Once, SpinLock};

pub(super) use files::SYSTEM_FILES;
pub(super) use freeze::{freeze_here, is_to_freeze, look_again, stand_still, stands_no_more};
pub(super) use members::{announce, destination, enter, leave, tell};
pub(super) use tree::TYPE;

/// Guards who is where: counts, removal and moves.
static TREE: SpinLock<()> = SpinLock::new(());

/// Held while a process moves.
static MOVING: Mutex<()> = Mutex::new(());

/// A control group.
pub(crate) struct Cgroup {
    /// `None`: the root.
    parent: Option<Arc<Cgroup>>,
    name: Box<[u8]>,
    depth: u64,
    ino: u64,
    removed: AtomicBool,
    directory: Once<Weak<Inode>>,
    children: SpinLock<Vec<Child>>,
    /// The inodes of its files, once somebody looked for them: they keep their owners and modes.
    inodes: SpinLock<Vec<(files::File, Arc<Inode>)>>,
    /// Groups below it.
    descendants: AtomicU64,
    max_depth: AtomicU64,
    max_descendants: AtomicU64,
    /// Controllers that its children have.
    controls: AtomicU32,
    /// Threads in it, and in all below it too.
    own: AtomicUsize,
    tasks: AtomicUsize,
    /// How many of `tasks` stand still.
    still: AtomicUsize,
    freeze: AtomicBool,
    /// How many are killing its branch now.
    killed: AtomicU32,
    /// What `cgroup.events` told last, and who waits for a change.
    told: AtomicU32,
    changes: Changes,
    pids: Pids,
    /// Nanoseconds in user mode and in the kernel of those who left, less what those who came had used before.
    times: [AtomicU64; 2],
}

/// The controller `pids`.
struct Pids {
    max: AtomicU64,
    peak: AtomicU64,
    /// Forks it refused.
    refused: AtomicU64,
    changes: Changes,
}

/// A group and the inode of its directory.
#[derive(Clone)]
struct Child {
    group: Arc<Cgroup>,
    inode: Arc<Inode>,
}

impl Cgroup {
    fn new(parent: Option<Arc<Self>>, name: Box<[u8]>, ino: u64) -> Self {
        Self {
            depth: parent.as_ref().map_or(0, |parent| parent.depth + 1),
            parent,
            name,
            ino,
            removed: AtomicBool::new(false),
            directory: Once::new(),
            children: SpinLock::new(Vec::new()),
            inodes: SpinLock::new(Vec::new()),
            descendants: AtomicU64::new(0),
            max_depth: AtomicU64::new(MAX),
            max_descendants: AtomicU64::new(MAX),
            controls: AtomicU32::new(0),
            own: AtomicUsize::new(0),
            tasks: AtomicUsize::new(0),
            still: AtomicUsize::new(0),
            freeze: AtomicBool::new(false),
            killed: AtomicU32::new(0),
            told: AtomicU32::new(0),
            changes: Changes::new(),
            pids: Pids {
                max: AtomicU64::new(MAX),
                peak: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                changes: Changes::new(),
            },
            times: [AtomicU64::new(0), AtomicU64::new(0)],
        }
    }

    /// The root, which the first mount makes, with the file system.
    fn root() -> Option<&'static Child> {
        tree::ROOT.get()
    }

    fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    /// Itself and every group above it, the root included.
    fn above(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |group| group.parent.as_deref())
    }

    /// Itself and every group above it but the root: those that count.
    fn line(&self) -> impl Iterator<Item = &Self> {
        self.above().filter(|group| !group.is_root())
    }

    /// Whether it is `top` or lies below it.
    fn is_within(&self, top: &Self) -> bool {
        self.above().any(|group| core::ptr::eq(group, top))
    }

    fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// The controllers it has: those its parent gives its children; the root has all.
    fn controllers(&self) -> u32 {
        match &self.parent {
            Some(parent) => parent.controls.load(Ordering::Relaxed),
            None => PIDS,
        }
    }

    /// The groups below it, itself first.
    ///
    /// # Errors
    /// `ENOMEM`.
    fn branch(self: &Arc<Self>) -> Result<Vec<Arc<Self>>, Errno> {
        let mut all = Vec::new();
        try_push(&mut all, Arc::clone(self))?;
        let mut at = 0;
        while let Some(group) = all.get(at).cloned() {
            for child in group.children.lock().iter() {
                try_push(&mut all, Arc::clone(&child.group))?;
            }
            at += 1;
        }
        Ok(all)
    }

    /// Its path from the root, as `/proc/PID/cgroup` tells it.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn path(&self) -> Result<Vec<u8>, Errno> {
        let mut names: Vec<&[u8]> = Vec::new();
        for group in self.line() {
            try_push(&mut names, &group.name)?;
        }
        let mut path = Vec::new();
        for name in names.into_iter().rev() {
            crate::fs::memory::append(&mut path, b"/")?;
            crate::fs::memory::append(&mut path, name)?;
        }
        if self.is_removed() {
            crate::fs::memory::append(&mut path, b" (deleted)")?;
        }
        Ok(path)
    }
}

impl Drop for Cgroup {
    /// One after the other: a long line of groups that only this one kept must not fill the stack.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(mut group) = next.and_then(Arc::into_inner) {
            next = group.parent.take();
        }
    }
}
