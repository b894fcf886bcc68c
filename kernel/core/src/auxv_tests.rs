//! The stack as built here against the one Linux gave this very test program.
use super::*;
use std::fs;
use std::string::String;
use std::vec;

fn strings(args: &[&[u8]], envs: &[&[u8]]) -> ArgStrings {
    let mut strings = ArgStrings::new(8 << 20, 0);
    args.iter().for_each(|arg| strings.push_arg(arg).unwrap());
    envs.iter().for_each(|env| strings.push_env(env).unwrap());
    strings
}

/// All `len` bytes at `addr`, put together from what lies on pages.
fn bytes(stack: &InitialStack<'_>, addr: u64, len: u64) -> Vec<u8> {
    let first = addr & !4095;
    let mut all = vec![0; usize_of(addr + len - first).next_multiple_of(4096)];
    for (page, place) in (first..).step_by(4096).zip(all.chunks_exact_mut(4096)) {
        for (offset, piece) in stack.pieces(page, 4096) {
            place[offset..offset + piece.len()].copy_from_slice(piece);
        }
    }
    all[usize_of(addr - first)..usize_of(addr + len - first)].to_vec()
}

fn word(stack: &InitialStack<'_>, index: u64) -> u64 {
    let bytes = bytes(stack, stack.pointer + index * 8, 8);
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn at(stack: &InitialStack<'_>, addr: u64) -> Vec<u8> {
    let from = bytes(stack, addr, 64);
    from.split(|byte| *byte == 0).next().unwrap().to_vec()
}

#[test]
fn everything_is_where_the_abi_says() {
    let strings = strings(&[b"prog", b"", b"a b"], &[b"K=V", b"X="]);
    let frame = Frame {
        top: 0x7FFF_FFFF_F000,
        jitter: 12345,
        path: b"/bin/prog",
        random: *b"0123456789abcdef",
        aux: AuxInfo {
            entry: 0x401000,
            ids: [1, 2, 3, 4],
            ..AuxInfo::default()
        },
    };
    let stack = build(&strings, &frame).unwrap();
    assert_eq!(stack.pointer % 16, 0);
    let path = frame.top - 8 - 1 - frame.path.len() as u64;
    assert_eq!(
        bytes(&stack, path, frame.top - path),
        b"/bin/prog\0\0\0\0\0\0\0\0\0"
    );
    assert_eq!(word(&stack, 0), 3);
    assert_eq!(at(&stack, word(&stack, 1)), b"prog");
    assert_eq!(at(&stack, word(&stack, 2)), b"");
    assert_eq!(at(&stack, word(&stack, 3)), b"a b");
    assert_eq!(word(&stack, 4), 0);
    assert_eq!(at(&stack, word(&stack, 5)), b"K=V");
    assert_eq!(at(&stack, word(&stack, 6)), b"X=");
    assert_eq!(word(&stack, 7), 0);
    assert_eq!(stack.strings[0], word(&stack, 1));
    assert_eq!(stack.strings[1], word(&stack, 5));
    assert_eq!(stack.vector.0, stack.pointer + 64);
    let value = |key: u32| {
        let mut pairs = (8..)
            .step_by(2)
            .map(|i| (word(&stack, i), word(&stack, i + 1)));
        pairs.find(|(k, _)| *k == u64::from(key)).unwrap().1
    };
    assert_eq!(value(abi::AT_ENTRY), 0x401000);
    assert_eq!(value(abi::AT_EGID), 4);
    assert_eq!(at(&stack, value(abi::AT_EXECFN)), b"/bin/prog");
    assert_eq!(at(&stack, value(abi::AT_PLATFORM)), b"x86_64");
    let random = bytes(&stack, value(abi::AT_RANDOM), 16);
    assert_eq!(random, b"0123456789abcdef");
    assert_eq!(value(abi::AT_NULL), 0);
}

/// This process's own auxiliary vector, its stack's end and the bytes above its strings.
fn own_stack() -> Option<(Vec<(u64, u64)>, u64)> {
    let vector = fs::read("/proc/self/auxv").ok()?;
    let words: Vec<u64> = vector
        .chunks_exact(8)
        .map(|c| u64::from_le_bytes(c.try_into().unwrap()))
        .collect();
    let pairs = words.chunks_exact(2).map(|p| (p[0], p[1])).collect();
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("[stack]"))?;
    let end = line.split(['-', ' ']).nth(1)?;
    Some((pairs, u64::from_str_radix(end, 16).ok()?))
}

#[test]
#[cfg_attr(miri, ignore)]
fn strings_lie_where_linux_puts_them() {
    use std::io::{Read, Seek, SeekFrom};
    let Some((vector, top)) = own_stack() else {
        return;
    };
    let value = |key: u32| vector.iter().find(|(k, _)| *k == u64::from(key)).unwrap().1;
    let mut memory = fs::File::open("/proc/self/mem").unwrap();
    let mut read = |addr: u64, len: u64| {
        let mut bytes = vec![0; len as usize];
        memory.seek(SeekFrom::Start(addr)).unwrap();
        memory.read_exact(&mut bytes).unwrap();
        bytes
    };
    let path_at = value(abi::AT_EXECFN);
    let path = read(path_at, top - path_at - 9);
    let mut strings = ArgStrings::new(8 << 20, 0);
    let split = |bytes: Vec<u8>| -> Vec<Vec<u8>> {
        let end = bytes.len().saturating_sub(1);
        bytes[..end]
            .split(|b| *b == 0)
            .map(<[u8]>::to_vec)
            .collect()
    };
    for arg in split(fs::read("/proc/self/cmdline").unwrap()) {
        strings.push_arg(&arg).unwrap();
    }
    for env in split(fs::read("/proc/self/environ").unwrap()) {
        strings.push_env(&env).unwrap();
    }
    let start = path_at - strings.bytes().len() as u64;
    let platform = value(abi::AT_PLATFORM);
    let frame = Frame {
        top,
        jitter: start - (platform + 7),
        path: &path,
        random: read(value(abi::AT_RANDOM), 16).try_into().unwrap(),
        aux: AuxInfo::default(),
    };
    let ours = build(&strings, &frame).unwrap();
    assert_eq!(ours.strings[0], start);
    let shared = value(abi::AT_RANDOM);
    let theirs = read(shared, top - shared);
    let tail = bytes(&ours, shared, top - shared);
    assert_eq!(
        String::from_utf8_lossy(&tail),
        String::from_utf8_lossy(&theirs)
    );
}

#[test]
fn limits_are_linuxs() {
    let mut strings = ArgStrings::new(8 << 20, 0);
    assert_eq!(
        strings.push_arg(&vec![b'a'; STRING_MAX]),
        Err(StackError::TooBig)
    );
    strings.push_arg(&vec![b'a'; STRING_MAX - 1]).unwrap();
    // A quarter of the stack limit for everything, 128 KiB at least.
    let mut count = 1;
    while strings.push_arg(&vec![b'a'; STRING_MAX - 1]).is_ok() {
        count += 1;
    }
    assert_eq!(count, 15);
    let mut tiny = ArgStrings::new(4096, 0);
    let mut fitted = 0;
    while tiny.push_env(b"xxxxxxx").is_ok() {
        fitted += 1;
    }
    assert_eq!(fitted, 131_072 / 16 - 1);
}

#[test]
fn a_script_line_replaces_the_first_argument() {
    let mut s = strings(&[b"script", b"-x"], &[b"A=B"]);
    s.replace_first_arg(&[b"/bin/sh", b"-e", b"./script"])
        .unwrap();
    assert_eq!(s.bytes(), b"/bin/sh\0-e\0./script\0-x\0A=B\0");
    assert_eq!((s.args(), s.envs()), (4, 1));
    let mut none = strings(&[], &[b"A=B"]);
    none.replace_first_arg(&[b"sh", b"f"]).unwrap();
    assert_eq!(none.bytes(), b"sh\0f\0A=B\0");
    assert_eq!(none.args(), 2);
}
