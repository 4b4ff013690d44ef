//! What a string is asked for.

use serde::{Deserialize, Serialize};

use crate::data::SampleRng;

/// Places of the ring of `cycle_navigation`.
const RING: u32 = 5;
/// Digits of `bucket_sort` and `missing_duplicate`; the token behind them asks.
const DIGITS: u32 = 10;
/// Symbols of `majority` and `majority_count`, tokens 1 to 63; token 0 stands for none.
const SYMBOLS: u32 = 63;

/// A question about a string. Every symbol is as likely as the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Bits: how many ones, modulo 2.
    Parity,
    /// Bits: 1 if the pairs 01 and 10 are together an even number, so that the first bit is the last.
    EvenPairs,
    /// Moves on a ring of 5 places, 0 stay, 1 forward, 2 back: the place at the end, from place 0.
    CycleNavigation,
    /// Digits, then as many marks (token 10): at the marks the digits in ascending order.
    BucketSort,
    /// Digits, and the same again, one of all of them hidden (token 10): which one. An odd length has one symbol less, 1 one more.
    MissingDuplicate,
    /// Tokens 1 to 63: the one that is there most often, of equals the smallest.
    Majority,
    /// The same: how often that one is there, at most 63.
    MajorityCount,
    /// Permutations of three things, numbered in the order of their lists: what they come to, the first one first.
    S3,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Parity,
        Self::EvenPairs,
        Self::CycleNavigation,
        Self::BucketSort,
        Self::MissingDuplicate,
        Self::Majority,
        Self::MajorityCount,
        Self::S3,
    ];

    /// As written in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parity => "parity",
            Self::EvenPairs => "even_pairs",
            Self::CycleNavigation => "cycle_navigation",
            Self::BucketSort => "bucket_sort",
            Self::MissingDuplicate => "missing_duplicate",
            Self::Majority => "majority",
            Self::MajorityCount => "majority_count",
            Self::S3 => "s3",
        }
    }

    /// Different tokens of the input.
    pub(super) fn tokens(self) -> usize {
        match self {
            Self::Parity | Self::EvenPairs => 2,
            Self::CycleNavigation => 3,
            Self::BucketSort | Self::MissingDuplicate => DIGITS as usize + 1,
            Self::Majority | Self::MajorityCount => SYMBOLS as usize + 1,
            Self::S3 => 6,
        }
    }

    /// Different labels.
    pub(super) fn classes(self) -> usize {
        match self {
            Self::Parity | Self::EvenPairs => 2,
            Self::CycleNavigation => RING as usize,
            Self::BucketSort | Self::MissingDuplicate => DIGITS as usize,
            Self::Majority | Self::MajorityCount => SYMBOLS as usize + 1,
            Self::S3 => 6,
        }
    }

    /// Whether there is a label for each mark, and not one for the string.
    pub(super) fn is_per_step(self) -> bool {
        self == Self::BucketSort
    }

    /// Steps of the input for a string of so many symbols.
    pub(super) fn steps(self, length: usize) -> usize {
        match self {
            Self::BucketSort => 2 * length,
            Self::MissingDuplicate => 2 * (length / 2).max(1),
            _ => length,
        }
    }

    /// A string of `length` symbols, and its labels.
    pub(super) fn sample(self, length: usize, rng: &mut SampleRng) -> (Vec<u32>, Vec<u32>) {
        let mut draw = |n: usize, first: u32, kinds: u32| -> Vec<u32> {
            (0..n)
                .map(|_| first + rng.below(u64::from(kinds)) as u32)
                .collect()
        };
        match self {
            Self::Parity => {
                let bits = draw(length, 0, 2);
                let odd = bits.iter().sum::<u32>() % 2;
                (bits, vec![odd])
            }
            Self::EvenPairs => {
                let bits = draw(length, 0, 2);
                let same = u32::from(bits.first() == bits.last());
                (bits, vec![same])
            }
            Self::CycleNavigation => {
                let moves = draw(length, 0, 3);
                let by = |m: &u32| [0, 1, RING - 1][*m as usize];
                let place = moves.iter().map(by).sum::<u32>() % RING;
                (moves, vec![place])
            }
            Self::BucketSort => {
                let mut input = draw(length, 0, DIGITS);
                let mut sorted = input.clone();
                sorted.sort_unstable();
                input.resize(2 * length, DIGITS);
                (input, sorted)
            }
            Self::MissingDuplicate => {
                let half = draw((length / 2).max(1), 0, DIGITS);
                let mut input = [half.as_slice(), &half].concat();
                let hidden = rng.below(input.len() as u64) as usize;
                let label = std::mem::replace(&mut input[hidden], DIGITS);
                (input, vec![label])
            }
            Self::Majority | Self::MajorityCount => {
                let symbols = draw(length, 1, SYMBOLS);
                let (most, count) = most_often(&symbols);
                let label = match self {
                    Self::Majority => most,
                    _ => count.min(SYMBOLS),
                };
                (symbols, vec![label])
            }
            Self::S3 => {
                let word = draw(length, 0, 6);
                let all = |of: [usize; 3], next: &u32| of.map(|i| S3[*next as usize][i]);
                let product = word.iter().fold(S3[0], all);
                let label = S3.iter().position(|p| *p == product);
                (word, vec![label.unwrap_or_default() as u32])
            }
        }
    }
}

/// The permutations of three things: where each of them goes.
const S3: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// The symbol that is there most often, of equals the smallest, and how often.
fn most_often(symbols: &[u32]) -> (u32, u32) {
    let mut counts = [0_u32; SYMBOLS as usize + 1];
    for symbol in symbols {
        counts[*symbol as usize] += 1;
    }
    let mut best = 1;
    for symbol in 2..counts.len() {
        if counts[symbol] > counts[best] {
            best = symbol;
        }
    }
    (best as u32, counts[best])
}
