//! `/proc/sysvipc/*` and the limits in `/proc/sys/kernel`.

use alloc::sync::Arc;

use kiln_core::errno::Errno;
use kiln_core::ipc::Perm;
use kiln_core::ipc::sem::MAX_OPS;

use super::{Object, Table, msg, sem, shm};
use crate::fs::procfs::{SystemFile, Text, number_file};

/// The files.
pub(crate) const FILES: &[SystemFile] = &[
    SystemFile::readable("sysvipc/msg", messages),
    SystemFile::readable("sysvipc/sem", semaphores),
    SystemFile::readable("sysvipc/shm", segments),
    number_file!("sys/kernel/msgmax", crate::process::ipc::msg::MAX_MESSAGE),
    number_file!("sys/kernel/msgmnb", crate::process::ipc::msg::MAX_BYTES),
    number_file!("sys/kernel/msgmni", crate::process::ipc::msg::MAX_QUEUES),
    SystemFile::readable("sys/kernel/sem", |out| {
        out.put(format_args!("32000\t1024000000\t{MAX_OPS}\t32000\n"))
    }),
    number_file!("sys/kernel/shmall", crate::process::ipc::shm::MAX_PAGES),
    number_file!("sys/kernel/shmmax", crate::process::ipc::shm::MAX_SIZE),
    number_file!("sys/kernel/shmmni", crate::process::ipc::shm::MAX_COUNT),
];

/// Calls `row` for every object, the table unlocked.
fn each<T: Object>(
    table: &Table<T>,
    mut row: impl FnMut(i32, &Perm, &T) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut at = 0;
    loop {
        let ids = table.lock();
        let Some((slot, id, object)) = ids.next(at) else {
            return Ok(());
        };
        let object = Arc::clone(object);
        drop(ids);
        at = slot + 1;
        let perm = *object.perm().lock();
        row(id, &perm, &object)?;
    }
}

fn segments(out: &mut Text) -> Result<(), Errno> {
    out.bytes(
        b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  \
          cgid      atime      dtime      ctime                   rss                  swap\n",
    )?;
    each(&shm::SEGMENTS, |id, perm, segment| {
        let used = segment.used();
        out.put(format_args!(
            "{:10} {id:10}  {:4o} {:21} {:5} {:5}  {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10} \
             {:21} {:21}\n",
            perm.key,
            perm.mode,
            segment.size(),
            used.maker,
            used.last,
            used.count,
            perm.uid,
            perm.gid,
            perm.cuid,
            perm.cgid,
            used.attached,
            used.detached,
            used.changed,
            segment.resident() * 4096,
            0
        ))
    })
}

fn messages(out: &mut Text) -> Result<(), Errno> {
    out.bytes(
        b"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      \
          stime      rtime      ctime\n",
    )?;
    each(&msg::QUEUES, |id, perm, queue| {
        let stat = queue.stat();
        out.put(format_args!(
            "{:10} {id:10}  {:4o}  {:10} {:10} {:5} {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10}\n",
            perm.key,
            perm.mode,
            stat.bytes,
            stat.count,
            stat.sender,
            stat.receiver,
            perm.uid,
            perm.gid,
            perm.cuid,
            perm.cgid,
            stat.sent,
            stat.received,
            stat.changed
        ))
    })
}

fn semaphores(out: &mut Text) -> Result<(), Errno> {
    out.bytes(
        b"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
    )?;
    each(&sem::SETS, |id, perm, set| {
        let (operated, changed) = set.times();
        out.put(format_args!(
            "{:10} {id:10}  {:4o} {:10} {:5} {:5} {:5} {:5} {operated:10} {changed:10}\n",
            perm.key,
            perm.mode,
            set.count(),
            perm.uid,
            perm.gid,
            perm.cuid,
            perm.cgid
        ))
    })
}
