//! How long the sequences are that run.

/// Lengths that catch what goes wrong at edges: 1, 2, 3, and around the powers of two and of 16 (the block size of the default
/// lowering), up to `limit`; then the limit itself.
pub(super) fn lengths(limit: usize) -> Vec<usize> {
    let mut all: Vec<usize> = vec![1, 2, 3];
    let powers = (2..=12)
        .map(|p| 1usize << p)
        .filter(|p| *p <= 512 || [1024, 4096].contains(p));
    for power in powers {
        all.extend([power - 1, power, power + 1]);
    }
    all.retain(|t| *t <= limit);
    all.push(limit);
    all.sort_unstable();
    all.dedup();
    all
}

/// The same in short: one step, two, around a block, one that is a whole number of no chunk, and the limit.
pub(super) fn few_lengths(limit: usize) -> Vec<usize> {
    let mut all = vec![1, 2, 15, 16, 17, 33, 67];
    all.retain(|t| *t < limit);
    all.push(limit);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_lie_around_block_boundaries() {
        let all = lengths(65_536);
        for t in [1, 2, 3, 15, 16, 17, 255, 256, 257, 4095, 4096, 4097, 65_536] {
            assert!(all.contains(&t), "{t}");
        }
        assert_eq!(lengths(5), [1, 2, 3, 4, 5]);
        assert_eq!(lengths(1), [1]);
        assert_eq!(few_lengths(130), [1, 2, 15, 16, 17, 33, 67, 130]);
        assert_eq!(
            (few_lengths(1), few_lengths(16)),
            (vec![1], vec![1, 2, 15, 16])
        );
    }
}
