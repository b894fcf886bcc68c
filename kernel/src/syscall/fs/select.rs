//! select(2) and pselect6(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::time::{TIMESPEC_SIZE, Timespec, Timeval};

use super::poll::{
    Until, look, mask_argument, read_timespec, reborrow, store_left, wait_ready, with_mask,
};
use crate::fs::{Events, FdTable, Watch};
use crate::process::Task;
use crate::syscall::{Call, SysResult};
use crate::vm::AddressSpace;

/// Descriptors in an `fd_set` word.
const WORD_BITS: usize = 64;

/// The three sets of select(2), as words.
struct Sets {
    asked: [Vec<u64>; 3],
    found: [Vec<u64>; 3],
}

/// What makes a descriptor ready in each set (fs/select.c).
const READY: [Events; 3] = [
    Events::READABLE
        .union(Events::RDBAND)
        .union(Events::HUP)
        .union(Events::ERR),
    Events::WRITABLE.union(Events::WRBAND).union(Events::ERR),
    Events::PRI,
];

fn zeros(words: usize) -> Result<Vec<u64>, Errno> {
    let mut list = Vec::new();
    list.try_reserve_exact(words).map_err(|_| Errno::ENOMEM)?;
    list.resize(words, 0);
    Ok(list)
}

impl Sets {
    fn read(space: &Arc<AddressSpace>, count: usize, at: [UserAddr; 3]) -> Result<Self, Errno> {
        let words = count.div_ceil(WORD_BITS);
        let set = || zeros(words);
        let mut sets = Self {
            asked: [set()?, set()?, set()?],
            found: [set()?, set()?, set()?],
        };
        for (list, at) in sets
            .asked
            .iter_mut()
            .zip(at)
            .filter(|(_, at)| !at.is_null())
        {
            for (index, word) in (0u64..).zip(list.iter_mut()) {
                *word = space.read_val(at.checked_add(index * 8).ok_or(Errno::EFAULT)?)?;
            }
        }
        Ok(sets)
    }

    fn write(&self, space: &Arc<AddressSpace>, at: [UserAddr; 3]) -> Result<(), Errno> {
        for (list, at) in self.found.iter().zip(at).filter(|(_, at)| !at.is_null()) {
            for (index, word) in (0u64..).zip(list) {
                space.write_val(at.checked_add(index * 8).ok_or(Errno::EFAULT)?, word)?;
            }
        }
        Ok(())
    }

    fn asked_for(&self, fd: usize) -> [bool; 3] {
        let bit = |set: &Vec<u64>| {
            set.get(fd / WORD_BITS)
                .is_some_and(|word| word & 1 << (fd % WORD_BITS) != 0)
        };
        [
            bit(&self.asked[0]),
            bit(&self.asked[1]),
            bit(&self.asked[2]),
        ]
    }

    fn mark(&mut self, set: usize, fd: usize) {
        let word = self
            .found
            .get_mut(set)
            .and_then(|set| set.get_mut(fd / WORD_BITS));
        if let Some(word) = word {
            *word |= 1 << (fd % WORD_BITS);
        }
    }

    fn clear(&mut self) {
        self.found.iter_mut().for_each(|set| set.fill(0));
    }

    /// Looks at every descriptor that is asked for.
    fn scan(
        &mut self,
        files: &FdTable,
        count: usize,
        mut watch: Option<&mut dyn Watch>,
    ) -> Result<usize, Errno> {
        self.clear();
        let mut ready = 0;
        for fd in 0..count {
            let asked = self.asked_for(fd);
            if asked == [false; 3] {
                continue;
            }
            let number = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
            let watch = if ready == 0 {
                reborrow(&mut watch)
            } else {
                None
            };
            let state = look(files, number, Events::all(), watch);
            if state.contains(Events::NVAL) {
                return Err(Errno::EBADF);
            }
            for (set, wanted) in READY.into_iter().enumerate() {
                if asked.get(set) == Some(&true) && state.intersects(wanted) {
                    self.mark(set, fd);
                    ready += 1;
                }
            }
        }
        Ok(ready)
    }
}

fn do_select(task: &Arc<Task>, count: i32, at: [UserAddr; 3], until: Until) -> SysResult {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let limit = usize_of(task.process().limit(kiln_core::abi::RLIMIT_NOFILE));
    let (space, files) = (task.space()?, task.files()?);
    let count = count.min(limit);
    let mut sets = Sets::read(&space, count, at)?;
    let ready = wait_ready(until, |watch| sets.scan(&files, count, watch))?;
    sets.write(&space, at)?;
    Ok(u64_of(ready))
}

/// select(2); the rest of the time goes back to the caller.
pub(crate) fn select(
    call: &mut Call<'_>,
    count: i32,
    reads: UserAddr,
    writes: UserAddr,
    exceptions: UserAddr,
    timeout: UserAddr,
) -> SysResult {
    let space = call.space;
    let until = if timeout.is_null() {
        Until::Forever
    } else {
        let bytes: [u8; TIMESPEC_SIZE] = space.read_val(timeout)?;
        Until::after(Timeval::decode(&bytes).to_ns()?)
    };
    let result = do_select(call.task, count, [reads, writes, exceptions], until);
    store_left(
        call.task,
        space,
        timeout,
        until,
        Timeval::from_ns(until.left()).encode(),
    );
    result
}

/// pselect6(2): the last argument points to a mask's address and size.
pub(crate) fn pselect6(
    call: &mut Call<'_>,
    count: i32,
    reads: UserAddr,
    writes: UserAddr,
    exceptions: UserAddr,
    timeout: UserAddr,
    mask: UserAddr,
) -> SysResult {
    let space = call.space;
    let until = read_timespec(space, timeout)?;
    let mask = mask_argument(space, mask)?;
    with_mask(call.task, space, mask, || {
        let result = do_select(call.task, count, [reads, writes, exceptions], until);
        let left = Timespec::from_ns(until.left());
        store_left(call.task, space, timeout, until, left.encode());
        result
    })
}
