//! Random bytes: `ChaCha20` (RFC 8439) keyed by what entropy there is, with the key replaced before
//! anything is handed out, so that a key seen later tells nothing of bytes given earlier.
//!
//! Written out here, some forty lines against the RFC's vectors, because the first random bytes
//! are needed before the job's first instruction, and every instruction until then is paid for;
//! the crates unroll further.

/// Bytes in a block of the cipher.
const BLOCK: usize = 64;
/// Words of a key.
const KEY_WORDS: usize = 8;

/// "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646E, 0x7962_2D32, 0x6B20_6574];

/// Blocks made at a time. Their first bytes are the next key.
const BLOCKS: usize = 4;
/// Bytes that are handed out before blocks are made again.
const STORE: usize = BLOCKS * BLOCK - KEY;
/// Bytes of a key.
const KEY: usize = 4 * KEY_WORDS;

/// The cipher's key.
type Key = [u32; KEY_WORDS];

/// The generator: one for the system, under a lock.
#[derive(Clone)]
pub struct Pool {
    key: Key,
    /// Bytes made with an earlier key; those handed out are zeroes.
    store: [u8; STORE],
    /// How many of them are left, the last ones.
    left: usize,
}

/// A key for one request, taken from the [`Pool`]; gives any number of bytes without it.
pub struct Stream {
    key: Key,
    counter: u64,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl Pool {
    /// A generator that nothing was mixed into: its bytes are no secret.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            key: [0; KEY_WORDS],
            store: [0; STORE],
            left: 0,
        }
    }

    /// Mixes `entropy` in. What is there already isn't weakened by bytes that are no secret.
    pub fn mix(&mut self, entropy: &[u8]) {
        for chunk in entropy.chunks(KEY) {
            for (word, bytes) in self.key.iter_mut().zip(chunk.chunks(4)) {
                let mut padded = [0; 4];
                for (place, byte) in padded.iter_mut().zip(bytes) {
                    *place = *byte;
                }
                *word ^= u32::from_le_bytes(padded);
            }
            self.key = first_half(&block(&self.key, 0));
        }
        // The next bytes depend on it.
        self.left = 0;
    }

    /// Fills `out`, a few bytes, with random ones.
    pub fn fill_few(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.left == 0 {
                self.restock();
            }
            let (piece, rest) = out.split_at_mut(out.len().min(self.left));
            let next = STORE - self.left;
            let from = self.store.get_mut(next..next + piece.len());
            let from = from.unwrap_or_default();
            piece.copy_from_slice(from);
            from.fill(0);
            self.left -= piece.len();
            out = rest;
        }
    }

    /// Makes a new key and a store of bytes.
    fn restock(&mut self) {
        let key = self.key;
        let first = block(&key, 0);
        self.key = first_half(&first);
        let (_, rest) = first.split_at(KEY_WORDS);
        let (start, more) = self.store.split_at_mut(BLOCK - KEY);
        copy_words(start, rest);
        for (counter, piece) in (1..).zip(more.chunks_exact_mut(BLOCK)) {
            copy_words(piece, &block(&key, counter));
        }
        self.left = STORE;
    }

    /// A stream of random bytes of its own.
    #[must_use]
    pub fn stream(&mut self) -> Stream {
        let mut bytes = [0; KEY];
        self.fill_few(&mut bytes);
        let mut key = [0; KEY_WORDS];
        for (word, bytes) in key.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Stream { key, counter: 0 }
    }
}

impl Stream {
    /// Fills `out` with the next random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(BLOCK) {
            let words = block(&self.key, self.counter);
            self.counter = self.counter.wrapping_add(1);
            copy_words(piece, &words);
        }
    }
}

/// Puts as many bytes of the words into `out` as it takes.
fn copy_words(out: &mut [u8], words: &[u32]) {
    let (whole, rest) = out.as_chunks_mut::<4>();
    for (place, word) in whole.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
    let last = words
        .get(whole.len())
        .map_or([0; 4], |word| word.to_le_bytes());
    for (place, byte) in rest.iter_mut().zip(last) {
        *place = byte;
    }
}

fn first_half(block: &[u32; BLOCK / 4]) -> Key {
    block.first_chunk().copied().unwrap_or_default()
}

/// A block of the key stream, with a nonce of 0 (RFC 8439, 2.3; the 64-bit counter is the original
/// cipher's).
fn block(key: &Key, counter: u64) -> [u32; BLOCK / 4] {
    let mut start = [0; BLOCK / 4];
    let (constants, rest) = start.split_at_mut(4);
    constants.copy_from_slice(&CONSTANTS);
    let (keys, counters) = rest.split_at_mut(KEY_WORDS);
    keys.copy_from_slice(key);
    if let [low, high, ..] = counters {
        *low = crate::num::low32(counter);
        *high = crate::num::high32(counter);
    }
    permute(&start)
}

/// Twenty rounds, and the start added (RFC 8439, 2.3.1).
fn permute(start: &[u32; BLOCK / 4]) -> [u32; BLOCK / 4] {
    // Words of their own, for the compiler to keep as many as it can in registers.
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h, ..] = *start;
    let [.., mut i, mut j, mut k, mut l, mut m, mut n, mut o, mut p] = *start;
    for _ in 0..10 {
        [a, e, i, m] = quarter([a, e, i, m]);
        [b, f, j, n] = quarter([b, f, j, n]);
        [c, g, k, o] = quarter([c, g, k, o]);
        [d, h, l, p] = quarter([d, h, l, p]);
        [a, f, k, p] = quarter([a, f, k, p]);
        [b, g, l, m] = quarter([b, g, l, m]);
        [c, h, i, n] = quarter([c, h, i, n]);
        [d, e, j, o] = quarter([d, e, j, o]);
    }
    let mut state = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
    for (word, first) in state.iter_mut().zip(start) {
        *word = word.wrapping_add(*first);
    }
    state
}

/// The quarter round (RFC 8439, 2.1).
#[inline(always)]
const fn quarter([mut a, mut b, mut c, mut d]: [u32; 4]) -> [u32; 4] {
    a = a.wrapping_add(b);
    d = (d ^ a).rotate_left(16);
    c = c.wrapping_add(d);
    b = (b ^ c).rotate_left(12);
    a = a.wrapping_add(b);
    d = (d ^ a).rotate_left(8);
    c = c.wrapping_add(d);
    b = (b ^ c).rotate_left(7);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// RFC 8439, 2.1.1.
    #[test]
    fn quarter_round_vector() {
        let state = quarter([0x1111_1111, 0x0102_0304, 0x9B8D_6F43, 0x0123_4567]);
        assert_eq!(state, [0xEA2A_92F4, 0xCB1C_F8CE, 0x4581_472E, 0x5881_C4BB]);
    }

    /// RFC 8439, 2.3.2: a block with a key, a counter and a nonce.
    #[test]
    fn block_vector() {
        let mut start = [0; 16];
        start[..4].copy_from_slice(&CONSTANTS);
        for (at, word) in start[4..12].iter_mut().enumerate() {
            let first = 4 * at as u8;
            *word = u32::from_le_bytes([first, first + 1, first + 2, first + 3]);
        }
        start[12..].copy_from_slice(&[1, 0x0900_0000, 0x4A00_0000, 0]);
        let expected = [
            0xE4E7_F110,
            0x1559_3BD1,
            0x1FDD_0F50,
            0xC471_20A3,
            0xC7F4_D1C7,
            0x0368_C033,
            0x9AAA_2204,
            0x4E6C_D4C3,
            0x4664_82D2,
            0x09AA_9F07,
            0x05D7_C214,
            0xA202_8BD9,
            0xD19C_12B5,
            0xB94E_16DE,
            0xE883_D0CB,
            0x4E3C_50A2,
        ];
        assert_eq!(permute(&start), expected);
    }

    /// RFC 8439, A.1, test vectors 1 and 2: blocks 0 and 1 of the zero key.
    #[test]
    fn zero_key_vectors() {
        assert_eq!(
            block(&[0; 8], 0)[..3],
            [0xADE0_B876, 0x903D_F1A0, 0xE56A_5D40]
        );
        assert_eq!(
            block(&[0; 8], 1)[..3],
            [0xBEE7_079F, 0x7A38_5155, 0x7C97_BA98]
        );
    }

    #[test]
    fn streams_differ_and_keys_are_replaced() {
        let mut pool = Pool::new();
        pool.mix(b"seed");
        let take = |pool: &mut Pool, len: usize| {
            let mut bytes = alloc::vec![0; len];
            pool.stream().fill(&mut bytes);
            bytes
        };
        let before = pool.key;
        let (first, second) = (take(&mut pool, 100), take(&mut pool, 100));
        assert_ne!(first, second);
        assert_ne!(before, pool.key);
        let key: Vec<u8> = pool
            .key
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert!(!second.windows(32).any(|window| window == key));
    }

    #[test]
    fn a_few_bytes_replace_the_key_too() {
        let mut pool = Pool::new();
        let (mut first, mut second) = ([0; STORE], [0; STORE]);
        pool.fill_few(&mut first);
        // RFC 8439, A.1, test vectors 1 and 2: the second half of the zero key's first block, and its second block.
        assert_eq!(first[..4], [0xDA, 0x41, 0x59, 0x7C]);
        assert_eq!(first[32..36], [0x9F, 0x07, 0xE7, 0xBE]);
        let key = pool.key;
        pool.fill_few(&mut second);
        assert_ne!(first, second);
        assert_ne!(key, pool.key);
    }

    #[test]
    fn a_byte_is_handed_out_once_and_forgotten() {
        let mut pool = Pool::new();
        pool.mix(b"seed");
        let mut whole = [0; 3 * STORE];
        pool.clone().fill_few(&mut whole);
        let mut at = 0;
        for len in (1..40).cycle() {
            let Some(expected) = whole.get(at..at + len) else {
                break;
            };
            let mut bytes = alloc::vec![0; len];
            pool.fill_few(&mut bytes);
            assert_eq!(bytes, expected);
            assert!(
                pool.store[..STORE - pool.left]
                    .iter()
                    .all(|byte| *byte == 0)
            );
            at += len;
        }
        // What is mixed in counts at once.
        let mut other = pool.clone();
        other.mix(b"more");
        let (mut a, mut b) = ([0; 16], [0; 16]);
        pool.fill_few(&mut a);
        other.fill_few(&mut b);
        assert_ne!(a, b);
    }

    #[test]
    fn every_byte_mixed_in_counts() {
        let bytes = |seed: &[u8]| {
            let mut pool = Pool::new();
            pool.mix(seed);
            let mut out = [0; 16];
            pool.stream().fill(&mut out);
            out
        };
        let seed: Vec<u8> = (0..70).collect();
        for at in 0..seed.len() {
            let mut other = seed.clone();
            other[at] ^= 1;
            assert_ne!(bytes(&seed), bytes(&other), "byte {at}");
        }
    }

    #[test]
    fn pieces_are_the_whole() {
        let mut pool = Pool::new();
        let (mut whole, mut pieces) = ([0; 192], [0; 192]);
        pool.clone().stream().fill(&mut whole);
        let mut stream = pool.stream();
        for piece in pieces.chunks_mut(64) {
            stream.fill(piece);
        }
        assert_eq!(whole, pieces);
    }
}
