//! A queue against a device made of the same memory, which keeps the rules or breaks them.

use super::*;
use alloc::rc::Rc;
use alloc::vec;
use core::cell::RefCell;
use proptest::prelude::*;
use std::collections::VecDeque;

/// Memory with a device at its other end.
#[derive(Clone)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Shared {
    fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.0.borrow()[offset..offset + N].try_into().unwrap()
    }

    fn put(&self, offset: usize, bytes: &[u8]) {
        self.0.borrow_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

impl RingMemory for Shared {
    fn read16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.bytes(offset))
    }
    fn read32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.bytes(offset))
    }
    fn write16(&self, offset: usize, value: u16) {
        self.put(offset, &value.to_le_bytes());
    }
    fn write64(&self, offset: usize, value: u64) {
        self.put(offset, &value.to_le_bytes());
    }
}

/// The device's side, written from the specification's text alone.
struct Device {
    memory: Shared,
    layout: Layout,
    size: u16,
    seen: u16,
    done: u16,
    held: VecDeque<(u16, Vec<Buffer>)>,
}

impl Device {
    fn fetch(&mut self) {
        while self.memory.read16(self.layout.avail + 2) != self.seen {
            let slot = usize::from(self.seen % self.size);
            let head = self.memory.read16(self.layout.avail + 4 + 2 * slot);
            self.seen = self.seen.wrapping_add(1);
            let mut chain = vec![];
            let mut at = usize::from(head);
            loop {
                let addr = u64::from_le_bytes(self.memory.bytes(16 * at));
                let len = self.memory.read32(16 * at + 8);
                let flags = self.memory.read16(16 * at + 12);
                chain.push(Buffer {
                    addr: PhysAddr::new(addr),
                    len,
                    device_writes: flags & 2 != 0,
                });
                if flags & 1 == 0 {
                    break;
                }
                at = usize::from(self.memory.read16(16 * at + 14));
            }
            self.held.push_back((head, chain));
        }
    }

    fn finish(&mut self, id: u32, written: u32) {
        let at = self.layout.used + 4 + 8 * usize::from(self.done % self.size);
        self.memory.put(at, &id.to_le_bytes());
        self.memory.put(at + 4, &written.to_le_bytes());
        self.done = self.done.wrapping_add(1);
        self.memory.write16(self.layout.used + 2, self.done);
    }
}

fn pair(size: u16) -> (SplitQueue<Shared>, Device) {
    let layout = Layout::new(size);
    let memory = Shared(Rc::new(RefCell::new(vec![0; layout.len])));
    let device = Device {
        memory: memory.clone(),
        layout,
        size,
        seen: 0,
        done: 0,
        held: VecDeque::new(),
    };
    (SplitQueue::new(memory, size).unwrap(), device)
}

#[test]
fn layouts_are_the_specifications() {
    let layout = Layout::new(128);
    assert_eq!((layout.avail, layout.used), (2048, 2312));
    assert!(layout.len <= 4096);
}

#[test]
fn made_up_tokens_break_the_device_not_us() {
    for id in [0, 3, 4, 70_000] {
        let (mut queue, mut device) = pair(4);
        let buffer = Buffer::to_device(PhysAddr::new(4096), 1);
        assert_eq!(queue.push([buffer, buffer]), Ok(0));
        device.finish(if id == 0 { 1 } else { id }, 0);
        assert_eq!(queue.pop(), Err(BrokenDevice));
    }
    let (mut queue, mut device) = pair(4);
    queue
        .push([Buffer::to_device(PhysAddr::new(4096), 1)])
        .unwrap();
    device.finish(0, 0);
    device.finish(0, 0);
    assert!(queue.pop().unwrap().is_some());
    assert_eq!(queue.pop(), Err(BrokenDevice), "returned twice");
}

#[test]
fn a_full_queue_refuses_and_stays_whole() {
    let (mut queue, mut device) = pair(4);
    let buffer = Buffer::from_device(PhysAddr::new(64), 7);
    assert_eq!(queue.push([buffer; 5]), Err(Full));
    assert_eq!(queue.push([]), Err(Full));
    let token = queue.push([buffer; 4]).unwrap();
    assert_eq!(queue.push([buffer]), Err(Full));
    device.fetch();
    assert_eq!(device.held[0].1, [buffer; 4]);
    device.finish(token.into(), 28);
    assert_eq!(queue.pop(), Ok(Some(Used { token, written: 28 })));
    assert_eq!((queue.free(), queue.in_flight()), (4, 0));
}

#[test]
fn interrupt_and_notify_flags() {
    let (mut queue, device) = pair(4);
    assert!(queue.should_notify());
    device.memory.write16(device.layout.used, 1);
    assert!(!queue.should_notify());
    queue.set_interrupts(false);
    assert_eq!(device.memory.read16(device.layout.avail), 1);
    queue.set_interrupts(true);
    assert_eq!(device.memory.read16(device.layout.avail), 0);
}

proptest! {
    /// Chains arrive as pushed and come back in any order, past the wrap of the indices.
    #[test]
    fn chains_survive(steps in proptest::collection::vec((0u8..3, 1usize..6, any::<u16>()), 1..400)) {
        let (mut queue, mut device) = pair(16);
        device.seen = u16::MAX - 20;
        device.done = u16::MAX - 20;
        queue.avail_next = device.seen;
        queue.used_next = device.done;
        device.memory.write16(device.layout.avail + 2, device.seen);
        device.memory.write16(device.layout.used + 2, device.done);
        let mut expected = std::collections::HashMap::new();
        let mut serial = 0u64;
        for (step, count, pick) in steps {
            match step {
                0 => {
                    let chain: Vec<_> = (0..count).map(|i| {
                        serial += 1;
                        Buffer { addr: PhysAddr::new(serial << 12), len: 1 + i as u32, device_writes: i > 1 }
                    }).collect();
                    let room = queue.free() >= count;
                    let pushed = queue.push(chain.clone());
                    prop_assert_eq!(pushed.is_ok(), room);
                    if let Ok(token) = pushed {
                        prop_assert!(expected.insert(token, chain).is_none());
                    }
                }
                1 => {
                    device.fetch();
                    if !device.held.is_empty() {
                        let at = usize::from(pick) % device.held.len();
                        let (head, chain) = device.held.remove(at).unwrap();
                        prop_assert_eq!(Some(&chain), expected.get(&head));
                        device.finish(head.into(), chain.len() as u32);
                    }
                }
                _ => {
                    if let Some(used) = queue.pop().unwrap() {
                        let chain = expected.remove(&used.token).unwrap();
                        prop_assert_eq!(chain.len() as u32, used.written);
                    }
                }
            }
            let held: usize = expected.values().map(Vec::len).sum();
            prop_assert_eq!(queue.in_flight(), held);
        }
    }
}
