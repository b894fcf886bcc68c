//! What the `vm` room's operations cost; under `-icount shift=0` a nanosecond is an instruction.

use core::fmt::Write;

use kiln_core::abi;
use kiln_core::addr::UserAddr;

use super::vm::{PAGE, anonymous, must, of_file, tape};
use crate::arch::time;
use crate::drivers::serial;
use crate::sched;
use crate::vm::{Access, AddressSpace, IoDst};

struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        serial::write(text.as_bytes());
        Ok(())
    }
}

fn measure(name: &str, count: u64, mut operation: impl FnMut(u64)) {
    let start = time::now_ns();
    (0..count).for_each(&mut operation);
    let each = (time::now_ns() - start) / count;
    let _ = writeln!(Serial, "{name:32} {each:8}");
}

pub(super) fn run() {
    let space = must(AddressSpace::new());
    sched::current().set_root(Some(space.root()));
    let at = must(space.mmap(anonymous(1000 * PAGE, abi::MAP_PRIVATE))).raw();
    measure("anonymous fault", 1000, |page| {
        must(space.fault(UserAddr::new(at + page * PAGE), Access::Write));
    });
    measure("spurious fault", 1000, |page| {
        must(space.fault(UserAddr::new(at + page * PAGE), Access::Write));
    });
    measure("copy_in of 8 bytes", 1000, |page| {
        must(space.read_val::<u64>(UserAddr::new(at + page * PAGE)));
    });
    let (_, mapping) = tape(1000 * PAGE, false);
    mapping.read_ahead(0, 1000);
    let shared = must(space.mmap(of_file(&mapping, 1000 * PAGE, abi::MAP_PRIVATE))).raw();
    measure("file fault, 16 pages", 60, |window| {
        must(space.fault(UserAddr::new(shared + window * 16 * PAGE), Access::Read));
    });
    measure("copy on write of a file page", 900, |page| {
        must(space.fault(UserAddr::new(shared + page * PAGE), Access::Write));
    });
    measure("mmap + munmap", 1000, |_| {
        let at = must(space.mmap(anonymous(PAGE, abi::MAP_PRIVATE))).raw();
        must(space.munmap(at, PAGE));
    });
    let mut buffer = [0; 512];
    measure("read 512 cached bytes", 900, |page| {
        must(mapping.read(page * PAGE, &mut IoDst::kernel(&mut buffer)));
    });
    measure("read 1 cached byte to user", 900, |page| {
        must(mapping.read(
            page * PAGE,
            &mut IoDst::user_buf(&space, UserAddr::new(at), 1),
        ));
    });
    let small = must(AddressSpace::new());
    sched::current().set_root(Some(small.root()));
    let at = must(small.mmap(anonymous(30 * PAGE, abi::MAP_PRIVATE))).raw();
    must(small.mmap(of_file(&mapping, 100 * PAGE, abi::MAP_PRIVATE)));
    for page in 0..30 {
        must(small.fault(UserAddr::new(at + page * PAGE), Access::Write));
    }
    measure("fork of 30 pages, and its end", 100, |_| {
        drop(must(small.fork()));
    });
    measure("write after fork, frame kept", 30, |page| {
        must(small.fault(UserAddr::new(at + page * PAGE), Access::Write));
    });
    measure("an empty space, and its end", 100, |_| {
        drop(must(AddressSpace::new()));
    });
    sched::current().set_root(None);
}
