//! ioctl(2) on files of the file system: what only ext4 knows (fs/ext4/ioctl.c of Linux).

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::ext4::Error;

use super::node::Node;
use super::{Volume, now};
use crate::fs::file::{File, Ioctl};
use crate::sched::{self, NOTIFY_KILL};

/// linux/fs.h
const FS_IOC_GETFSLABEL: u32 = 0x8100_9431;
const FS_IOC_SETFSLABEL: u32 = 0x4100_9432;
const FITRIM: u32 = 0xC018_5879;
/// `EXT4_LABEL_MAX`; programs get and give a zero behind it.
const LABEL: usize = 16;

fn privileged(request: &Ioctl<'_>) -> Result<(), Errno> {
    request.privileged.then_some(()).ok_or(Errno::EPERM)
}

impl Volume {
    fn label(&self, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let mut label = [0; LABEL + 1];
        for (to, own) in label.iter_mut().take(LABEL).zip(self.core.lock().label()) {
            *to = *own;
        }
        request.space.copy_out(UserAddr::new(request.arg), &label)?;
        Ok(0)
    }

    fn set_label(&self, file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        privileged(request)?;
        let mut label = [0; LABEL + 1];
        request
            .space
            .copy_in(&mut label, UserAddr::new(request.arg))?;
        let end = label.iter().position(|byte| *byte == 0);
        let end = end.ok_or(Errno::EINVAL)?;
        label.iter_mut().skip(end).for_each(|byte| *byte = 0);
        let label = label.first_chunk::<LABEL>().ok_or(Errno::EINVAL)?;
        file.path.mount.check_writable()?;
        let mut core = self.core.lock();
        core.set_now(now());
        let set = core.set_label(label).and_then(|()| core.write_back());
        set.map(|()| 0).map_err(Error::errno)
    }

    /// Tells the disk what is free, group by group, so that others get their turn; what is about to end
    /// does with what was told so far, as on Linux.
    fn trim(&self, request: &Ioctl<'_>) -> Result<u64, Errno> {
        privileged(request)?;
        if !self.disk.can_discard() {
            return Err(Errno::EOPNOTSUPP);
        }
        let at = UserAddr::new(request.arg);
        let [start, length, least]: [u64; 3] = request.space.read_val(at)?;
        let asked = (self.core.lock()).trim_range([start, length, least]);
        let (mut range, shortest) = asked.map_err(Error::errno)?;
        let thread = sched::current();
        let mut told = 0;
        while !range.is_empty() && !thread.is_notified(NOTIFY_KILL) {
            let bytes = self.core.lock().trim(&mut range, shortest);
            told += bytes.map_err(Error::errno)?;
        }
        request.space.write_val(at, &[start, told, least])?;
        Ok(0)
    }
}

impl Node {
    /// What a program asks of the file, or of the file system by it.
    pub(super) fn serve(&self, file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let volume = self.volume();
        match request.command {
            FS_IOC_GETFSLABEL => volume.label(request),
            FS_IOC_SETFSLABEL => volume.set_label(file, request),
            FITRIM => volume.trim(request),
            _ => Err(Errno::ENOTTY),
        }
    }
}
