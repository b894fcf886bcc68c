//! Random pieces written and read at random places, against a model in memory.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let mut model: Vec<u8> = Vec::new();
    let mut seed = 12_345u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut wrong = 0;
    for step in 0..1500 {
        let (at, len) = (next(200_000), next(9_000) + 1);
        match next(8) {
            0 => {
                let size = next(200_000);
                let _ = file::ftruncate(fd, size as i64);
                model.resize(size, 0);
            }
            1..=3 => {
                let piece = vec![(step % 255) as u8 + 1; len];
                wrong += usize::from(file::pwrite(fd, &piece, at as i64) != Ok(len));
                model.resize(model.len().max(at + len), 0);
                model[at..at + len].copy_from_slice(&piece);
            }
            _ => {
                let mut buf = vec![0xaa; len];
                let n = file::pread(fd, &mut buf, at as i64).unwrap_or(usize::MAX);
                let expected = model.get(at..model.len().min(at + len)).unwrap_or_default();
                wrong += usize::from(n != expected.len() || buf[..n.min(len)] != *expected);
            }
        }
    }
    say!("size {} wrong {wrong}, all the same {}", model.len(), file::slurp(c"f") == Ok(model));
    0
}
