//! `devpts`: the file system that shows the slaves of pseudo terminals, one instance for each mount
//! (Documentation/filesystems/devpts.rst). Names come and go with the masters.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, DeviceNumber, FileType};
use kiln_core::fs::dirent::Entry;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::perm::Identity;
use kiln_core::fs::stat::StatFs;
use kiln_core::num::{u64_of, usize_of, usize_of32};
use kiln_core::path::Tree;

use super::super::clock;
use super::super::context::Lookup;
use super::super::file::FileOps;
use super::super::inode::{Emit, Inode, InodeOps, InodeParts, NewInode};
use super::super::memory::{try_arc, try_box};
use super::super::mount::Path;
use super::super::procfs::{SystemFile, Text, number_file};
use super::super::superblock::{FileSystemType, MountRequest, SuperBlock, SuperOps};
use super::pty::{self, Pty};
use crate::sync::SpinLock;

/// The type.
pub(crate) const TYPE: FileSystemType = FileSystemType {
    name: "devpts",
    driver: None,
    option: None,
    mount,
};

/// As Debian mounts it on `/dev/pts`: group 5 is `tty`, which write(1) belongs to.
pub(crate) const USUAL: FileSystemType = FileSystemType {
    mount: |request: &MountRequest<'_>| {
        mount(&MountRequest {
            options: b"gid=5,mode=620,ptmxmode=000",
            device: None,
            ..*request
        })
    },
    ..TYPE
};

/// Most pseudo terminals there are at a time (`NR_UNIX98_PTY_DEFAULT`, linux/tty.h).
static MAX: AtomicU64 = AtomicU64::new(4096);
/// How many there are.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Of those, how many only the first instance may have; there is one namespace, so none counts.
static RESERVE: AtomicU64 = AtomicU64::new(1024);

/// What `/proc` tells of terminals.
pub(crate) const FILES: &[SystemFile] = &[
    SystemFile::readable("tty/drivers", |out: &mut Text| {
        out.bytes(
            b"/dev/tty             /dev/tty        5       0 system:/dev/tty\n\
              /dev/console         /dev/console    5       1 system:console\n\
              /dev/ptmx            /dev/ptmx       5       2 system\n\
              pty_slave            /dev/pts      136 0-1048575 pty:slave\n\
              pty_master           /dev/ptm      128 0-1048575 pty:master\n",
        )
    }),
    SystemFile::fixed("tty/ldiscs", "n_tty       0\n"),
    number_file!("sys/kernel/pty/max", MAX),
    SystemFile::readable("sys/kernel/pty/nr", |out| {
        out.put(format_args!("{}\n", COUNT.load(Ordering::Relaxed)))
    }),
    number_file!("sys/kernel/pty/reserve", RESERVE),
];

/// The inode number of the directory, of `ptmx`, and of the first slave.
const ROOT_INO: u64 = 1;
const PTMX_INO: u64 = 2;
const FIRST_INO: u64 = 3;
/// Listing goes on behind `.` and `..`, which aren't this file system's.
const FIRST_CURSOR: u64 = 2;

/// How an instance was mounted.
#[derive(Clone, Copy)]
struct Options {
    uid: Option<u32>,
    gid: Option<u32>,
    mode: u32,
    ptmx_mode: u32,
    max: Option<u32>,
}

/// One mount's slaves.
struct Instance {
    options: Options,
    slots: SpinLock<Vec<Slot>>,
}

/// A number.
#[derive(Default)]
struct Slot {
    taken: bool,
    /// The slave, as long as there is a master.
    inode: Option<Arc<Inode>>,
}

/// A number that is taken until this goes.
pub(super) struct Index {
    instance: Arc<Instance>,
    number: u32,
}

impl Index {
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The slave's name goes: its master is gone.
    pub(super) fn remove_name(&self) {
        let removed = {
            let mut slots = self.instance.slots.lock();
            let slot = slots.get_mut(usize_of32(self.number));
            slot.and_then(|slot| slot.inode.take())
        };
        if let Some(inode) = removed {
            inode.update(|attr| attr.nlink = 0);
        }
    }

    /// The slave as it is seen in an instance's directory; ENODEV when that is another instance.
    pub(super) fn slave_in(&self, directory: &Path) -> Result<Path, Errno> {
        let root = root_of(directory.inode()?).ok_or(Errno::ENODEV)?;
        if !Arc::ptr_eq(&root.instance, &self.instance) {
            return Err(Errno::ENODEV);
        }
        let inode = self.instance.inode(usize_of32(self.number));
        let mut name = Text::default();
        name.put(format_args!("{}", self.number))?;
        let inode = inode.ok_or(Errno::EIO)?;
        let dentry = directory.dentry.passing(name.as_bytes(), inode)?;
        Ok(directory.with(dentry))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        if let Some(slot) = self.instance.slots.lock().get_mut(usize_of32(self.number)) {
            slot.taken = false;
        }
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Instance {
    /// The lowest free number; ENOSPC.
    fn take_index(self: &Arc<Self>) -> Result<Index, Errno> {
        let max = MAX.load(Ordering::Relaxed);
        let counted = COUNT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < max).then_some(count + 1)
        });
        counted.map_err(|_| Errno::ENOSPC)?;
        let number = self.lowest_free().inspect_err(|_| {
            COUNT.fetch_sub(1, Ordering::Relaxed);
        })?;
        Ok(Index {
            instance: Arc::clone(self),
            number,
        })
    }

    fn lowest_free(&self) -> Result<u32, Errno> {
        // The memory is there before the lock is taken.
        let mut room = Vec::new();
        loop {
            let mut slots = self.slots.lock();
            let free = slots.iter().position(|slot| !slot.taken);
            let at = free.unwrap_or(slots.len());
            let number = u32::try_from(at).map_err(|_| Errno::ENOSPC)?;
            if self.options.max.is_some_and(|max| number >= max) {
                return Err(Errno::ENOSPC);
            }
            if at == slots.len() {
                if room.capacity() > slots.len() {
                    room.append(&mut slots);
                    core::mem::swap(&mut room, &mut slots);
                }
                if slots.capacity() == slots.len() {
                    let wanted = 2 * slots.len() + 4;
                    drop(slots);
                    room = Vec::new();
                    room.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
                    continue;
                }
                slots.push(Slot::default());
            }
            if let Some(slot) = slots.get_mut(at) {
                slot.taken = true;
            }
            return Ok(number);
        }
    }

    fn inode(&self, number: usize) -> Option<Arc<Inode>> {
        self.slots.lock().get(number)?.inode.clone()
    }

    /// The first slave from a number on.
    fn next(&self, from: usize) -> Option<(usize, Arc<Inode>)> {
        let slots = self.slots.lock();
        let mut rest = slots.iter().enumerate().skip(from);
        rest.find_map(|(at, slot)| Some((at, slot.inode.clone()?)))
    }
}

struct Super(Options);

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs {
            magic: abi::DEVPTS_SUPER_MAGIC,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }

    fn options(&self) -> Vec<u8> {
        let mut text = Text::default();
        let options = self.0;
        let ids = [("uid", options.uid), ("gid", options.gid)];
        for (name, id) in ids {
            if let Some(id) = id {
                // A line that is too short is better than none.
                let _ = text.put(format_args!(",{name}={id}"));
            }
        }
        let (mode, ptmx) = (options.mode, options.ptmx_mode);
        let _ = text.put(format_args!(",mode={mode:03o},ptmxmode={ptmx:03o}"));
        if let Some(max) = options.max {
            let _ = text.put(format_args!(",max={max}"));
        }
        text.into_bytes()
    }
}

fn parse(text: &[u8]) -> Result<Options, Errno> {
    let mut options = Options {
        uid: None,
        gid: None,
        mode: 0o600,
        ptmx_mode: 0,
        max: None,
    };
    for option in text.split(|byte| *byte == b',') {
        let option = core::str::from_utf8(option).map_err(|_| Errno::EINVAL)?;
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let radix = if key.ends_with("mode") { 8 } else { 10 };
        let number = u32::from_str_radix(value, radix).map_err(|_| Errno::EINVAL);
        match key {
            "uid" => options.uid = Some(number?),
            "gid" => options.gid = Some(number?),
            "mode" => options.mode = number? & 0o7777,
            "ptmxmode" => options.ptmx_mode = number? & 0o7777,
            "max" => options.max = Some(number?),
            "" | "newinstance" => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(options)
}

fn mount(request: &MountRequest<'_>) -> Result<Arc<Inode>, Errno> {
    let options = parse(request.options)?;
    let sb = SuperBlock::new("devpts", try_box(Super(options))?)?;
    let instance = try_arc(Instance {
        options,
        slots: SpinLock::new(Vec::new()),
    })?;
    let mut attr = Attr::new(FileType::CharDevice, options.ptmx_mode, 0, 0, clock::now());
    attr.rdev = DeviceNumber::new(super::console::MAJOR, super::console::PTMX);
    let ptmx = Inode::new(InodeParts {
        sb: Arc::clone(&sb),
        ino: PTMX_INO,
        attr,
        mapping: None,
        ops: try_arc(Ptmx)?,
    })?;
    let mut attr = Attr::new(FileType::Directory, 0o755, 0, 0, clock::now());
    attr.nlink = 2;
    Inode::new(InodeParts {
        sb,
        ino: ROOT_INO,
        attr,
        mapping: None,
        ops: try_arc(Root { instance, ptmx })?,
    })
}

/// The directory.
struct Root {
    instance: Arc<Instance>,
    ptmx: Arc<Inode>,
}

impl InodeOps for Root {
    fn lookup(&self, _: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        if name == b"ptmx" {
            return Ok(Some(Arc::clone(&self.ptmx)));
        }
        Ok(number_of(name).and_then(|number| self.instance.inode(number)))
    }

    fn cacheable(&self) -> bool {
        false
    }

    fn create(&self, _: &Arc<Inode>, _: &[u8], new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        Err(match new.kind {
            FileType::Regular => Errno::EACCES,
            _ => Errno::EPERM,
        })
    }

    fn readdir(&self, _: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        let kind = FileType::CharDevice.dirent();
        let mut cursor = cursor.max(FIRST_CURSOR);
        if cursor == FIRST_CURSOR {
            let entry = Entry {
                ino: PTMX_INO,
                kind,
                name: b"ptmx",
            };
            cursor += 1;
            if !emit(&entry, cursor) {
                return Ok(());
            }
        }
        while let Some((number, inode)) = self.instance.next(usize_of(cursor - FIRST_CURSOR - 1)) {
            let mut name = Text::default();
            name.put(format_args!("{number}"))?;
            let entry = Entry {
                ino: inode.ino(),
                kind,
                name: name.as_bytes(),
            };
            cursor = u64_of(number) + FIRST_CURSOR + 2;
            if !emit(&entry, cursor) {
                break;
            }
        }
        Ok(())
    }
}

/// The number that a name is, written as Linux writes it.
fn number_of(name: &[u8]) -> Option<usize> {
    let text = core::str::from_utf8(name).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (plain && !padded).then(|| text.parse().ok()).flatten()
}

/// `ptmx` in here.
struct Ptmx;

impl InodeOps for Ptmx {
    fn open(&self, _: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        if flags.has(abi::O_PATH) {
            return Ok(super::super::file::path_ops());
        }
        pty::open_master()
    }
}

/// A slave.
struct Slave(Arc<Pty>);

impl InodeOps for Slave {
    fn open(&self, _: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        if flags.has(abi::O_PATH) {
            return Ok(super::super::file::path_ops());
        }
        self.0.open_slave(flags)
    }
}

fn root_of(inode: &Inode) -> Option<&Root> {
    inode.ops_as()
}

/// The directory that a `ptmx` at `path` belongs to: the instance it lies in, or the one mounted on
/// `pts` beside it.
pub(super) fn place(lookup: &Lookup<'_>, path: &Path) -> Result<Path, Errno> {
    let top = Path::root_of(&path.mount);
    if root_of(top.inode()?).is_some() && !path.is_mount_root() {
        return Ok(top);
    }
    // A single file that is bound here, perhaps out of an instance.
    if let Some(root) = path.dentry.parent()
        && path.is_mount_root()
        && root.inode().is_some_and(|inode| root_of(inode).is_some())
    {
        return Ok(path.with(root));
    }
    let pts = lookup.lookup(&path.parent(), b"pts")?;
    let pts = pts.ok_or(Errno::ENOENT)?;
    match root_of(pts.inode()?) {
        Some(_) if pts.is_mount_root() => Ok(pts),
        _ => Err(Errno::ENODEV),
    }
}

/// A new pseudo terminal in an instance, of whom `who` says.
pub(super) fn new_pty(directory: &Arc<Inode>, who: &Identity<'_>) -> Result<Arc<Pty>, Errno> {
    let root = root_of(directory).ok_or(Errno::ENODEV)?;
    let options = root.instance.options;
    let index = root.instance.take_index()?;
    let number = index.number();
    let pty = Pty::new(index)?;
    let (uid, gid) = (
        options.uid.unwrap_or(who.uid),
        options.gid.unwrap_or(who.gid),
    );
    let kind = FileType::CharDevice;
    let mut attr = Attr::new(kind, options.mode, uid, gid, clock::now());
    attr.rdev = DeviceNumber::new(pty::SLAVE_MAJOR, number);
    attr.nlink = 1;
    let inode = Inode::new(InodeParts {
        sb: Arc::clone(directory.sb()),
        ino: u64::from(number) + FIRST_INO,
        attr,
        mapping: None,
        ops: try_arc(Slave(Arc::clone(&pty)))?,
    })?;
    let mut slots = root.instance.slots.lock();
    if let Some(slot) = slots.get_mut(usize_of32(number)) {
        slot.inode = Some(inode);
    }
    drop(slots);
    Ok(pty)
}
