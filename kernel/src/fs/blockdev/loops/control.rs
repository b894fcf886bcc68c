//! The requests to loop devices and to `/dev/loop-control` (linux/loop.h).

use alloc::sync::Arc;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::loopdev::{
    self, AUTOCLEAR, DIRECT_IO, PARTSCAN, Place, READ_ONLY, Request, Status, is_block_size,
};
use kiln_core::num::{int_arg, low32, u64_of};

use super::super::file::DiskFile;
use super::super::scan;
use super::{LOOPS, Loop, MAJOR, State, find, make, number};
use crate::drivers::block::{BlockDevice, SECTOR_SIZE};
use crate::fs::blockdev::remove_node;
use crate::fs::file::{File, FileOps, Ioctl};
use crate::fs::memory::try_arc;
use crate::sched::Mutex;
use crate::vm::Mapping;

const LOOP_SET_FD: u32 = 0x4C00;
const LOOP_CLR_FD: u32 = 0x4C01;
const LOOP_SET_STATUS: u32 = 0x4C02;
const LOOP_GET_STATUS: u32 = 0x4C03;
const LOOP_SET_STATUS64: u32 = 0x4C04;
const LOOP_GET_STATUS64: u32 = 0x4C05;
const LOOP_CHANGE_FD: u32 = 0x4C06;
const LOOP_SET_CAPACITY: u32 = 0x4C07;
const LOOP_SET_DIRECT_IO: u32 = 0x4C08;
const LOOP_SET_BLOCK_SIZE: u32 = 0x4C09;
const LOOP_CONFIGURE: u32 = 0x4C0A;
const LOOP_CTL_ADD: u32 = 0x4C80;
const LOOP_CTL_REMOVE: u32 = 0x4C81;
const LOOP_CTL_GET_FREE: u32 = 0x4C82;

/// Loop devices get and lose files one at a time.
static CHANGE: Mutex<()> = Mutex::new(());

/// `/dev/loop-control`.
struct Control;

/// Opens it.
pub(super) fn open() -> Result<Arc<dyn FileOps>, Errno> {
    Ok(try_arc(Control)?)
}

impl FileOps for Control {
    fn ioctl(&self, _: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let wanted = u32::try_from(int_arg(request.arg)).ok();
        let _change = CHANGE.lock();
        let number = match request.command {
            LOOP_CTL_ADD => {
                if wanted.and_then(find).is_some() {
                    return Err(Errno::EEXIST);
                }
                make(wanted)?.number
            }
            LOOP_CTL_REMOVE => remove(wanted.ok_or(Errno::EINVAL)?)?,
            LOOP_CTL_GET_FREE => {
                let loops = LOOPS.lock();
                let free = loops.iter().filter(|one| one.bound().is_err());
                let free = free.map(|one| one.number).min();
                drop(loops);
                make(free)?.number
            }
            _ => return Err(Errno::ENOSYS),
        };
        Ok(u64::from(number))
    }

    fn has_position(&self) -> bool {
        false
    }
}

fn remove(number: u32) -> Result<u32, Errno> {
    let loops = LOOPS.lock();
    let at = loops.iter().position(|one| one.number == number);
    let at = at.ok_or(Errno::ENODEV)?;
    let idle = |one: &Arc<Loop>| one.users() == 0 && one.bound().is_err();
    if !loops.get(at).is_some_and(idle) {
        return Err(Errno::EBUSY);
    }
    drop(loops);
    remove_node(super::key(MAJOR, number))?;
    LOOPS.lock().retain(|one| one.number != number);
    Ok(0)
}

/// How many words a request takes from the program.
fn words_in(command: u32) -> usize {
    match command {
        LOOP_CONFIGURE => loopdev::CONFIG,
        LOOP_SET_STATUS => loopdev::INFO,
        LOOP_SET_STATUS64 => loopdev::INFO64,
        _ => 0,
    }
}

/// A request to a loop device that is open as `disk`, which `file` is.
#[inline(never)]
pub(in crate::fs::blockdev) fn ioctl(
    disk: &DiskFile,
    file: &File,
    request: &Ioctl<'_>,
) -> Result<u64, Errno> {
    let device = find(number(disk.key).minor).ok_or(Errno::ENXIO)?;
    let command = request.command;
    let privileged = matches!(
        command,
        LOOP_SET_STATUS | LOOP_SET_STATUS64 | LOOP_SET_CAPACITY..=LOOP_SET_BLOCK_SIZE
    );
    if privileged && !file.writable() && !request.privileged {
        return Err(Errno::EPERM);
    }
    let mut words = [0u64; loopdev::CONFIG];
    let place = |at: usize| UserAddr::new(request.arg.wrapping_add(8 * u64_of(at)));
    for (at, word) in words.iter_mut().enumerate().take(words_in(command)) {
        *word = request.space.read_val(place(at))?;
    }
    let on = Change {
        device: &device,
        mapping: &disk.mapping,
        writable: file.writable(),
    };
    let change = CHANGE.lock();
    let gone = on.carry_out(request, &mut words);
    drop(change);
    let told = match command {
        LOOP_GET_STATUS => loopdev::INFO,
        LOOP_GET_STATUS64 => loopdev::INFO64,
        _ => 0,
    };
    drop(gone?);
    for (at, word) in words.iter().enumerate().take(told) {
        request.space.write_val(place(at), word)?;
    }
    Ok(0)
}

/// What a loop device tells of itself.
fn told(device: &Loop) -> Result<(Status, Place), Errno> {
    let (status, file) = device.bound()?;
    let rdev = match file.inode.kind() {
        FileType::BlockDevice => file.inode.rdev().encode(),
        _ => 0,
    };
    let place = Place {
        number: device.number,
        device: file.inode.sb().dev().encode(),
        inode: file.inode.ino(),
        rdevice: rdev,
        name: device.state.lock().name,
    };
    Ok((status, place))
}

/// A change of a loop device, by way of an open file of it.
struct Change<'a> {
    device: &'a Loop,
    mapping: &'a Mapping,
    writable: bool,
}

/// A file that is to go when no lock is held.
type Gone = Option<Arc<File>>;

impl Change<'_> {
    fn carry_out(&self, request: &Ioctl<'_>, words: &mut [u64]) -> Result<Gone, Errno> {
        let arg = request.arg;
        let backing = |fd| request.files.get(fd);
        match request.command {
            LOOP_SET_FD => self.bind(backing(int_arg(arg))?, Status::default(), 0),
            LOOP_CONFIGURE => {
                let wanted = Request::from_config(words)?;
                self.bind(backing(wanted.fd)?, wanted.status, wanted.block_size)?;
                self.name(words, loopdev::NAME_IN_CONFIG)
            }
            LOOP_CHANGE_FD => self.replace(backing(int_arg(arg))?),
            LOOP_CLR_FD => self.clear(),
            LOOP_GET_STATUS | LOOP_GET_STATUS64 => {
                if arg == 0 {
                    return Err(Errno::EINVAL);
                }
                let (status, place) = told(self.device)?;
                if request.command == LOOP_GET_STATUS {
                    status.info(&place, words)?;
                } else {
                    status.info64(&place, words);
                }
                Ok(None)
            }
            LOOP_SET_STATUS => {
                self.set_status(&Status::from_info(words)?)?;
                self.name(words, loopdev::NAME_IN_INFO)
            }
            LOOP_SET_STATUS64 => {
                self.set_status(&Status::from_info64(words)?)?;
                self.name(words, loopdev::NAME_IN_INFO64)
            }
            LOOP_SET_CAPACITY => self.reconsider(&mut |_| {}),
            LOOP_SET_DIRECT_IO => self.reconsider(&mut |state| {
                state.status.flags &= !DIRECT_IO;
                if arg != 0 {
                    state.status.flags |= DIRECT_IO;
                }
            }),
            LOOP_SET_BLOCK_SIZE => {
                self.device.bound()?;
                if !is_block_size(arg) {
                    return Err(Errno::EINVAL);
                }
                self.reconsider(&mut |state| state.block_size = low32(arg))
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn name(&self, words: &[u64], at: usize) -> Result<Gone, Errno> {
        self.device.state.lock().name = loopdev::name(words, at);
        Ok(None)
    }

    /// Lets the file go, now or with the last user.
    fn clear(&self) -> Result<Gone, Errno> {
        let (_, file) = self.device.bound()?;
        if self.device.users() > 1 {
            self.device.state.lock().status.flags |= AUTOCLEAR;
            return Ok(None);
        }
        // It was for fsync to tell.
        let _ = self.mapping.sync_all();
        self.device.clear();
        renew(self.mapping, 0)?;
        Ok(Some(file))
    }

    /// What a loop device can be made of: a regular file, or a disk that isn't itself.
    fn check(&self, file: &Arc<File>) -> Result<(), Errno> {
        let mut file = Arc::clone(file);
        loop {
            match file.inode.kind() {
                FileType::Regular if !file.is_event() => return Ok(()),
                FileType::BlockDevice => {}
                _ => return Err(Errno::EINVAL),
            }
            let number = file.inode.rdev();
            if number.major != MAJOR {
                return Ok(());
            }
            if number.minor == self.device.number {
                return Err(Errno::EBADF);
            }
            let below = find(number.minor).ok_or(Errno::EINVAL)?;
            let (_, next) = below.bound().map_err(|_| Errno::EINVAL)?;
            file = next;
        }
    }

    /// Gives it a file.
    fn bind(&self, file: Arc<File>, mut status: Status, block_size: u32) -> Result<Gone, Errno> {
        if self.device.bound().is_ok() {
            return Err(Errno::EBUSY);
        }
        self.check(&file)?;
        if !file.writable() || !self.writable {
            status.flags |= READ_ONLY;
        }
        *self.device.state.lock() = State {
            sectors: status.sectors(size_of(&file)),
            read_only: status.flags & READ_ONLY != 0,
            block_size: block_size.max(512),
            status,
            name: loopdev::Name::default(),
            file: Some(file),
        };
        renew(self.mapping, self.device.sectors())?;
        self.scan_if(status.flags & PARTSCAN != 0);
        Ok(None)
    }

    /// Gives it another file of the same size.
    fn replace(&self, file: Arc<File>) -> Result<Gone, Errno> {
        let (status, old) = self.device.bound()?;
        if status.flags & READ_ONLY == 0 {
            return Err(Errno::EINVAL);
        }
        self.check(&file)?;
        if status.sectors(size_of(&file)) != status.sectors(size_of(&old)) {
            return Err(Errno::EINVAL);
        }
        self.reconsider(&mut |state| state.file = Some(Arc::clone(&file)))?;
        self.scan_if(status.flags & PARTSCAN != 0);
        Ok(Some(old))
    }

    fn set_status(&self, new: &Status) -> Result<Gone, Errno> {
        let (old, _) = self.device.bound()?;
        let status = old.changed(new);
        self.reconsider(&mut |state| state.status = status)?;
        self.scan_if(status.flags & !old.flags & PARTSCAN != 0);
        Ok(None)
    }

    /// Changes it, and goes by the file's size anew.
    fn reconsider(&self, change: &mut dyn FnMut(&mut State)) -> Result<Gone, Errno> {
        self.device.bound()?;
        self.mapping.sync_all()?;
        let mut state = self.device.state.lock();
        change(&mut state);
        drop(state);
        let (status, file) = self.device.bound()?;
        let sectors = status.sectors(size_of(&file));
        self.device.state.lock().sectors = sectors;
        renew(self.mapping, sectors)?;
        Ok(None)
    }

    /// What can't be read has no partitions.
    fn scan_if(&self, wanted: bool) {
        if wanted {
            let _ = scan(self.device.key());
        }
    }
}

fn size_of(file: &File) -> u64 {
    file.ops.seek_end(file).unwrap_or(0)
}

/// A device's pages are no more what they were, and it has that many sectors.
#[inline(never)]
fn renew(mapping: &Mapping, sectors: u64) -> Result<(), Errno> {
    mapping.truncate(0)?;
    mapping.set_size(sectors.saturating_mul(u64_of(SECTOR_SIZE)));
    Ok(())
}
