//! Who is bound to which name: paths by the file's number, abstract names by their bytes.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::Want;
use kiln_core::net::addr::UnixAddr;

use super::{Known, Name, UnixSock};
use crate::fs::memory::{try_arc, try_push};
use crate::fs::vfs::{self, Node};
use crate::fs::{Inode, Lookup, Path};
use crate::mm::kmem;
use crate::net::socket::Caller;
use crate::sync::SpinLock;

/// What names a socket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// The file's device and number.
    File(u64, u64),
    /// The bytes of an abstract name.
    Abstract(Arc<Vec<u8>>),
}

/// Bytes of a tree's node, spread over what is in it, on the safe side.
const NODE: usize = 256;

static BOUND: SpinLock<BTreeMap<Key, Known>> = SpinLock::new(BTreeMap::new());
static ALL: SpinLock<BTreeMap<u64, Known>> = SpinLock::new(BTreeMap::new());
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A number that no other unix socket has.
pub(super) fn new_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// Makes the socket known.
pub(super) fn enter(socket: &Arc<UnixSock>) -> Result<(), Errno> {
    let _charge = kmem::charge(NODE).map_err(|_| Errno::ENOBUFS)?;
    ALL.lock().insert(socket.id, Arc::downgrade(socket));
    Ok(())
}

/// Forgets the socket and its name.
pub(super) fn leave(id: u64, name: Option<&Name>) {
    let gone = ALL.lock().remove(&id);
    drop(gone);
    if let Some(name) = name {
        let mut bound = BOUND.lock();
        let own = bound.get(&name.key).is_some_and(|known| is(known, id));
        let gone = if own { bound.remove(&name.key) } else { None };
        drop(bound);
        drop(gone);
    }
}

fn is(known: &Known, id: u64) -> bool {
    known.upgrade().is_none_or(|socket| socket.id == id)
}

/// Every unix socket.
pub(in crate::net) fn list() -> Result<Vec<Arc<UnixSock>>, Errno> {
    let mut list = Vec::new();
    let mut from = 0;
    loop {
        let next = {
            let all = ALL.lock();
            let mut rest = all.range(from..);
            rest.find_map(|(id, known)| Some((*id, known.upgrade()?)))
        };
        let Some((id, socket)) = next else {
            return Ok(list);
        };
        from = id + 1;
        try_push(&mut list, socket)?;
    }
}

fn key_of(inode: &Inode) -> Key {
    Key::File(inode.sb().dev().encode(), inode.ino())
}

fn abstract_name(name: &[u8]) -> Result<Name, Errno> {
    let addr = UnixAddr::Abstract(crate::fs::memory::try_copy(name)?);
    let raw = try_arc(addr.encode())?;
    Ok(Name {
        key: Key::Abstract(Arc::clone(&raw)),
        raw,
        _path: None,
    })
}

impl UnixSock {
    /// bind(2).
    pub(super) fn take_name(
        self: &UnixSock,
        caller: &Caller<'_>,
        addr: &[u8],
    ) -> Result<(), Errno> {
        let parsed = UnixAddr::parse(addr)?;
        if let UnixAddr::Unnamed = parsed {
            return self.name_itself();
        }
        if self.state.lock().name.is_some() {
            return Err(Errno::EINVAL);
        }
        let name = match &parsed {
            UnixAddr::Path(path) => file_name(caller.lookup, path, &parsed)?,
            UnixAddr::Abstract(name) => abstract_name(name)?,
            UnixAddr::Unnamed => return Ok(()),
        };
        self.set_name(name)
    }

    /// Takes an abstract name of five hexadecimal digits that is free.
    pub(super) fn name_itself(&self) -> Result<(), Errno> {
        if self.state.lock().name.is_some() {
            return Ok(());
        }
        let mut seed = [0; 4];
        crate::drivers::random::fill(&mut seed);
        let first = u32::from_le_bytes(seed);
        for step in 0..1 << 20 {
            let text = alloc::format!("{:05x}", first.wrapping_add(step) & 0xF_FFFF);
            match self.set_name(abstract_name(text.as_bytes())?) {
                Err(Errno::EADDRINUSE) => {}
                done => return done,
            }
        }
        Err(Errno::ENOSPC)
    }

    fn set_name(&self, name: Name) -> Result<(), Errno> {
        let _charge = kmem::charge(NODE).map_err(|_| Errno::ENOMEM)?;
        let known = ALL.lock().get(&self.id).cloned().unwrap_or_default();
        let mut bound = BOUND.lock();
        let taken = bound.get(&name.key).and_then(Weak::upgrade).is_some();
        if taken {
            drop(bound);
            return Err(Errno::EADDRINUSE);
        }
        let mut state = self.state.lock();
        if state.name.is_some() {
            return Err(Errno::EINVAL);
        }
        bound.insert(name.key.clone(), known);
        state.name = Some(name);
        Ok(())
    }
}

/// Makes the file that a path names a socket by.
fn file_name(lookup: &Lookup<'_>, path: &[u8], addr: &UnixAddr) -> Result<Name, Errno> {
    let node = Node::new(FileType::Socket, 0o777);
    let made = vfs::create(lookup, path, &node).map_err(|error| match error {
        Errno::EEXIST => Errno::EADDRINUSE,
        error => error,
    })?;
    Ok(Name {
        raw: try_arc(addr.encode())?,
        key: key_of(made.inode()?),
        _path: Some(made),
    })
}

/// The socket with this address, of this type.
pub(super) fn find(
    lookup: Option<&Lookup<'_>>,
    addr: &[u8],
    kind: u32,
) -> Result<Arc<UnixSock>, Errno> {
    let key = match UnixAddr::parse(addr)? {
        UnixAddr::Unnamed => return Err(Errno::EINVAL),
        UnixAddr::Path(path) => file_key(lookup.ok_or(Errno::EINVAL)?, &path)?,
        UnixAddr::Abstract(name) => abstract_name(&name)?.key,
    };
    let found = BOUND.lock().get(&key).and_then(Weak::upgrade);
    let found = found.ok_or(Errno::ECONNREFUSED)?;
    if found.common.kind != kind {
        return Err(Errno::EPROTOTYPE);
    }
    Ok(found)
}

fn file_key(lookup: &Lookup<'_>, path: &[u8]) -> Result<Key, Errno> {
    let found: Path = vfs::resolve(lookup, path, true)?;
    let inode = found.inode()?;
    lookup.check(inode, Want::WRITE)?;
    if inode.kind() != FileType::Socket {
        return Err(Errno::ECONNREFUSED);
    }
    Ok(key_of(inode))
}

/// The counted reference of a socket that is in use.
pub(super) fn own(socket: &UnixSock) -> Result<Arc<UnixSock>, Errno> {
    let known = ALL.lock().get(&socket.id).and_then(Weak::upgrade);
    known.ok_or(Errno::EINVAL)
}
