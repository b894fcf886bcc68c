//! Mutilated program headers by the million: whatever a file says, it is planned within bounds or
//! refused. An ordinary run takes a moment; `KILN_FUZZ_SECONDS=3600 cargo test --release -p kiln-core
//! elf::fuzz` goes on as long as it says, from another seed each time (`KILN_SEED` repeats one).
use super::*;
use std::time::{Duration, Instant};
use std::{env, fs, vec};

/// splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A number near a border of some kind.
    fn odd(&mut self) -> u64 {
        const BORDERS: [u64; 12] = [
            0,
            1,
            56,
            64,
            PAGE,
            INTERP_MAX,
            1 << 31,
            1 << 32,
            TASK_SIZE,
            1 << 47,
            1 << 63,
            u64::MAX,
        ];
        let border = BORDERS[self.below(BORDERS.len())];
        match self.below(5) {
            0 => border,
            1 => border.wrapping_add(self.next() % 3).wrapping_sub(1),
            2 => border.wrapping_sub(PAGE * (self.next() % 3)),
            3 => self.next() >> self.below(64),
            _ => self.next(),
        }
    }
}

/// The heads of programs on this machine, and one made by hand.
fn corpus() -> Vec<Vec<u8>> {
    let mut found = vec![];
    for path in [
        "/proc/self/exe",
        "/bin/sh",
        "/bin/busybox",
        "/lib64/ld-linux-x86-64.so.2",
    ] {
        if let Ok(bytes) = fs::read(path) {
            found.push(bytes.into_iter().take(4096).collect());
        }
    }
    let mut made = vec![0; 64 + 4 * 56];
    made[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    made[16..20].copy_from_slice(&[3, 0, 62, 0]);
    made[32] = 64;
    made[52] = 64;
    made[54] = 56;
    made[56] = 4;
    for (index, header) in made[64..].chunks_mut(56).enumerate() {
        header[0] = [1, 1, 3, 1][index];
        header[4] = 7;
        header[33] = 0x10;
        header[41] = 0x20;
    }
    found.push(made);
    found
}

fn mutilate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(6) {
        let headers = bytes.len().saturating_sub(64) / 56;
        match numbers.below(8) {
            0 => bytes.truncate(numbers.below(bytes.len() + 1)),
            1 | 2 => {
                let at = numbers.below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = numbers.next() as u8;
                }
            }
            3 => {
                // A field of the file header: entry, table, sizes.
                let (at, len) = [(24, 8), (32, 8), (54, 2), (56, 2), (16, 2)][numbers.below(5)];
                let value = numbers.odd().to_le_bytes();
                if let Some(field) = bytes.get_mut(at..at + len) {
                    field.copy_from_slice(&value[..len]);
                }
            }
            _ if headers > 0 => {
                let header = 64 + numbers.below(headers.min(16)) * 56;
                let (at, len) =
                    [(0, 4), (4, 4), (8, 8), (16, 8), (32, 8), (40, 8), (48, 8)][numbers.below(7)];
                let value = match at {
                    0 => [1, 3, 6, 0x6474_E551][numbers.below(4)],
                    _ => numbers.odd(),
                };
                bytes[header + at..][..len].copy_from_slice(&value.to_le_bytes()[..len]);
            }
            _ => {}
        }
    }
}

fn check(image: &Image) {
    assert!(!image.segments.is_empty() && image.align.is_power_of_two() && image.align >= PAGE);
    assert!(image.span.end <= TASK_SIZE + PAGE && image.brk <= TASK_SIZE + PAGE);
    for segment in &image.segments {
        for range in [&segment.file, &segment.zero] {
            assert!(range.start <= range.end && range.start % PAGE == 0 && range.end % PAGE == 0);
            assert!(
                range.is_empty()
                    || (image.span.start <= range.start && range.end <= image.span.end)
            );
        }
        assert!(segment.file.is_empty() || segment.offset.is_multiple_of(PAGE));
        assert!(
            segment
                .zero_from
                .is_none_or(|from| segment.file.contains(&from))
        );
        // What is read of the file can be named by an offset.
        assert!(
            segment
                .offset
                .checked_add(segment.file.end - segment.file.start)
                .is_some()
        );
    }
    if let Some(interp) = &image.interp {
        assert!(interp.start < interp.end && interp.end - interp.start <= INTERP_MAX);
    }
}

#[test]
#[cfg_attr(miri, ignore)]
fn whatever_a_file_says() {
    let number = |name| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seconds = number("KILN_FUZZ_SECONDS");
    let now = || Instant::now();
    let end = now() + Duration::from_secs(seconds.unwrap_or(0));
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let chance = clock.map_or(1, |since| since.as_nanos() as u64);
    let seed = number("KILN_SEED").unwrap_or(if seconds.is_some() { chance } else { 1 });
    std::println!("KILN_SEED={seed}");
    let mut numbers = Numbers(seed);
    let corpus = corpus();
    let (mut planned, mut tried) = (0u64, 0u64);
    while tried < 100_000 || (tried % 1000 != 0 || now() < end) {
        let mut bytes = corpus[numbers.below(corpus.len())].clone();
        mutilate(&mut bytes, &mut numbers);
        tried += 1;
        let Ok(header) = Header::parse(&bytes) else {
            continue;
        };
        let Some(table) = table_in(&header, &bytes) else {
            continue;
        };
        if let Ok(image) = Image::plan(&header, table) {
            check(&image);
            planned += 1;
            if let Some(interp) = &image.interp {
                let _ = bytes
                    .get(usize_of(interp.start)..usize_of(interp.end))
                    .map(interp_path);
            }
        }
    }
    std::println!("{planned} of {tried} were planned");
    assert!(
        planned > tried / 20,
        "{planned} of {tried}: the mutilation is too hard"
    );
}
