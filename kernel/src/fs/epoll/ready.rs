//! The ready list of an epoll file: [`Ready`], which items and waiters share.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::errno::Errno;

use super::item::Item;
use super::nest::Nest;
use crate::sched::WaitQueue;
use crate::sync::IrqLock;

/// The ready list and who waits for it.
pub(super) struct Ready {
    pub(super) list: IrqLock<List>,
    pub(super) queue: Arc<WaitQueue>,
    pub(super) nest: Nest,
}

/// Items to look at. There is room for all there are ([`List::swap`]), so nothing is allocated when one becomes
/// ready.
#[derive(Default)]
pub(super) struct List {
    pub(super) items: VecDeque<Arc<Item>>,
}

impl List {
    pub(super) fn push(&mut self, item: &Arc<Item>) {
        // There may be no room for one that nobody watches any more.
        if !item.is_off() && !item.queued.load(Ordering::Relaxed) {
            item.queued.store(true, Ordering::Relaxed);
            self.items.push_back(Arc::clone(item));
        }
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

    /// The next item to look at. One that is told of as long as it is ready stays in the list, behind the others; all
    /// others are off it. `left` counts down from as many as there are at first.
    pub(super) fn next(&self, left: &mut Option<usize>) -> Option<Arc<Item>> {
        let mut list = self.list.lock();
        let remaining = left.unwrap_or(list.items.len()).checked_sub(1)?;
        *left = Some(remaining);
        let first = list.items.front()?;
        if !first.is_level_triggered() {
            return list.pop();
        }
        let item = Arc::clone(first);
        if list.items.len() > 1 {
            list.items.rotate_left(1);
        }
        Some(item)
    }

    /// Takes an item off the list; whether it was in it.
    #[inline(never)]
    pub(super) fn remove(&self, item: &Arc<Item>) -> bool {
        let mut list = self.list.lock();
        // It was put behind the others.
        let at = list
            .items
            .iter()
            .rposition(|other| Arc::ptr_eq(other, item));
        let removed = at.and_then(|at| list.items.remove(at));
        if removed.is_some() {
            item.queued.store(false, Ordering::Relaxed);
        }
        drop(list);
        removed.is_some()
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
