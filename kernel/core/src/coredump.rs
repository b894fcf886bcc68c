//! Core files (core(5)): the name that one gets, and the pieces of an ELF file of this kind.

use alloc::vec::Vec;

use crate::num::{low32, u64_of};
use crate::time::Timeval;

/// Longest pattern (`CORENAME_MAX_SIZE` without its end, fs/coredump.c).
pub const PATTERN_MAX: usize = 127;
/// Bytes of a file's and of a program header (elf.h).
pub const HEADER: usize = 64;
/// As [`HEADER`].
pub const PROGRAM_HEADER: usize = 56;
/// Most program headers that a file's header can count (`PN_XNUM` is another way, elf.h).
pub const HEADERS_MAX: usize = 0xFFFE;
/// Bytes of `struct elf_prstatus` (sys/procfs.h).
pub const STATUS: usize = 336;
/// Bytes of `struct elf_prpsinfo`, and most of the arguments in it.
pub const PROCESS: usize = 136;
/// As [`PROCESS`].
pub const ARGUMENTS_MAX: usize = 79;
/// Kinds of notes (linux/elf.h).
pub const NT_PRSTATUS: u32 = 1;
/// As [`NT_PRSTATUS`].
pub const NT_PRFPREG: u32 = 2;
/// As [`NT_PRSTATUS`].
pub const NT_PRPSINFO: u32 = 3;
/// As [`NT_PRSTATUS`].
pub const NT_AUXV: u32 = 6;
/// As [`NT_PRSTATUS`].
pub const NT_SIGINFO: u32 = 0x5349_4749;
/// As [`NT_PRSTATUS`].
pub const NT_FILE: u32 = 0x4649_4C45;
/// As [`NT_PRSTATUS`]; Linux's own.
pub const NT_X86_XSTATE: u32 = 0x202;
/// Kinds of program headers.
const PT_LOAD: u64 = 1;
const PT_NOTE: u64 = 4;

/// Of what a core is.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Process.
    pub pid: u32,
    /// The thread that the signal ended.
    pub tid: u32,
    /// Parent, group and session.
    pub relations: [u32; 3],
    /// Real user and group.
    pub ids: [u32; 2],
    /// The signal.
    pub signal: u8,
    /// The thread's.
    pub nice: u8,
    /// When, in seconds.
    pub time: u64,
    /// Most bytes that the file may have.
    pub limit: u64,
    /// The thread's name.
    pub name: [u8; 16],
    /// The arguments' beginning, with spaces between them.
    pub arguments: [u8; ARGUMENTS_MAX],
}

/// What is told of each thread.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// Its number.
    pub tid: u32,
    /// Pending and blocked signals.
    pub masks: [u64; 2],
    /// Nanoseconds in user mode and in the kernel: the thread's, and of children waited for.
    pub times: [u64; 4],
    /// In ptrace's order (`struct user_regs_struct`).
    pub registers: [u64; 27],
}

impl Subject {
    /// The file's name after a pattern, on a machine of this name, of a program in this file; none when memory has ended.
    #[must_use]
    pub fn file_name(
        &self,
        pattern: &[u8],
        mut with_pid: bool,
        host: &[u8],
        exe: &[u8],
    ) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = pattern.iter();
        while let Some(byte) = rest.next() {
            if *byte != b'%' {
                push(&mut out, core::slice::from_ref(byte))?;
                continue;
            }
            let letter = rest.next().copied().unwrap_or_default();
            let name = match letter {
                b'e' => self.name.get(..find(&self.name, 0).unwrap_or(16))?,
                b'h' => host,
                b'E' => exe,
                b'f' => {
                    let mut last = exe;
                    while let Some(at) = find(last, b'/') {
                        last = last.get(at + 1..)?;
                    }
                    last
                }
                b'%' => b"%",
                _ => {
                    with_pid &= letter != b'p';
                    if let Some(number) = self.number(letter) {
                        push_number(&mut out, number)?;
                    }
                    continue;
                }
            };
            push_name(&mut out, name)?;
        }
        if with_pid {
            push(&mut out, b".")?;
            push_number(&mut out, self.pid.into())?;
        }
        Some(out)
    }

    fn number(&self, letter: u8) -> Option<u64> {
        Some(match letter {
            b'p' | b'P' => self.pid.into(),
            b'i' | b'I' => self.tid.into(),
            b'u' => self.ids[0].into(),
            b'g' => self.ids[1].into(),
            b's' => self.signal.into(),
            b't' => self.time,
            b'c' => self.limit,
            // Others leave none.
            b'd' => 1,
            _ => return None,
        })
    }

    /// The note of a thread (`struct elf_prstatus`).
    #[must_use]
    pub fn status(&self, thread: &Thread) -> [u8; STATUS] {
        let [parent, group, session] = self.relations;
        let head = [
            self.signal.into(),
            u64::from(self.signal) << 32,
            thread.masks[0],
            thread.masks[1],
            pair(thread.tid, parent),
            pair(group, session),
        ];
        let mut bytes = encode(&head);
        let rest = bytes.split_at_mut(48).1;
        let (times, rest) = rest.split_at_mut(64);
        for (place, ns) in times.chunks_exact_mut(16).zip(&thread.times) {
            let time = Timeval::from_ns(*ns);
            fill(
                place,
                &[time.sec.cast_unsigned(), time.usec.cast_unsigned()],
            );
        }
        fill(rest, &thread.registers);
        // pr_fpvalid.
        put(&mut bytes, STATUS - 8, &[1]);
        bytes
    }

    /// The process's note (`struct elf_prpsinfo`).
    #[must_use]
    pub fn process(&self) -> [u8; PROCESS] {
        let [parent, group, session] = self.relations;
        let mut bytes = encode(&[
            u64::from(b'R') << 8 | u64::from(self.nice) << 24,
            0,
            pair(self.ids[0], self.ids[1]),
            pair(self.pid, parent),
            pair(group, session),
        ]);
        put(&mut bytes, 40, &self.name);
        put(&mut bytes, 56, &self.arguments);
        bytes
    }
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// An area of memory in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its address and its size.
    pub start: u64,
    /// In bytes.
    pub size: u64,
    /// How much of it, from the start, is in the file.
    pub stored: u64,
    /// `PF_*`.
    pub rights: u32,
    /// What isn't in memory is zeros.
    pub fresh: bool,
}

impl Segment {
    /// Its program header, for contents at a place in the file.
    #[must_use]
    pub fn header(&self, at: u64) -> [u64; PROGRAM_HEADER / 8] {
        let kind = PT_LOAD | u64::from(self.rights) << 32;
        [kind, at, self.start, 0, self.stored, self.size, 4096]
    }
}

/// The file's header, for so many program headers, which follow at once.
#[must_use]
pub fn header(count: usize) -> [u64; HEADER / 8] {
    let sizes = u64_of(HEADER) << 32 | u64_of(PROGRAM_HEADER) << 48;
    [
        u64::from_le_bytes(*b"\x7FELF\x02\x01\x01\0"),
        0,
        // ET_CORE, EM_X86_64, EV_CURRENT; no entry, no sections, no flags.
        4 | 62 << 16 | 1 << 32,
        0,
        u64_of(HEADER),
        0,
        sizes,
        u64_of(count) & 0xFFFF,
    ]
}

/// The program header of the notes.
#[must_use]
pub fn notes_header(at: u64, len: u64) -> [u64; PROGRAM_HEADER / 8] {
    [PT_NOTE, at, 0, 0, len, 0, 4]
}

/// What a note begins with; what is in it follows, up to a multiple of four bytes.
#[must_use]
pub fn note_header(kind: u32, len: usize) -> [u8; 20] {
    let (name, owner) = match kind {
        NT_X86_XSTATE => (6, *b"LINUX\0\0\0"),
        _ => (5, *b"CORE\0\0\0\0"),
    };
    let mut bytes = [0; 20];
    for (to, word) in bytes
        .chunks_exact_mut(4)
        .zip([name, low32(u64_of(len)), kind])
    {
        to.copy_from_slice(&u32::to_le_bytes(word));
    }
    put(&mut bytes, 12, &owner);
    bytes
}

/// How long a note is in all.
#[must_use]
pub const fn note_size(len: usize) -> usize {
    20 + len.next_multiple_of(4)
}

fn encode<const BYTES: usize>(words: &[u64]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    fill(&mut bytes, words);
    bytes
}

#[inline(never)]
fn fill(bytes: &mut [u8], words: &[u64]) {
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
}

#[inline(never)]
fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    let places = bytes.iter_mut().skip(at);
    places.zip(what).for_each(|(to, from)| *to = *from);
}

#[inline(never)]
fn find(bytes: &[u8], what: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == what)
}

fn push(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.try_reserve(bytes.len()).ok()?;
    out.extend_from_slice(bytes);
    Some(())
}

fn push_number(out: &mut Vec<u8>, mut number: u64) -> Option<()> {
    let mut digits = [0; 20];
    let mut first = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' | crate::num::low8(number % 10);
        number /= 10;
        first -= 1;
        if number == 0 {
            break;
        }
    }
    push(out, digits.get(first..)?)
}

/// A part of a name that leads nowhere: neither into directories nor out of one.
fn push_name(out: &mut Vec<u8>, name: &[u8]) -> Option<()> {
    let start = out.len();
    push(out, if name.is_empty() { b"!" } else { name })?;
    let part = out.get_mut(start..)?;
    let leads = matches!(*part, [b'.'] | [b'.', b'.']);
    for (index, byte) in part.iter_mut().enumerate() {
        if *byte == b'/' || leads && index == 0 {
            *byte = b'!';
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn subject() -> Subject {
        Subject {
            pid: 70,
            tid: 71,
            relations: [1, 70, 60],
            ids: [1000, 100],
            signal: 11,
            nice: 5,
            time: 1_700_000_000,
            limit: u64::MAX,
            name: *b"prog\0\0\0\0\0\0\0\0\0\0\0\0",
            arguments: [b'x'; ARGUMENTS_MAX],
        }
    }

    fn word(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    fn half(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn names() {
        let name = |pattern: &str, with_pid| {
            let name =
                subject().file_name(pattern.as_bytes(), with_pid, b"a/b", b"/bin/the-program");
            String::from_utf8(name.unwrap()).unwrap()
        };
        assert_eq!(name("core", false), "core");
        assert_eq!(name("core", true), "core.70");
        assert_eq!(name("", true), ".70");
        assert_eq!(name("c.%p", true), "c.70");
        assert_eq!(
            name("/d/%e-%h_%i%%%u.%g.%s.%t%z%", false),
            "/d/prog-a!b_71%1000.100.11.1700000000"
        );
        assert_eq!(name("%f %E", false), "the-program !bin!the-program");
        assert_eq!(name("%d %c", false), "1 18446744073709551615");
        let odd = Subject {
            name: *b"..\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            ..subject()
        };
        assert_eq!(
            odd.file_name(b"%e/%h/%f/x", false, b"", b".").unwrap(),
            b"!./!/!/x"
        );
    }

    #[test]
    fn headers() {
        let bytes = header(3).map(u64::to_le_bytes);
        let bytes = bytes.as_flattened();
        assert_eq!(&bytes[..8], b"\x7FELF\x02\x01\x01\0");
        // e_type, e_machine and e_version; e_phoff; e_ehsize, e_phentsize and e_phnum.
        assert_eq!((half(bytes, 16), half(bytes, 20)), (4 | 62 << 16, 1));
        assert_eq!((word(bytes, 24), word(bytes, 32)), (0, 64));
        assert_eq!(word(bytes, 48), 64 << 32 | 56 << 48);
        assert_eq!(word(bytes, 56), 3);
        let segment = Segment {
            start: 0x9000,
            size: 0x3000,
            stored: 0x1000,
            rights: 6,
            fresh: true,
        };
        assert_eq!(
            segment.header(0x4000),
            [1 | 6 << 32, 0x4000, 0x9000, 0, 0x1000, 0x3000, 4096]
        );
        assert_eq!(notes_header(64, 99), [4, 64, 0, 0, 99, 0, 4]);
    }

    #[test]
    fn notes() {
        let note = note_header(NT_X86_XSTATE, 833);
        assert_eq!((half(&note, 0), half(&note, 4)), (6, 833));
        assert_eq!(&note[8..], b"\x02\x02\0\0LINUX\0\0\0");
        assert_eq!(note_size(833), 20 + 836);
        assert_eq!(&note_header(NT_AUXV, 0)[12..], b"CORE\0\0\0\0");
        let thread = Thread {
            tid: 72,
            masks: [1, 2],
            times: [1_000_002_000, 3_000, 4_000, 5_000],
            registers: [7; 27],
        };
        let status = subject().status(&thread);
        assert_eq!((status[0], status[12], status[32]), (11, 11, 72));
        assert_eq!((word(&status, 16), word(&status, 24)), (1, 2));
        assert_eq!((half(&status, 36), half(&status, 44)), (1, 60));
        let times = [0, 1, 2, 3, 4, 5, 6, 7].map(|index| word(&status, 48 + 8 * index));
        assert_eq!(times, [1, 2, 0, 3, 0, 4, 0, 5]);
        assert_eq!((word(&status, 112), word(&status, 320)), (7, 7));
        assert_eq!(word(&status, 328), 1);
        let process = subject().process();
        assert_eq!(&process[..4], b"\0R\0\x05");
        assert_eq!(half(&process, 24), 70);
        assert_eq!(&process[40..45], b"prog\0");
        assert_eq!((process[56], process[134], process[135]), (b'x', b'x', 0));
    }
}
