//! Renaming: within and across directories, over another file, or exchanging two.

use super::device::Device;
use super::dir::Place;
use super::dir_edit::NewEntry;
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::namei::{Unlinked, check_name, touch};
use super::{Ext4, Time};

/// How to rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// What has the new name is replaced.
    Replace,
    /// [`Error::Exists`] when something has the new name (`RENAME_NOREPLACE`).
    NoReplace,
    /// Both names exist and change places (`RENAME_EXCHANGE`).
    Exchange,
}

/// One side of a renaming.
#[derive(Clone, Copy, Debug)]
struct Side<'a> {
    dir: Ino,
    name: &'a [u8],
}

impl<D: Device> Ext4<D> {
    /// Renames `old_name` in `old_dir` to `new_name` in `new_dir`; answers what lost its name.
    ///
    /// # Errors
    /// As renameat2(2).
    pub fn rename(
        &mut self,
        (old_dir, old_name): (Ino, &[u8]),
        (new_dir, new_name): (Ino, &[u8]),
        how: How,
        now: Time,
    ) -> Result<Option<Unlinked>> {
        for name in [old_name, new_name] {
            check_name(name).map_err(|error| match error {
                Error::Exists => Error::Invalid,
                other => other,
            })?;
        }
        let old = Side {
            dir: old_dir,
            name: old_name,
        };
        let new = Side {
            dir: new_dir,
            name: new_name,
        };
        let from = self.load_live_dir(old_dir)?;
        let to = self.load_live_dir(new_dir)?;
        let place = self.find(&from, old_name)?.ok_or(Error::NotFound)?;
        let inode = self.load(place.ino)?;
        let target = match self.find(&to, new_name)? {
            Some(place) => Some((place, self.load(place.ino)?)),
            None => None,
        };
        if inode.is_dir() && old_dir != new_dir {
            self.check_not_below(inode.ino, new_dir)?;
        }
        match (how, target) {
            (How::NoReplace, Some(_)) => Err(Error::Exists),
            (How::Exchange, None) => Err(Error::NotFound),
            (_, Some((_, target))) if target.ino == inode.ino => Ok(None),
            (How::Exchange, Some((other, target))) => {
                if target.is_dir() && old_dir != new_dir {
                    self.check_not_below(target.ino, old_dir)?;
                }
                self.transact(|fs| fs.exchange((old, place, inode), (new, other, target), now))?;
                Ok(None)
            }
            (_, Some((_, target))) => {
                self.check_replaces(&inode, &target)?;
                self.transact(|fs| fs.replace((old, inode), (new, target), now))
                    .map(Some)
            }
            (_, None) => {
                self.transact(|fs| fs.move_name(old, new, inode, now))?;
                Ok(None)
            }
        }
    }

    /// A directory can't move to below itself.
    fn check_not_below(&mut self, moved: Ino, dir: Ino) -> Result<()> {
        let mut at = dir;
        // Deeper than any path: whoever goes on for longer goes round in a circle.
        for _ in 0..65_536 {
            if at == moved {
                return Err(Error::Invalid);
            }
            if at == super::ROOT {
                return Ok(());
            }
            let inode = self.load_dir(at)?;
            let up = self.find_linear(&inode, b"..")?;
            at = up.ok_or(Error::Corrupt("directory without .."))?.ino;
        }
        Err(Error::Corrupt("directory tree"))
    }

    fn check_replaces(&mut self, inode: &Inode, target: &Inode) -> Result<()> {
        match (inode.is_dir(), target.is_dir()) {
            (true, false) => Err(Error::NotDirectory),
            (false, true) => Err(Error::IsDirectory),
            (true, true) if !self.is_empty_dir(target)? => Err(Error::NotEmpty),
            _ => Ok(()),
        }
    }

    /// Changes a directory's inode and stores it.
    fn change_dir(
        &mut self,
        ino: Ino,
        change: impl FnOnce(&mut Inode) -> Result<()>,
    ) -> Result<()> {
        let mut dir = self.load_dir(ino)?;
        change(&mut dir)?;
        self.store(&dir)
    }

    fn locate(&mut self, side: Side<'_>) -> Result<(Inode, Place)> {
        let dir = self.load_dir(side.dir)?;
        let place = self.find(&dir, side.name)?.ok_or(Error::NotFound)?;
        Ok((dir, place))
    }

    fn remove_side(&mut self, side: Side<'_>, now: Time) -> Result<()> {
        let (mut dir, place) = self.locate(side)?;
        self.remove_name(&dir, place)?;
        touch(&mut dir, now);
        self.store(&dir)
    }

    fn move_name(
        &mut self,
        old: Side<'_>,
        new: Side<'_>,
        mut inode: Inode,
        now: Time,
    ) -> Result<()> {
        let mut to = self.load_dir(new.dir)?;
        let entry = NewEntry {
            name: new.name,
            ino: inode.ino,
            kind: inode.kind(),
        };
        self.add_entry(&mut to, entry)?;
        touch(&mut to, now);
        self.store(&to)?;
        // Adding may have moved entries about: the old one is looked up again.
        self.remove_side(old, now)?;
        inode.ctime = now;
        self.store(&inode)?;
        if inode.is_dir() && old.dir != new.dir {
            self.set_parent(&inode, new.dir)?;
            self.change_dir(old.dir, |dir| {
                Self::unlink_dir(dir);
                Ok(())
            })?;
            let mut to = self.load_dir(new.dir)?;
            self.link_dir(&mut to)?;
            self.store(&to)?;
        }
        Ok(())
    }

    fn replace(
        &mut self,
        (old, mut inode): (Side<'_>, Inode),
        (new, target): (Side<'_>, Inode),
        now: Time,
    ) -> Result<Unlinked> {
        let (mut to, place) = self.locate(new)?;
        self.change_entry(&to, place, inode.ino, inode.kind())?;
        touch(&mut to, now);
        self.store(&to)?;
        self.remove_side(old, now)?;
        inode.ctime = now;
        self.store(&inode)?;
        if !inode.is_dir() {
            return self.drop_link(target, now);
        }
        // One subdirectory less where it came from; the new place lost one and gained one.
        self.change_dir(old.dir, |dir| {
            Self::unlink_dir(dir);
            Ok(())
        })?;
        if old.dir != new.dir {
            self.set_parent(&inode, new.dir)?;
        }
        self.drop_dir(target, now)
    }

    fn exchange(
        &mut self,
        (old, place, mut inode): (Side<'_>, Place, Inode),
        (new, other, mut target): (Side<'_>, Place, Inode),
        now: Time,
    ) -> Result<()> {
        let from = self.load_dir(old.dir)?;
        let to = self.load_dir(new.dir)?;
        self.change_entry(&from, place, target.ino, target.kind())?;
        self.change_entry(&to, other, inode.ino, inode.kind())?;
        for dir in [old.dir, new.dir] {
            self.change_dir(dir, |dir| {
                touch(dir, now);
                Ok(())
            })?;
        }
        // The exchanged may be each other's directory only by name, never these inodes themselves.
        inode.ctime = now;
        self.store(&inode)?;
        target.ctime = now;
        self.store(&target)?;
        if old.dir == new.dir {
            return Ok(());
        }
        for (moved, home, left) in [(&inode, new.dir, old.dir), (&target, old.dir, new.dir)] {
            if !moved.is_dir() {
                continue;
            }
            self.set_parent(moved, home)?;
            if inode.is_dir() != target.is_dir() {
                self.change_dir(left, |dir| {
                    Self::unlink_dir(dir);
                    Ok(())
                })?;
                let mut dir = self.load_dir(home)?;
                self.link_dir(&mut dir)?;
                self.store(&dir)?;
            }
        }
        Ok(())
    }

    /// Makes `..` of directory `dir` name `parent`.
    fn set_parent(&mut self, dir: &Inode, parent: Ino) -> Result<()> {
        let place = self
            .find_linear(dir, b"..")?
            .ok_or(Error::Corrupt("directory without .."))?;
        self.change_entry(dir, place, parent, super::FileType::Directory)
    }
}
