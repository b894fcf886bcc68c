//! `/proc/sysvipc/*` and the limits in `/proc/sys/kernel`.

use alloc::sync::Arc;

use kiln_core::errno::Errno;
use kiln_core::ipc::{MAX_OBJECTS, Perm};
use kiln_core::num::u64_of;

use super::{Object, Table, msg, sem, shm};
use crate::fs::procfs::{Content, INT_MAX, SystemFile, Text, number, number_file, set_number};

/// The files.
pub(crate) const FILES: &[SystemFile] = &[
    SystemFile::readable("sysvipc/msg", messages),
    SystemFile::readable("sysvipc/sem", semaphores),
    SystemFile::readable("sysvipc/shm", segments),
    number_file!("sys/kernel/msgmax", msg::MAX_MESSAGE, 0, INT_MAX),
    number_file!("sys/kernel/msgmnb", msg::MAX_BYTES, 0, INT_MAX),
    number_file!("sys/kernel/msgmni", msg::MAX_QUEUES, 0, u64_of(MAX_OBJECTS)),
    SystemFile {
        path: "sys/kernel/sem",
        mode: 0o644,
        text: Content::Told(|out| {
            let [per_set, all, ops, sets] = sem::limits();
            out.put(format_args!("{per_set}\t{all}\t{ops}\t{sets}\n"))
        }),
        write: Some(set_semaphores),
    },
    number_file!("sys/kernel/shmall", shm::MAX_PAGES),
    number_file!("sys/kernel/shmmax", shm::MAX_SIZE),
    number_file!("sys/kernel/shmmni", shm::MAX_COUNT, 0, u64_of(MAX_OBJECTS)),
];

/// `SEMMSL`, `SEMMNS`, `SEMOPM` and `SEMMNI`; those that aren't written stay.
fn set_semaphores(text: &[u8]) -> Result<(), Errno> {
    let words = text.split(u8::is_ascii_whitespace);
    let words = words.filter(|word| !word.is_empty());
    for (index, (limit, word)) in sem::LIMITS.iter().zip(words).enumerate() {
        if index == 3 && number(word)? > u64_of(MAX_OBJECTS) {
            return Err(Errno::ERANGE);
        }
        set_number(limit, word, 0, INT_MAX)?;
    }
    Ok(())
}

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
