//! T and B of cases.

use minrnn_model::rng::Rng;

/// Lengths that catch what goes wrong at edges: few steps, around a block, and far beyond. A graph is planned anew for each
/// length, so these few serve for pieces too.
pub(super) const LENGTHS: [usize; 11] = [1, 2, 3, 16, 17, 64, 256, 1024, 4096, 16_384, 65_536];

/// Lengths that are whole numbers of no chunk that programs cut time into (32, 64, 128 ..), each between two such numbers, and how many
/// rows go with each: more than are usual where steps are few.
pub(super) const RAGGED: [(usize, usize); 7] = [
    (19, 5),
    (37, 4),
    (67, 2),
    (131, 2),
    (259, 1),
    (521, 1),
    (1031, 1),
];

/// The same in calls of several steps: most are odd.
pub(super) const CALLS: [usize; 6] = [2, 3, 5, 7, 11, 13];

pub(super) const BATCHES: [usize; 2] = [1, 3];

/// One of the lengths, `limit` at most.
pub(super) fn piece(limit: usize, rng: &mut Rng) -> usize {
    let count = LENGTHS.iter().filter(|n| **n <= limit).count();
    LENGTHS[rng.below(count.max(1))]
}

/// Pieces that add up to T; the first ones are random, then as few as there can be.
pub(super) fn pieces(time: usize, rng: &mut Rng) -> Vec<usize> {
    let mut all = vec![];
    let mut left = time;
    while left > 0 {
        let fits = LENGTHS.iter().rev().find(|n| **n <= left).copied();
        let next = if all.len() < 24 {
            piece(left, rng)
        } else {
            fits.unwrap_or(1)
        };
        all.push(next);
        left -= next;
    }
    all
}
