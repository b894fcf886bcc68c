//! The hashes that order indexed directories: legacy, half MD4 and TEA, over signed or unsigned
//! characters. Definition: Linux, Documentation/filesystems/ext4/directory.rst.

/// A name's place in an indexed directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hash {
    /// Even: bit 0 marks, in the index, a hash that goes on from the block before.
    pub(super) major: u32,
    pub(super) minor: u32,
}

/// How a directory hashes its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hasher {
    algorithm: Algorithm,
    unsigned: bool,
    seed: [u32; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Legacy,
    HalfMd4,
    Tea,
}

/// The hash that Linux keeps for "end of directory", never given to a name.
const END: u32 = 0x7FFF_FFFF << 1;

impl Hasher {
    /// The hasher for `version` as it stands in a directory's root or in the superblock;
    /// versions 0..=2 take the signedness from the superblock. `None` for one unknown.
    pub(super) fn new(version: u8, unsigned: bool, seed: [u32; 4]) -> Option<Self> {
        let (algorithm, unsigned) = match version {
            0 => (Algorithm::Legacy, unsigned),
            1 => (Algorithm::HalfMd4, unsigned),
            2 => (Algorithm::Tea, unsigned),
            3 => (Algorithm::Legacy, true),
            4 => (Algorithm::HalfMd4, true),
            5 => (Algorithm::Tea, true),
            _ => return None,
        };
        Some(Self {
            algorithm,
            unsigned,
            seed,
        })
    }

    pub(super) fn hash(&self, name: &[u8]) -> Hash {
        let mut state = if self.seed == [0; 4] {
            [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476]
        } else {
            self.seed
        };
        let (major, minor) = match self.algorithm {
            Algorithm::Legacy => (self.legacy(name), 0),
            Algorithm::HalfMd4 => {
                for chunk in pieces(name, 32) {
                    state = half_md4(state, &self.words::<8>(chunk));
                }
                let [_, b, c, _] = state;
                (b, c)
            }
            Algorithm::Tea => {
                for chunk in pieces(name, 16) {
                    state = tea(state, &self.words::<4>(chunk));
                }
                let [a, b, _, _] = state;
                (a, b)
            }
        };
        let major = major & !1;
        Hash {
            major: if major == END { END - 2 } else { major },
            minor,
        }
    }

    fn char(&self, byte: u8) -> u32 {
        if self.unsigned {
            u32::from(byte)
        } else {
            i32::from(byte.cast_signed()).cast_unsigned()
        }
    }

    fn legacy(&self, name: &[u8]) -> u32 {
        let (mut now, mut before) = (0x12A3_FE2Du32, 0x37AB_E8F9u32);
        for byte in name {
            let mixed = now ^ self.char(*byte).wrapping_mul(7_152_373);
            let mut next = before.wrapping_add(mixed);
            if next & 0x8000_0000 != 0 {
                next = next.wrapping_sub(0x7FFF_FFFF);
            }
            before = now;
            now = next;
        }
        now << 1
    }

    /// The bytes that are left (`chunk` is all of them) as `N` words, padded with the length.
    fn words<const N: usize>(&self, chunk: &[u8]) -> [u32; N] {
        let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let pad = (length | length << 8).wrapping_mul(0x1_0001);
        let mut words = [pad; N];
        for (word, four) in words.iter_mut().zip(chunk.chunks(4)) {
            *word = four
                .iter()
                .fold(pad, |word, byte| self.char(*byte).wrapping_add(word << 8));
        }
        words
    }
}

/// `name` from its start, from byte `size` on, and so forth: each to the end, as the padding
/// of [`Hasher::words`] depends on all that's left.
fn pieces(name: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    (0..name.len())
        .step_by(size)
        .filter_map(|from| name.get(from..))
}

fn half_md4(state: [u32; 4], input: &[u32; 8]) -> [u32; 4] {
    const ROUND_2: u32 = 0x5A82_7999;
    const ROUND_3: u32 = 0x6ED9_EBA1;
    let choose = |x: u32, y: u32, z: u32| z ^ (x & (y ^ z));
    let majority = |x: u32, y: u32, z: u32| (x & y).wrapping_add((x ^ y) & z);
    let parity = |x: u32, y: u32, z: u32| x ^ y ^ z;
    let [i0, i1, i2, i3, i4, i5, i6, i7] = *input;
    let s = round(
        state,
        [i0, i1, i2, i3, i4, i5, i6, i7],
        0,
        [3, 7, 11, 19],
        choose,
    );
    let s = round(
        s,
        [i1, i3, i5, i7, i0, i2, i4, i6],
        ROUND_2,
        [3, 5, 9, 13],
        majority,
    );
    let s = round(
        s,
        [i3, i7, i2, i6, i1, i5, i0, i4],
        ROUND_3,
        [3, 9, 11, 15],
        parity,
    );
    let [a, b, c, d] = state;
    let [e, f, g, h] = s;
    [
        a.wrapping_add(e),
        b.wrapping_add(f),
        c.wrapping_add(g),
        d.wrapping_add(h),
    ]
}

/// Eight steps of one round: each changes one word of the state, `a`, `d`, `c`, `b` in turn.
fn round(
    [mut a, mut b, mut c, mut d]: [u32; 4],
    input: [u32; 8],
    constant: u32,
    [s0, s1, s2, s3]: [u32; 4],
    mix: impl Fn(u32, u32, u32) -> u32,
) -> [u32; 4] {
    let step = |a: u32, b, c, d, word: u32, shift| {
        a.wrapping_add(mix(b, c, d))
            .wrapping_add(word)
            .wrapping_add(constant)
            .rotate_left(shift)
    };
    let [w0, w1, w2, w3, w4, w5, w6, w7] = input;
    for [w0, w1, w2, w3] in [[w0, w1, w2, w3], [w4, w5, w6, w7]] {
        a = step(a, b, c, d, w0, s0);
        d = step(d, a, b, c, w1, s1);
        c = step(c, d, a, b, w2, s2);
        b = step(b, c, d, a, w3, s3);
    }
    [a, b, c, d]
}

fn tea([s0, s1, s2, s3]: [u32; 4], [a, b, c, d]: &[u32; 4]) -> [u32; 4] {
    let (mut x, mut y) = (s0, s1);
    let mut sum = 0u32;
    for _ in 0..16 {
        sum = sum.wrapping_add(0x9E37_79B9);
        let left = (y << 4).wrapping_add(*a) ^ y.wrapping_add(sum) ^ (y >> 5).wrapping_add(*b);
        x = x.wrapping_add(left);
        let right = (x << 4).wrapping_add(*c) ^ x.wrapping_add(sum) ^ (x >> 5).wrapping_add(*d);
        y = y.wrapping_add(right);
    }
    [s0.wrapping_add(x), s1.wrapping_add(y), s2, s3]
}
