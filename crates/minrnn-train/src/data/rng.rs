//! Random numbers that are a function of (seed, domain, index) and of nothing else.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A ChaCha8 stream of its own for one sample: the key holds the seed and the domain, the stream number the index.
/// Two samples never share numbers, and a sample does not depend on which samples were drawn before it.
#[derive(Debug, Clone)]
pub struct SampleRng(ChaCha8Rng);

impl SampleRng {
    /// The stream of `index` in `domain`. At most 16 bytes of the domain's name count.
    pub fn new(seed: u64, domain: &str, index: u64) -> Self {
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        for (slot, byte) in key[16..].iter_mut().zip(domain.bytes()) {
            *slot = byte;
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(index);
        Self(rng)
    }

    /// Uniform in `0..bound`, without bias. `bound` 0 gives 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        // Values under `reject` would make the small remainders likelier.
        let reject = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.0.next_u64()) * u128::from(bound);
            if wide as u64 >= reject {
                return (wide >> 64) as u64;
            }
        }
    }

    /// Fisher-Yates shuffle.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }

    /// `0..len` in random order.
    pub fn permutation(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_domain_and_index_each_change_the_stream() {
        let first = |seed, domain, index| SampleRng::new(seed, domain, index).below(u64::MAX);
        let base = first(1, "a", 5);
        assert_eq!(base, first(1, "a", 5));
        assert_ne!(base, first(2, "a", 5));
        assert_ne!(base, first(1, "b", 5));
        assert_ne!(base, first(1, "a", 6));
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut rng = SampleRng::new(3, "uniform", 0);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[rng.below(7) as usize] += 1;
        }
        // Standard deviation of each count is 93.
        for count in counts {
            assert!((9_500..10_500).contains(&count), "{counts:?}");
        }
        assert_eq!(rng.below(1), 0);
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn permutation_has_every_index_once_and_moves_them() {
        let mut order = SampleRng::new(9, "order", 0).permutation(500);
        assert!(order.iter().enumerate().filter(|(i, o)| i == *o).count() < 20);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, o)| i == *o));
    }
}
