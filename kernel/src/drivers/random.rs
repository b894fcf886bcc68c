//! The system's random bytes: [`kiln_core::random`] under a lock, keyed by the launcher's seed and
//! what the processor adds.

use kiln_core::random::Pool;
use x86_64::instructions::random::RdRand;

use crate::arch::time;
use crate::sync::SpinLock;

static POOL: SpinLock<Pool> = SpinLock::new(Pool::new());

/// Keys the generator: with the job's seed, the processor's generator and the time.
pub(crate) fn seed(seed: &[u8; 32]) {
    let word = RdRand::new().and_then(RdRand::get_u64).unwrap_or(0);
    let own = u128::from(time::cycles()) << 64 | u128::from(word);
    mix(seed);
    mix(&own.to_le_bytes());
}

/// Mixes in bytes that may hold entropy, such as those written to `/dev/random`.
pub(crate) fn mix(entropy: &[u8]) {
    POOL.lock().mix(entropy);
}

/// As many bytes as are taken from the system's own; more are made by a stream of the caller's.
const FEW: usize = 64;

/// Fills `out` with random bytes.
pub(crate) fn fill(out: &mut [u8]) {
    if out.len() <= FEW {
        return POOL.lock().fill_few(out);
    }
    // The lock covers the making of a key only.
    let mut stream = POOL.lock().stream();
    stream.fill(out);
}
