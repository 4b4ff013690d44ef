//! Random numbers that depend on a seed and a name only, the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// A stream of random numbers (ChaCha8).
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The stream of `name` under `seed`.
    pub fn named(seed: u64, name: &str) -> Self {
        // FNV-1a over the name picks the stream; the seed picks the key.
        let stream = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }
    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }
    /// Uniform in `[0, 1)`, a multiple of 2^-32.
    pub fn uniform(&mut self) -> f64 {
        f64::from(self.bits()) * 2f64.powi(-32)
    }
    /// Uniform in `[lo, hi)`.
    pub fn range(&mut self, lo: f64, hi: f64) -> f64 {
        lo + self.uniform() * (hi - lo)
    }
    /// Uniform below `n`, which must be at least 1.
    pub fn below(&mut self, n: usize) -> usize {
        (((u128::from(self.bits()) << 32 | u128::from(self.bits())) * n as u128) >> 64) as usize
    }
    /// Approximately normal with mean 0 and variance 1 (sum of twelve uniforms), without a library's `ln` or `cos`.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}
