//! The ready list of an epoll file: [`Ready`], which items and waiters share.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::errno::Errno;

use super::Item;
use crate::sched::WaitQueue;
use crate::sync::{IrqLock, IrqLockGuard};

/// The ready list and who waits for it.
pub(super) struct Ready {
    pub(super) list: IrqLock<List>,
    pub(super) queue: Arc<WaitQueue>,
}

/// The ready list, locked.
type ListGuard<'a> = IrqLockGuard<'a, List>;

/// Items to look at. There is room for all there are ([`List::swap`]), so nothing is allocated when one becomes
/// ready.
#[derive(Default)]
pub(super) struct List {
    pub(super) items: VecDeque<Arc<Item>>,
}

impl List {
    pub(super) fn push(&mut self, item: &Arc<Item>) {
        if self.takes(item) {
            self.items.push_back(Arc::clone(item));
        }
    }

    /// Whether an item is to come in; then it counts as being there.
    fn takes(&self, item: &Item) -> bool {
        // There may be no room for one that nobody watches any more.
        let takes = !item.is_off() && !item.queued.load(Ordering::Relaxed);
        if takes {
            item.queued.store(true, Ordering::Relaxed);
        }
        takes
    }

    pub(super) fn pop(&mut self) -> Option<Arc<Item>> {
        let item = self.items.pop_front()?;
        item.queued.store(false, Ordering::Relaxed);
        Some(item)
    }

    /// Goes on in `larger`; gives the memory that was used before.
    fn swap(&mut self, mut larger: VecDeque<Arc<Item>>) -> VecDeque<Arc<Item>> {
        larger.extend(self.items.drain(..));
        core::mem::replace(&mut self.items, larger)
    }
}

impl Ready {
    pub(super) fn push(&self, item: &Arc<Item>) {
        self.list.lock().push(item);
        self.queue.wake_one();
    }

    /// Puts an item back that was just looked at; the list, to take the next off.
    pub(super) fn put_back(&self, item: Arc<Item>) -> ListGuard<'_> {
        let mut list = self.list.lock();
        if list.takes(&item) {
            list.items.push_back(item);
            return list;
        }
        // It may be the last handle, which goes with the list open.
        drop(list);
        drop(item);
        self.list.lock()
    }

    /// Makes room in the list for one item beside `items` others, of which some may be in it, as some may be that
    /// nobody watches any more.
    pub(super) fn reserve(&self, items: usize) -> Result<(), Errno> {
        let list = self.list.lock();
        let (needed, room) = (list.items.len() + items + 1, list.items.capacity());
        drop(list);
        if needed <= room {
            return Ok(());
        }
        let mut larger = VecDeque::new();
        // Those that aren't in it may come meanwhile, but no others.
        larger
            .try_reserve_exact(2 * needed)
            .map_err(|_| Errno::ENOMEM)?;
        let old = self.list.lock().swap(larger);
        drop(old);
        Ok(())
    }
}
